package wire

import (
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Run is the JSON part of a KindRun message. The binary parts are the code, the
// standard input and the content of each file. For an encrypted program, the ciphertext
// is also a binary part.
type Run struct {
	// Job is the job without its binary parts. It also does not contain the password of
	// an encrypted program.
	Job pyth.Job
	// Events is true if the caller wants to receive events.
	Events bool
	// Trace identifies the caller's trace, in the format of the header traceparent. It
	// is "" if there is no trace.
	Trace string `json:",omitempty"`
	// Password is the sealed password of an encrypted program. It is empty if the
	// job contains no password.
	Password []byte
}

// EncodeRun returns a KindRun message. The parameter "trace" is the value of Run.Trace.
// EncodeRun encrypts a password with the function "seal", so that only the worker can
// read it.
func EncodeRun(job *pyth.Job, events bool, trace string, seal func([]byte) ([]byte, error)) ([]byte, error) {
	run := &Run{Job: *job, Events: events, Trace: trace}
	blobs := [][]byte{job.Code, job.Stdin}
	run.Job.Code, run.Job.Stdin, run.Job.Files = nil, nil, nil
	for _, f := range job.Files {
		run.Job.Files = append(run.Job.Files, pyth.File{Path: f.Path})
		blobs = append(blobs, f.Content)
	}
	if e := job.Encrypted; e != nil {
		copied := *e
		copied.Password = nil
		if len(e.Password) > 0 {
			var err error
			if run.Password, err = seal(e.Password); err != nil {
				return nil, err
			}
		}
		if e.Code != nil {
			code := *e.Code
			blobs = append(blobs, code.Ciphertext)
			code.Ciphertext = nil
			copied.Code = &code
		}
		run.Job.Encrypted = &copied
	}
	return Encode(KindRun, run, blobs...)
}

// DecodeRun decodes a KindRun message. It returns ErrInvalid if the job is not
// complete. The job shares the memory of the message.
func DecodeRun(m *Message) (*Run, error) {
	run := new(Run)
	if err := m.Into(run); err != nil {
		return nil, err
	}
	job, blobs := &run.Job, m.Blobs
	want := 2 + len(job.Files)
	if job.Encrypted != nil && job.Encrypted.Code != nil {
		want++
	}
	if len(blobs) != want || !complete(job) {
		return nil, ErrInvalid
	}
	job.Code, job.Stdin = blobs[0], blobs[1]
	for i := range job.Files {
		job.Files[i].Content = blobs[2+i]
	}
	if job.Encrypted != nil && job.Encrypted.Code != nil {
		job.Encrypted.Code.Ciphertext = blobs[want-1]
	}
	return run, nil
}

// The function "complete" reports whether the job has an ID, a known language, and
// valid limits. Without this check, an invalid job could exceed the limits of the
// sandbox pool.
func complete(job *pyth.Job) bool {
	l := job.Limits
	return job.ID != "" && job.Language.Known() && job.Timeout > 0 && job.Network.Gateway == "" &&
		l.MemoryBytes > 0 && l.CPU >= 0 && l.OutputBytes > 0 && l.DiskBytes > 0 && l.Processes > 0
}

// EncodeOutcome returns a KindOutcome message. The binary parts are the two output
// streams and the content of each file.
func EncodeOutcome(o *pyth.Outcome) ([]byte, error) {
	meta := *o
	blobs := make([][]byte, 0, 2+len(o.Files))
	blobs = append(blobs, o.Stdout, o.Stderr)
	meta.Stdout, meta.Stderr, meta.Files = nil, nil, nil
	for _, f := range o.Files {
		meta.Files = append(meta.Files, pyth.File{Path: f.Path})
		blobs = append(blobs, f.Content)
	}
	return Encode(KindOutcome, &meta, blobs...)
}

// DecodeOutcome decodes a KindOutcome message. The outcome shares the memory of the
// message.
func DecodeOutcome(m *Message) (*pyth.Outcome, error) {
	o := new(pyth.Outcome)
	if err := m.Into(o); err != nil {
		return nil, err
	}
	if len(m.Blobs) != 2+len(o.Files) || !possible(o) {
		return nil, ErrInvalid
	}
	o.Stdout, o.Stderr = emptyAsNil(m.Blobs[0]), emptyAsNil(m.Blobs[1])
	for i := range o.Files {
		o.Files[i].Content = m.Blobs[2+i]
	}
	return o, nil
}

func emptyAsNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// The function "possible" reports whether the outcome is a valid outcome of a run.
func possible(o *pyth.Outcome) bool {
	known := false
	for _, s := range pyth.Statuses() {
		known = known || s == o.Status
	}
	u := o.Usage
	return known && (o.ExitCode == nil || *o.ExitCode >= 0 && *o.ExitCode <= 255) &&
		u.Wall >= 0 && u.CPU >= 0 && u.Queued >= 0 && u.MemoryPeakBytes >= 0 && o.Redactions >= 0
}

// EncodeOutput returns a KindOutput message.
func EncodeOutput(stream pyth.Stream, b []byte) ([]byte, error) { return Encode(KindOutput, stream, b) }

// Deliver decodes a message that contains an event. It passes the event to the
// parameter "events".
func Deliver(m *Message, events pyth.Events) error {
	switch m.Kind {
	case KindOutput:
		var stream pyth.Stream
		b, err := m.blob()
		if err == nil {
			err = m.Into(&stream)
		}
		if err != nil || stream != pyth.Stdout && stream != pyth.Stderr {
			return ErrInvalid
		}
		return events.Output(stream, b)
	case KindResult:
		var r pyth.Result
		if err := m.Into(&r); err != nil {
			return err
		}
		return events.Result(r)
	case KindFile:
		f := pyth.File{}
		b, err := m.blob()
		if err == nil {
			err = m.Into(&f.Path)
		}
		if err != nil {
			return ErrInvalid
		}
		f.Content = b
		return events.File(f)
	default:
		return ErrInvalid
	}
}

// Release is the JSON part of a KindRelease message.
type Release struct {
	// Secrets are the sealed secrets. The field is empty if there are no secrets.
	Secrets []byte
}

// Failure is the JSON part of a KindFailed message.
type Failure struct {
	Code         pyth.Code
	Message      string
	Fields       []pyth.FieldError
	RetryAfterMs int64
}

// EncodeFailure returns a KindFailed message. The message does not contain the cause of
// the error. Only the log of the worker contains the cause.
func EncodeFailure(err error) ([]byte, error) {
	return Encode(KindFailed, failure(err))
}

func failure(err error) *Failure {
	if e, ok := errors.AsType[*pyth.Error](err); ok {
		return &Failure{Code: e.Code, Message: e.Message, Fields: e.Fields, RetryAfterMs: e.RetryAfter.Milliseconds()}
	}
	return &Failure{Code: pyth.CodeInternal, Message: "The worker could not complete the request."}
}

// DecodeFailure returns the error in a KindFailed message.
func DecodeFailure(m *Message) error {
	var f Failure
	if err := m.Into(&f); err != nil {
		return err
	}
	return &pyth.Error{Code: f.Code, Message: f.Message, Fields: f.Fields, RetryAfter: time.Duration(f.RetryAfterMs) * time.Millisecond}
}
