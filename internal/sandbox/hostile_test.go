package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// fakeCgroup is a cgroup that reports no usage.
type fakeCgroup struct {
	cgroup.Group
	oom bool
}

func (fakeCgroup) CPU() time.Duration  { return 0 }
func (fakeCgroup) Memory() int64       { return 0 }
func (fakeCgroup) MemoryPeak() int64   { return 0 }
func (fakeCgroup) ResetPeak()          {}
func (g fakeCgroup) OutOfMemory() bool { return g.oom }

type readWriter struct {
	io.Reader
	io.Writer
}

// The function "scripted" returns a sandbox whose guest sends the given bytes. The host's
// messages are written to a writer, and the guest does not answer these messages.
func scripted(wire []byte, sent io.Writer) *Sandbox {
	s := &Sandbox{conn: protocol.NewConn(readWriter{bytes.NewReader(wire), sent}), group: fakeCgroup{}}
	s.meter = &meter{sandbox: s}
	return s
}

// receiveAll runs a job in a sandbox whose guest sends only the given bytes. It
// returns the error of receive.
func receiveAll(t testing.TB, oom bool, wire []byte) (*pyth.Outcome, error) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	s := scripted(wire, writer)
	s.socket, s.group = writer, fakeCgroup{oom: oom}
	r := &run{
		sandbox: s, outcome: new(pyth.Outcome), started: time.Now(),
		job: &pyth.Job{Limits: pyth.Limits{OutputBytes: 10, MemoryBytes: 1 << 20}},
	}
	exit, err := r.receive()
	return r.finish(exit, err), err
}

// encode encodes frames. The arguments are a kind, its payload, a kind, its
// payload, and so on.
func encode(frames ...any) []byte {
	var wire bytes.Buffer
	c := protocol.NewConn(&wire)
	for i := 0; i < len(frames); i += 2 {
		kind, ok := frames[i].(protocol.Kind)
		if !ok {
			panic("encode: arguments must be pairs of kind and payload")
		}
		var err error
		switch payload := frames[i+1].(type) {
		case []byte:
			err = c.Send(kind, payload)
		case protocol.Message:
			err = c.SendMessage(kind, payload)
		default:
			panic("encode: a payload must be bytes or a message")
		}
		if err != nil {
			panic(err)
		}
	}
	return wire.Bytes()
}

// TestAttack038HostileGuestIsDetected sends messages that violate the protocol.
// The host must report an error for each violation.
func TestAttack038HostileGuestIsDetected(t *testing.T) {
	ok := &protocol.Exit{}
	file := func(path string, size int) *protocol.File {
		return &protocol.File{Path: path, Content: make([]byte, size)}
	}
	var many []any
	for range maxOutputFiles + 1 {
		many = append(many, protocol.KindFile, file("f", 1), protocol.KindEnd, []byte{})
	}
	var skips []any
	for range maxSkipped + 1 {
		skips = append(skips, protocol.KindSkipped, &protocol.Skipped{Path: "f"})
	}
	for name, wire := range map[string][]byte{
		"sends nothing":               {},
		"ends within a frame":         {'o', 0, 0, 0, 9},
		"claims a gigantic frame":     {'o', 255, 255, 255, 255},
		"sends a second hello":        encode(protocol.KindHello, &protocol.Hello{}, protocol.KindExit, ok),
		"sends a message of the host": encode(protocol.KindJob, &protocol.Job{}, protocol.KindExit, ok),
		"sends an unknown kind":       encode(protocol.Kind('?'), []byte{}, protocol.KindExit, ok),
		"sends half a message":        encode(protocol.KindExit, []byte("{")),
		"sends half a file frame":     encode(protocol.KindFile, []byte{0, 9}, protocol.KindExit, ok),
		"sends too many files":        encode(append(many, protocol.KindExit, ok)...),
		"sends too large files":       encode(protocol.KindFile, file("f", maxOutputFileBytes+1), protocol.KindExit, ok),
		"sends too many pieces": encode(protocol.KindFile, file("f", maxOutputFileBytes), protocol.KindData, []byte("x"),
			protocol.KindEnd, []byte{}, protocol.KindExit, ok),
		"sends a piece without a file": encode(protocol.KindData, []byte("x"), protocol.KindExit, ok),
		"ends a file without a start":  encode(protocol.KindEnd, []byte{}, protocol.KindExit, ok),
		"begins a file within another": encode(protocol.KindFile, file("f", 1), protocol.KindFile, file("g", 1), protocol.KindExit, ok),
		"skips too many files":         encode(append(skips, protocol.KindExit, ok)...),
	} {
		t.Run("it "+name, func(t *testing.T) {
			o, err := receiveAll(t, false, wire)
			if err == nil || o.Status != pyth.StatusKilled || o.ExitCode != nil || o.Signal != "SIGKILL" {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
}

// TestReceiveOmitsIncompleteFiles checks that the host does not return a file if it has
// received only a part of it.
func TestReceiveOmitsIncompleteFiles(t *testing.T) {
	whole := []any{protocol.KindFile, &protocol.File{Path: "a"}, protocol.KindData, []byte("1"), protocol.KindData, []byte("2"), protocol.KindEnd, []byte{}}
	for name, last := range map[string][]any{
		"aborted":     {protocol.KindFile, &protocol.File{Path: "b", Content: []byte("x")}, protocol.KindAbort, []byte{}},
		"without end": {protocol.KindFile, &protocol.File{Path: "b", Content: []byte("x")}},
	} {
		o, err := receiveAll(t, false, encode(append(append(slices.Clone(whole), last...), protocol.KindExit, &protocol.Exit{})...))
		if err != nil || len(o.Files) != 1 || o.Files[0].Path != "a" || string(o.Files[0].Content) != "12" {
			t.Errorf("%s: got %+v, %v", name, o, err)
		}
	}
}

func TestReceiveLimitsTheMediaTypesOfAResult(t *testing.T) {
	forms := make(map[string][]byte)
	for i := range 200_000 {
		forms[fmt.Sprintf("text/f%d", i)] = nil
	}
	o, err := receiveAll(t, false, encode(protocol.KindResult, protocol.EncodeResult(forms), protocol.KindExit, &protocol.Exit{}))
	if err != nil || o.Status != pyth.StatusSucceeded || len(o.Results) != 1 || len(o.Results[0]) != maxForms || !o.ResultsTruncated {
		t.Errorf("%d results, truncated %v, %v", len(o.Results), o.ResultsTruncated, err)
	}
}

// TestAttack038InvalidFileNameIsSkipped sends an invalid file name. This does not
// prove that the guest is hostile, so the host must skip the file and continue
// the run.
func TestAttack038InvalidFileNameIsSkipped(t *testing.T) {
	for _, name := range []string{"", ".", "/x", "../x", "a//b", "a\nb", "a\xff", "a\u202eb", strings.Repeat("a/", 64) + "f", strings.Repeat("n", 1<<15)} {
		o, err := receiveAll(t, false, encode(protocol.KindFile, &protocol.File{Path: name, Content: []byte("x")}, protocol.KindEnd, []byte{}, protocol.KindExit, &protocol.Exit{}))
		if err != nil || o.Status != pyth.StatusSucceeded || len(o.Files) != 0 || len(o.FilesSkipped) != 1 {
			t.Errorf("%.20q: got %+v, %v", name, o, err)
			continue
		}
		if f := o.FilesSkipped[0]; f.Reason == "" || len(f.Path) > 1100 || strings.ContainsAny(f.Path, "\n\u202e") || !utf8.ValidString(f.Path) {
			t.Errorf("%.20q is skipped as %+v", name, f)
		}
	}
}

func TestFinishUsesKernelStatus(t *testing.T) {
	code := func(n int) *int { return &n }
	report := &protocol.Report{Name: "ValueError", Message: strings.Repeat("m", 1<<20), Line: -3}
	for name, c := range map[string]struct {
		wire []byte
		oom  bool
		want pyth.Outcome
	}{
		"an exit": {
			wire: encode(protocol.KindExit, &protocol.Exit{Code: 0}),
			want: pyth.Outcome{Status: pyth.StatusSucceeded, ExitCode: code(0)},
		},
		"an exit code": {
			wire: encode(protocol.KindExit, &protocol.Exit{Code: 3}),
			want: pyth.Outcome{Status: pyth.StatusFailed, ExitCode: code(3)},
		},
		"an exit code out of range": {
			wire: encode(protocol.KindExit, &protocol.Exit{Code: 1<<20 + 1}),
			want: pyth.Outcome{Status: pyth.StatusFailed, ExitCode: code(1)},
		},
		"a signal": {
			wire: encode(protocol.KindExit, &protocol.Exit{Signal: 11}),
			want: pyth.Outcome{Status: pyth.StatusFailed, Signal: "SIGSEGV"},
		},
		"an unknown signal": {
			wire: encode(protocol.KindExit, &protocol.Exit{Signal: 99}),
			want: pyth.Outcome{Status: pyth.StatusFailed, Signal: "SIGRTMIN+65"},
		},
		"SIGKILL": {
			wire: encode(protocol.KindExit, &protocol.Exit{Signal: 9}),
			want: pyth.Outcome{Status: pyth.StatusKilled, Signal: "SIGKILL"},
		},
		"a timeout": {
			wire: encode(protocol.KindExit, &protocol.Exit{Signal: 9, TimedOut: true}),
			want: pyth.Outcome{Status: pyth.StatusTimedOut, Signal: "SIGKILL"},
		},
		"too much output": {
			wire: encode(protocol.KindStdout, []byte("0123456789+"), protocol.KindExit, &protocol.Exit{Signal: 9, Stopped: true}),
			want: pyth.Outcome{Status: pyth.StatusOutputLimit, Signal: "SIGKILL", Stdout: []byte("0123456789"), StdoutTruncated: true},
		},
		"a sandbox that the kernel killed for memory": {
			oom:  true,
			want: pyth.Outcome{Status: pyth.StatusOutOfMemory, Signal: "SIGKILL", Usage: pyth.Usage{MemoryPeakBytes: 1 << 20}},
		},
		"a guest that could not start the program": {
			wire: encode(protocol.KindExit, &protocol.Exit{Failure: "no"}),
			want: pyth.Outcome{Status: pyth.StatusKilled, Signal: "SIGKILL"},
		},
		"an exception report of a program that succeeded": {
			wire: encode(protocol.KindReport, report, protocol.KindExit, &protocol.Exit{}),
			want: pyth.Outcome{Status: pyth.StatusSucceeded, ExitCode: code(0)},
		},
		"an exception with a long message": {
			wire: encode(protocol.KindReport, report, protocol.KindExit, &protocol.Exit{Code: 1}),
			want: pyth.Outcome{Status: pyth.StatusFailed, ExitCode: code(1), Error: &pyth.ProgramError{
				Name: "ValueError", Message: strings.Repeat("m", maxReported),
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := receiveAll(t, c.oom, c.wire)
			got.Usage.Wall = 0
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(encode(protocol.KindStdout, []byte("x"), protocol.KindExit, &protocol.Exit{Code: 1}))
	f.Add(encode(protocol.KindFile, &protocol.File{Path: "a", Content: []byte("b")}, protocol.KindData, []byte("c"), protocol.KindEnd, []byte{}, protocol.KindSkipped, &protocol.Skipped{Path: "\n"}, protocol.KindExit, &protocol.Exit{}))
	f.Add(encode(protocol.KindReport, &protocol.Report{}, protocol.KindExit, &protocol.Exit{Signal: 40}))
	f.Fuzz(func(t *testing.T, wire []byte) {
		o, err := receiveAll(t, false, wire)
		if len(o.Stdout) > 10 || len(o.Stderr) > 10 || len(o.Files) > maxOutputFiles || len(o.FilesSkipped) > maxSkipped {
			t.Errorf("the outcome exceeds the limits: %+v", o)
		}
		if (o.ExitCode == nil) == (o.Signal == "") {
			t.Errorf("the outcome needs either an exit code or a signal: %+v", o)
		}
		if err != nil && o.Status == pyth.StatusSucceeded {
			t.Errorf("the run succeeded despite a protocol violation: %+v", o)
		}
		if _, err := json.Marshal(o); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}
