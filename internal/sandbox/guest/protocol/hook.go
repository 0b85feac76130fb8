package protocol

// These constants are the values of Launch.Mode.
const (
	ModePlain   = "plain"
	ModeResults = "results" // the interpreter also sends rich values
	ModeSession = "session" // the interpreter runs one program for each Run
)

// Launch tells a waiting interpreter to run its program or to begin a session.
type Launch struct {
	Mode string
	// Program is the path of the file with the program.
	Program string
	// If the interpreter must restart for this job, Options contains the new options of
	// the interpreter. Otherwise it is "".
	Options     string
	TimeoutMs   int64
	MemoryBytes int64
	Args        []string
	// Env contains the environment as NAME=VALUE.
	Env []string
	// Source is the content of the file whose path is in Program. If the file is not
	// small, Source is empty.
	Source []byte
}

func (m *Launch) visit(f *fields) {
	f.text(&m.Mode)
	f.text(&m.Program)
	f.text(&m.Options)
	number(f, &m.TimeoutMs)
	number(f, &m.MemoryBytes)
	f.list(&m.Args)
	f.list(&m.Env)
	f.bytes(&m.Source)
}

// Imports contains the modules that a restored interpreter imports before it makes a
// new checkpoint.
type Imports struct{ Names []string }

func (m *Imports) visit(f *fields) { f.list(&m.Names) }

// Run tells the interpreter of a session to run a program.
type Run struct {
	// Results is true if the program's rich values (such as images) must be sent to the
	// user.
	Results   bool
	TimeoutMs int64
	Code      []byte
	// Stdin is the whole standard input. If a descriptor for the input comes with the
	// frame, Stdin is empty.
	Stdin []byte
	Args  []string
	Env   []string
}

func (m *Run) visit(f *fields) {
	f.bool(&m.Results)
	number(f, &m.TimeoutMs)
	f.bytes(&m.Code)
	f.bytes(&m.Stdin)
	f.list(&m.Args)
	f.list(&m.Env)
}

// Ended is the interpreter's answer to Run.
type Ended struct {
	Code int
	// Report describes the uncaught exception of the program. If there was no uncaught
	// exception, Report.Name is "".
	Report Report
}

func (m *Ended) visit(f *fields) {
	number(f, &m.Code)
	m.Report.visit(f)
}
