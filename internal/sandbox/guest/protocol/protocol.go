// Package protocol is what host and guest agent say to each other over the one
// socket that is donated to a sandbox.
//
// The stream is a sequence of frames: one byte of kind, four bytes of payload
// length (big endian), the payload. The host speaks first with Prepare, upon
// which the guest gets an interpreter ready and answers with Hello, whose
// version must match. The host then sends the parts of one job (Job, Code,
// Stdin, File …) and Start; the guest answers with output as it appears, then
// Report, File and Skipped frames, and Exit. Then the next Prepare may come.
//
// An encrypted program comes as Locked, Cipher and Password in place of Code; or
// as Locked, Cipher and Sealed, if the guest was asked for a key before, with
// Key. The agent passes these on to a process that decrypts, over a socket on
// which the same frames are spoken.
//
// The host treats everything the guest says as hostile: lengths are bounded
// before anything is allocated, and limits are enforced outside as well.
package protocol

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// UsualDisk is how much a run may write unless its job says otherwise; a file
// system of this size is there before the job comes.
const UsualDisk = 100 << 20

// Where in a sandbox the first process of each run is, and the hooks by which
// interpreters wait.
const (
	InitPath          = "/pyth-on/init"
	PythonHookDir     = "/pyth-on/python"
	JavaScriptHookDir = "/pyth-on/javascript"
)

// Version is raised when either side would misunderstand the other.
const Version = 5

// MaxPayload bounds a frame: the largest file of a job and its path.
const MaxPayload = 12 << 20

// headerSize is that of the kind and the length.
const headerSize = 5

// Kind tells what a frame carries.
type Kind byte

// Frames from the host.
const (
	KindPrepare Kind = 'N' // JSON Prepare: get ready for a job; the answer is Hello
	KindJob     Kind = 'J' // JSON Job
	KindCode    Kind = 'C' // the program's source
	KindStdin   Kind = 'I' // standard input, whole
	// File is a file of the run. From the host it is whole. From the guest it is
	// followed by data and End, or by Abort if the file is not sent after all.
	KindFile   Kind = 'F'
	KindSecret Kind = 'V' // NAME=VALUE, one more variable of the environment
	KindStart  Kind = 'G' // everything has been sent
	KindStop   Kind = 'K' // stop the run; the answer is Exit; ignored when none runs
	// In a session, while nothing runs. The payload of Put, Get and Remove is a
	// path; the answer is Done, after List with entries and after Get with data
	// before it. Put is followed by data and End, or by Abort. Abort also ends a
	// Get early, and is ignored when none goes on.
	KindPut    Kind = 'P'
	KindGet    Kind = 'T'
	KindRemove Kind = 'U'
	KindList   Kind = 'L'
	KindData   Kind = 'd' // both directions
	KindEnd    Kind = 'E' // the file is whole
	KindAbort  Kind = 'A' // no more of the file
	// Of an encrypted program.
	KindLocked   Kind = 'Z' // JSON Locked
	KindCipher   Kind = 'B' // the ciphertext
	KindPassword Kind = 'W' // the password as it is
	KindSealed   Kind = 'S' // the password, encrypted to the guest's key
	KindKey      Kind = 'Y' // make a key pair; the answer is Key, the public key
	KindPrivate  Kind = 'Q' // the private key, from the agent to who decrypts
)

// Frames from the guest.
const (
	KindHello   Kind = 'H' // JSON Hello: the interpreter waits
	KindStdout  Kind = 'o' // bytes of standard output
	KindStderr  Kind = 'e' // bytes of standard error
	KindResult  Kind = 'D' // a rich value, as EncodeResult makes it
	KindReport  Kind = 'R' // JSON Report of an uncaught exception
	KindSkipped Kind = 's' // JSON Skipped
	KindExit    Kind = 'X' // JSON Exit: nothing of the run is left, but for a session
	KindEntry   Kind = 'y' // JSON Entry
	KindDone    Kind = 'q' // JSON Done
)

// Prepare says what the next job will probably be.
type Prepare struct {
	// Language is what it is written in: one of the API's names.
	Language string `json:"language"`
	// DiskBytes is how large its disk is; 0 for the usual.
	DiskBytes int64 `json:"diskBytes,omitempty"`
	// Preload are modules that the interpreter is to have imported.
	Preload []string `json:"preload,omitempty"`
}

// Hello says that the guest is ready for a job.
type Hello struct {
	Version int `json:"version"`
}

// Job is a program but for its code, input and files.
type Job struct {
	Language string `json:"language"`
	// Program is the name of the file that the code goes to.
	Program     string   `json:"program"`
	Args        []string `json:"args"`
	Env         []string `json:"env"`
	OutputFiles []string `json:"outputFiles"`
	TimeoutMs   int64    `json:"timeoutMs"`
	MemoryBytes int64    `json:"memoryBytes"`
	DiskBytes   int64    `json:"diskBytes"`
	Processes   int      `json:"processes"`
	MaxFiles    int      `json:"maxFiles"`
	MaxBytes    int64    `json:"maxBytes"`
	// Results is whether rich values are wanted.
	Results bool `json:"results,omitempty"`
	// Network is whether programs can connect to ProxyAddress.
	Network bool `json:"network,omitempty"`
	// Session is whether the interpreter stays, for the next job.
	Session bool `json:"session,omitempty"`
}

// Locked is an encrypted program but for its ciphertext: parameters of Argon2id
// and XChaCha20-Poly1305.
type Locked struct {
	Language string `json:"language"`
	// Name is the one that the program is bound to, "" for none.
	Name        string `json:"name,omitempty"`
	Salt        []byte `json:"salt"`
	Time        uint32 `json:"time"`
	MemoryKiB   uint32 `json:"memoryKiB"`
	Parallelism uint8  `json:"parallelism"`
	Nonce       []byte `json:"nonce"`
	// Sandbox is what the sealed password is bound to.
	Sandbox string `json:"sandbox,omitempty"`
}

// Entry is a file of a session.
type Entry struct {
	Path       string `json:"path"`
	SizeBytes  int64  `json:"sizeBytes"`
	ModifiedMs int64  `json:"modifiedMs"`
}

// Done is how an operation on files ended.
type Done struct {
	// Created is whether the file that was put is new.
	Created bool `json:"created,omitempty"`
	// SizeBytes is the size of the file that was got; it precedes the data, in a
	// Done of its own.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// Failure is the error's name in errno(3), "" if there was none.
	Failure string `json:"failure,omitempty"`
}

// InterruptGrace is how long the interpreter of a session may take to end a run
// that is interrupted, before it is killed. On a machine that is busy an answer
// can take its time, and the session would be lost with it.
const InterruptGrace = 4 * time.Second

// MaxData bounds the data of one frame.
const MaxData = 256 << 10

// Report is what the interpreter says of an uncaught exception. It comes from
// the user's process and is shown to that user only.
type Report struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
	Line      int    `json:"line"`
}

// Skipped is an output file that was not sent.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Exit is the kernel's word on how the program ended.
type Exit struct {
	// Code is the exit status, when Signal is 0.
	Code   int `json:"code"`
	Signal int `json:"signal"`
	// TimedOut and Stopped say that the guest ended it, and why.
	TimedOut bool `json:"timedOut"`
	Stopped  bool `json:"stopped"`
	// Ended is whether a session's interpreter is no more.
	Ended bool `json:"ended,omitempty"`
	// Locked is whether the program could not be decrypted, so that none ran.
	Locked bool `json:"locked,omitempty"`
	// Failure is set when the program could not be started.
	Failure string `json:"failure,omitempty"`
}

// ErrTooLarge is returned for a frame over MaxPayload.
var ErrTooLarge = errors.New("protocol: frame too large")

// Conn frames a byte stream. Send may be called from many goroutines, Receive
// from one.
type Conn struct {
	mu sync.Mutex
	w  io.Writer
	r  *bufio.Reader
}

// NewConn frames rw.
func NewConn(rw io.ReadWriter) *Conn {
	return &Conn{w: rw, r: bufio.NewReaderSize(rw, 64<<10)}
}

// Frame is one message.
type Frame struct {
	Kind    Kind
	Payload []byte
}

// Send writes one frame.
func (c *Conn) Send(kind Kind, payload []byte) error {
	return c.SendAll(Frame{kind, payload})
}

// SendAll writes frames at once, so that the other side wakes once. It keeps no
// copy of them: they may hold secrets.
func (c *Conn) SendAll(frames ...Frame) error {
	size := 0
	for _, f := range frames {
		if len(f.Payload) > MaxPayload {
			return ErrTooLarge
		}
		size += headerSize + len(f.Payload)
	}
	wire := make([]byte, 0, size)
	for _, f := range frames {
		wire = append(wire, byte(f.Kind))
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(f.Payload)))
		wire = append(wire, f.Payload...)
	}
	defer clear(wire)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.w.Write(wire)
	return err
}

// SendJSON writes one frame with v as its payload.
func (c *Conn) SendJSON(kind Kind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Send(kind, payload)
}

// Buffered is whether Receive has something to return, or part of it, without
// reading.
func (c *Conn) Buffered() bool { return c.r.Buffered() > 0 }

// Receive reads one frame. The payload is the caller's.
func (c *Conn) Receive() (Kind, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(c.r, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size > MaxPayload {
		return 0, nil, ErrTooLarge
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return 0, nil, fmt.Errorf("protocol: frame cut short: %w", err)
	}
	return Kind(header[0]), payload, nil
}

// EncodeFile makes the payload of a File frame.
func EncodeFile(path string, content []byte) []byte {
	b := make([]byte, 2, 2+len(path)+len(content))
	binary.BigEndian.PutUint16(b, uint16(len(path)))
	b = append(b, path...)
	return append(b, content...)
}

// DecodeFile splits the payload of a File frame.
func DecodeFile(b []byte) (path string, content []byte, err error) {
	if len(b) < 2 {
		return "", nil, errors.New("protocol: file frame without a path")
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, errors.New("protocol: file frame cut short")
	}
	return string(b[2 : 2+n]), b[2+n:], nil
}
