package protocol

// Prepare describes the job that the host expects next.
type Prepare struct {
	// Language is the language's name in the API.
	Language string
	// DiskBytes is the size of the disk. 0 means DefaultDiskBytes.
	DiskBytes int64
	// Preload contains modules that the interpreter imports before the job.
	Preload []string
	// RollbackRuns is the maximum number of jobs of one interpreter. 0 means that
	// each job gets a new interpreter. RollbackCPUMs is the maximum processor
	// time of one interpreter in milliseconds.
	RollbackRuns  int
	RollbackCPUMs int64
}

func (m *Prepare) visit(f *fields) {
	f.text(&m.Language)
	number(f, &m.DiskBytes)
	f.list(&m.Preload)
	number(f, &m.RollbackRuns)
	number(f, &m.RollbackCPUMs)
}

// Hello announces that an interpreter is ready for a job.
type Hello struct {
	Version int
	// Restored is true if the interpreter has also served the previous job. If
	// Restored is false, Reason is the name of the reason in package
	// rollback/abi. Before the first job, Reason is "".
	Restored bool
	Reason   string
}

func (m *Hello) visit(f *fields) {
	number(f, &m.Version)
	f.bool(&m.Restored)
	f.text(&m.Reason)
}

// Job describes a job without its code, standard input and files.
type Job struct {
	Language string
	// Program is the file name of the code. The guest stores the code in this file.
	Program     string
	Args        []string
	Env         []string
	OutputFiles []string
	TimeoutMs   int64
	MemoryBytes int64
	DiskBytes   int64
	Processes   int
	MaxFiles    int
	MaxBytes    int64
	// Results is true if the program's rich values (such as images) must be sent to the
	// user.
	Results bool
	// If Network is true, the program may connect to ProxyAddress.
	Network bool
	// If Session is true, the guest keeps the interpreter, with its state, for the
	// next job.
	Session bool
}

func (m *Job) visit(f *fields) {
	f.text(&m.Language)
	f.text(&m.Program)
	f.list(&m.Args)
	f.list(&m.Env)
	f.list(&m.OutputFiles)
	number(f, &m.TimeoutMs)
	number(f, &m.MemoryBytes)
	number(f, &m.DiskBytes)
	number(f, &m.Processes)
	number(f, &m.MaxFiles)
	number(f, &m.MaxBytes)
	f.bool(&m.Results)
	f.bool(&m.Network)
	f.bool(&m.Session)
}

// Serve describes a session. It tells the guest to serve streams (StreamsConfig).
type Serve struct {
	// Processes is the process limit of the session.
	Processes int
	// Network is true if the session's processes may connect to hosts. The guest relays
	// connections to SessionProxyAddress over streams that it opens.
	Network bool
	// Env contains the environment of the session's processes as NAME=VALUE.
	Env []string
}

func (m *Serve) visit(f *fields) {
	number(f, &m.Processes)
	f.bool(&m.Network)
	f.list(&m.Env)
}

// File is an input or output file of a run.
type File struct {
	Path    string
	Content []byte
}

func (m *File) visit(f *fields) {
	f.text(&m.Path)
	f.bytes(&m.Content)
}

// Encrypted describes an encrypted program without its ciphertext. It holds the
// parameters of Argon2id and XChaCha20-Poly1305.
type Encrypted struct {
	Language string
	// Name is the program's name, or "". The encryption authenticates the name.
	Name        string
	Salt        []byte
	Time        uint32
	MemoryKiB   uint32
	Parallelism uint8
	Nonce       []byte
	// Sandbox is the ID of the sandbox that can decrypt the sealed password.
	Sandbox string
}

func (m *Encrypted) visit(f *fields) {
	f.text(&m.Language)
	f.text(&m.Name)
	f.bytes(&m.Salt)
	number(f, &m.Time)
	number(f, &m.MemoryKiB)
	number(f, &m.Parallelism)
	f.bytes(&m.Nonce)
	f.text(&m.Sandbox)
}

// Entry describes a file of a session.
type Entry struct {
	Path       string
	SizeBytes  int64
	ModifiedMs int64
}

func (m *Entry) visit(f *fields) {
	f.text(&m.Path)
	number(f, &m.SizeBytes)
	number(f, &m.ModifiedMs)
}

// Done reports the result of a file operation.
type Done struct {
	// Created is true if Put created the file, and false if Put replaced it.
	Created bool
	// SizeBytes is the size of a file. It is set only in the Done that precedes
	// the data of a Get.
	SizeBytes int64
	// Failure is the name of an error as in errno(3), or "" on success.
	Failure string
}

func (m *Done) visit(f *fields) {
	f.bool(&m.Created)
	number(f, &m.SizeBytes)
	f.text(&m.Failure)
}

// Report describes an uncaught exception. It comes from the user's process, and
// only this user sees it.
type Report struct {
	Name      string
	Message   string
	Traceback string
	Line      int
}

func (m *Report) visit(f *fields) {
	f.text(&m.Name)
	f.text(&m.Message)
	f.text(&m.Traceback)
	number(f, &m.Line)
}

// Skipped describes an output file that the guest did not send.
type Skipped struct {
	Path   string
	Reason string
}

func (m *Skipped) visit(f *fields) {
	f.text(&m.Path)
	f.text(&m.Reason)
}

// Exit reports how a run ended. Outside a session, Code and Signal come from the
// kernel.
type Exit struct {
	// Code is the exit status if Signal is 0.
	Code   int
	Signal int
	// TimedOut and Stopped say why the guest ended the program.
	TimedOut bool
	Stopped  bool
	// Ended is true if the session's interpreter has ended.
	Ended bool
	// DecryptionFailed is true if the program could not be decrypted. The program
	// then did not run.
	DecryptionFailed bool
	// Restorable is true if the kernel can restore the interpreter.
	Restorable bool
	// Failure is the reason why the program could not be started, or "".
	Failure string
}

func (m *Exit) visit(f *fields) {
	number(f, &m.Code)
	number(f, &m.Signal)
	f.bool(&m.TimedOut)
	f.bool(&m.Stopped)
	f.bool(&m.Ended)
	f.bool(&m.DecryptionFailed)
	f.bool(&m.Restorable)
	f.text(&m.Failure)
}
