// Package protocol defines the messages between the host and the guest agent over
// the control socket of a sandbox.
//
// The stream is a sequence of frames. A frame has one byte for the kind, four bytes
// for the payload length (big endian), and the payload. The host starts with Prepare. The
// guest starts an interpreter and answers with Hello, whose version must match. The
// host then sends the parts of one job (Job, Code, Stdin, File …) and Start. The
// guest sends output as it appears, then Report, File and Skipped frames, and Exit.
// After that the host may send the next Prepare.
//
// For an encrypted program the host sends Encrypted, Cipher and Password instead of
// Code. If the host requested a key with Key before, it sends Sealed instead of
// Password. The agent forwards these frames over another socket to a decrypting
// process.
//
// The host treats all frames of the guest as hostile. It checks lengths before it
// allocates memory, and enforces limits outside the sandbox as well.
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

// DefaultDiskBytes is the default disk size of a run, in bytes. The guest mounts a file
// system of this size before the job arrives.
const DefaultDiskBytes = 100 << 20

// Paths in a sandbox: the first process of each run, and the interpreters' hooks.
const (
	InitPath          = "/pyth-on/init"
	PythonHookDir     = "/pyth-on/python"
	JavaScriptHookDir = "/pyth-on/javascript"
)

// Version is increased with every incompatible change of the protocol.
const Version = 5

// MaxPayload is the maximum payload of a frame, in bytes. It has room for the largest
// file of a job and its path.
const MaxPayload = 12 << 20

// headerSize is the size of the kind and the length, in bytes.
const headerSize = 5

// Kind identifies the content of a frame.
type Kind byte

// Frames from the host.
const (
	KindPrepare Kind = 'N' // JSON Prepare: start an interpreter; the answer is Hello
	KindJob     Kind = 'J' // JSON Job
	KindCode    Kind = 'C' // the program's source
	KindStdin   Kind = 'I' // the whole standard input
	// KindFile carries a file of the run. A frame from the host contains the
	// whole file. After a frame from the guest, Data frames and End follow; or
	// Abort after an error.
	KindFile   Kind = 'F'
	KindSecret Kind = 'V' // NAME=VALUE, one more environment variable
	KindStart  Kind = 'G' // the job is complete: start it
	KindStop   Kind = 'K' // stop the run; the answer is Exit; without a run it has no effect
	// The next kinds are for files of a session between runs. The payload of Put,
	// Get and Remove is a path. The guest answers with Done. Before Done it sends
	// Entry frames for List, and Data frames for Get. After Put the host sends
	// Data frames and End, or Abort. Abort also ends a Get early; otherwise it
	// has no effect.
	KindPut    Kind = 'P'
	KindGet    Kind = 'T'
	KindRemove Kind = 'U'
	KindList   Kind = 'L'
	KindData   Kind = 'd' // both directions
	KindEnd    Kind = 'E' // the file is complete
	KindAbort  Kind = 'A' // the rest of the file is not sent
	// The next kinds are for encrypted programs.
	KindEncrypted Kind = 'Z' // JSON Encrypted
	KindCipher    Kind = 'B' // the ciphertext
	KindPassword  Kind = 'W' // the password in plain text
	KindSealed    Kind = 'S' // the password, encrypted to the guest's key
	KindKey       Kind = 'Y' // create a key pair; the answer is Key with the public key
	KindPrivate   Kind = 'Q' // the private key, from the agent to the decrypting process
)

// Frames from the guest.
const (
	KindHello   Kind = 'H' // JSON Hello: the interpreter is ready
	KindStdout  Kind = 'o' // bytes of standard output
	KindStderr  Kind = 'e' // bytes of standard error
	KindResult  Kind = 'D' // a rich value in the format of EncodeResult
	KindReport  Kind = 'R' // JSON Report of an uncaught exception
	KindSkipped Kind = 's' // JSON Skipped
	KindExit    Kind = 'X' // JSON Exit: the run has ended; the interpreter of a session stays
	KindEntry   Kind = 'y' // JSON Entry
	KindDone    Kind = 'q' // JSON Done
)

// Prepare describes the expected next job.
type Prepare struct {
	// Language is the language of the program, as named by the API.
	Language string `json:"language"`
	// DiskBytes is the size of the disk; 0 means DefaultDiskBytes.
	DiskBytes int64 `json:"diskBytes,omitempty"`
	// Preload lists modules that the interpreter imports before the job.
	Preload []string `json:"preload,omitempty"`
}

// Hello announces that the guest is ready for a job.
type Hello struct {
	Version int `json:"version"`
}

// Job describes a job without its code, input and files.
type Job struct {
	Language string `json:"language"`
	// Program is the name of the file for the code.
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
	// Results requests rich values.
	Results bool `json:"results,omitempty"`
	// Network lets the program connect to ProxyAddress.
	Network bool `json:"network,omitempty"`
	// Session keeps the interpreter for the next job.
	Session bool `json:"session,omitempty"`
}

// Encrypted describes an encrypted program without its ciphertext: the parameters of
// Argon2id and XChaCha20-Poly1305.
type Encrypted struct {
	Language string `json:"language"`
	// Name is part of the encryption; "" for none.
	Name        string `json:"name,omitempty"`
	Salt        []byte `json:"salt"`
	Time        uint32 `json:"time"`
	MemoryKiB   uint32 `json:"memoryKiB"`
	Parallelism uint8  `json:"parallelism"`
	Nonce       []byte `json:"nonce"`
	// Sandbox identifies the sandbox for which the password was sealed.
	Sandbox string `json:"sandbox,omitempty"`
}

// Entry describes a file of a session.
type Entry struct {
	Path       string `json:"path"`
	SizeBytes  int64  `json:"sizeBytes"`
	ModifiedMs int64  `json:"modifiedMs"`
}

// Done reports the result of a file operation.
type Done struct {
	// Created is true if Put created the file.
	Created bool `json:"created,omitempty"`
	// SizeBytes is the size of the file that Get reads. A separate Done with it
	// precedes the data.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// Failure is the error's name in errno(3), or "" on success.
	Failure string `json:"failure,omitempty"`
}

// InterruptGrace is how long the interpreter of a session may take to end an
// interrupted run before it is killed. It is long enough for a busy machine,
// because killing the interpreter loses the session.
const InterruptGrace = 4 * time.Second

// MaxData is the maximum size of a Data frame's payload, in bytes.
const MaxData = 256 << 10

// Report describes an uncaught exception. It comes from the user's process and is
// shown only to that user.
type Report struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
	Line      int    `json:"line"`
}

// Skipped describes an output file that was not sent.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Exit reports how the program ended. Outside a session the status comes from the
// kernel.
type Exit struct {
	// Code is the exit status if Signal is 0.
	Code   int `json:"code"`
	Signal int `json:"signal"`
	// TimedOut and Stopped are the reasons why the guest ended the program.
	TimedOut bool `json:"timedOut"`
	Stopped  bool `json:"stopped"`
	// Ended is true if a session's interpreter has ended.
	Ended bool `json:"ended,omitempty"`
	// DecryptionFailed says that the program could not be decrypted and did not run.
	DecryptionFailed bool `json:"decryptionFailed,omitempty"`
	// Failure is the reason why the program could not be started; "" if it was.
	Failure string `json:"failure,omitempty"`
}

// ErrTooLarge is returned for a frame over MaxPayload.
var ErrTooLarge = errors.New("protocol: frame too large")

// Conn sends and receives frames over a byte stream. Send is safe for concurrent
// use. Only one goroutine may call Receive.
type Conn struct {
	mu sync.Mutex
	w  io.Writer
	r  *bufio.Reader
}

// NewConn returns a Conn over rw.
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

// SendAll writes several frames at once, so that the peer wakes only once. It
// clears its copy of the frames, since they may contain secrets.
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

// Buffered reports whether all or part of the next frame has already been read from
// the stream.
func (c *Conn) Buffered() bool { return c.r.Buffered() > 0 }

// Receive reads one frame. The caller owns the payload.
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

// EncodeFile encodes the payload of a File frame.
func EncodeFile(path string, content []byte) []byte {
	b := make([]byte, 2, 2+len(path)+len(content))
	binary.BigEndian.PutUint16(b, uint16(len(path)))
	b = append(b, path...)
	return append(b, content...)
}

// DecodeFile decodes the payload of a File frame.
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
