package protocol_test

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// messages returns one message of each type. No field is zero. In each message,
// fields of the same type have different values, except booleans. So the tests
// detect missing and swapped fields.
func messages() []protocol.Message {
	return []protocol.Message{
		&protocol.Prepare{Language: "python", DiskBytes: 1 << 40, Preload: []string{"numpy", "", "ü"}, RollbackRuns: 2, RollbackCPUMs: 3},
		&protocol.Hello{Version: 6, Restored: true, Reason: "threads"},
		&protocol.Job{
			Language: "python", Program: "main.py", Args: []string{"a", ""}, Env: []string{"A=1", "B=\x00\xff"}, OutputFiles: []string{"*"},
			TimeoutMs: 1, MemoryBytes: 2, DiskBytes: 3, Processes: 4, MaxFiles: 5, MaxBytes: 6, Results: true, Network: true, Session: true,
		},
		&protocol.Serve{Processes: 1, Network: true, Env: []string{"A=1"}},
		&protocol.File{Path: "dir/ü", Content: []byte("content\x00")},
		&protocol.Encrypted{
			Language: "python", Name: "n", Salt: []byte("salt"), Time: math.MaxUint32, MemoryKiB: 2, Parallelism: 255, Nonce: []byte("nonce"), Sandbox: "s",
		},
		&protocol.Entry{Path: "f", SizeBytes: 1, ModifiedMs: math.MinInt64},
		&protocol.Done{Created: true, SizeBytes: math.MaxInt64, Failure: "ENOENT"},
		&protocol.FileRequest{Path: "p", To: "t", Overwrite: true, Recursive: true, Depth: 1, Format: "f"},
		&protocol.Node{Path: "p", Type: "t", SizeBytes: 1, ModifiedMs: 2, Mode: 3, Target: "l"},
		&protocol.Range{Offset: 1, Length: 2},
		&protocol.Event{Type: "t", Path: "p", From: "f", Directory: true},
		&protocol.Dial{Port: 1},
		&protocol.Unpacked{Entries: 1, Failure: "f", Entry: "e", Reason: "r"},
		&protocol.Report{Name: "ValueError", Message: "m", Traceback: "t", Line: -1},
		&protocol.Skipped{Path: "p", Reason: "r"},
		&protocol.Exit{Code: 1, Signal: 9, TimedOut: true, Stopped: true, Ended: true, DecryptionFailed: true, Restorable: true, Failure: "f"},
		&protocol.Imports{Names: []string{"json", "re"}},
		&protocol.Launch{Mode: protocol.ModeSession, Program: "p", Options: "o", TimeoutMs: 1, MemoryBytes: 2, Args: []string{"a"}, Env: []string{"A=1"}, Source: []byte("s")},
		&protocol.Run{Results: true, TimeoutMs: 1, Code: []byte("c"), Stdin: []byte("i"), Args: []string{"a"}, Env: []string{"A=1"}},
		&protocol.StartProcess{
			Command: "c", Args: []string{"a"}, Dir: "d", Env: []string{"A=1"}, Name: "n", Stdin: true, Columns: 1, Rows: 2, TimeoutMs: 3, Follow: true,
		},
		&protocol.Process{
			ID: 1, Name: "n", Command: "c", Terminal: true, Exited: true, Code: 2, Signal: 3, TimedOut: true, StartedMs: 4, EndedMs: 5, OutputBytes: 6,
		},
		&protocol.WaitProcess{ID: 1, TimeoutMs: 2},
		&protocol.ReadProcess{ID: 1, After: 2, Follow: true},
		&protocol.Output{Stream: 1, Position: 2, Data: []byte("d")},
		&protocol.WriteProcess{ID: 1, Close: true},
		&protocol.SignalProcess{ID: 1, Signal: 2},
		&protocol.ResizeProcess{ID: 1, Columns: 2, Rows: 3},
		&protocol.Ended{Code: 3, Report: protocol.Report{Name: "n", Message: "m", Traceback: "t", Line: 4}},
	}
}

func newMessage(m protocol.Message) protocol.Message {
	n, ok := reflect.New(reflect.TypeOf(m).Elem()).Interface().(protocol.Message)
	if !ok {
		panic("the type of a message is not a message")
	}
	return n
}

func TestConnReceivesMessagesAsSent(t *testing.T) {
	for _, want := range messages() {
		t.Run(reflect.TypeOf(want).Elem().Name(), func(t *testing.T) {
			value := reflect.ValueOf(want).Elem()
			for i := range value.NumField() {
				if value.Field(i).IsZero() {
					t.Errorf("the test leaves out %s", value.Type().Field(i).Name)
				}
			}
			for _, m := range []protocol.Message{want, newMessage(want)} {
				payload, got := protocol.Encode(m), newMessage(m)
				if cap(payload) != len(payload) {
					t.Errorf("the payload of %d bytes was measured as %d", len(payload), cap(payload))
				}
				if err := protocol.Decode(payload, got); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(m, got, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
			}
			payload := protocol.Encode(want)
			for n := range payload {
				if err := protocol.Decode(payload[:n], newMessage(want)); !errors.Is(err, protocol.ErrMalformed) {
					t.Errorf("%d of %d bytes: got %v", n, len(payload), err)
				}
			}
			if err := protocol.Decode(append(payload, 0), newMessage(want)); !errors.Is(err, protocol.ErrMalformed) {
				t.Errorf("a surplus byte: got %v", err)
			}
		})
	}
}

func TestRecordRefusesInvalidFields(t *testing.T) {
	field := func(text string) []byte { return append([]byte{0, 0, 0, byte(len(text))}, text...) }
	whole := func(created, size string) []byte {
		return bytes.Join([][]byte{field(created), field(size), field("")}, nil)
	}
	if err := protocol.Decode(whole("1", "-9"), new(protocol.Done)); err != nil {
		t.Error(err)
	}
	for name, payload := range map[string][]byte{
		"no boolean":       whole("true", "0"),
		"an empty boolean": whole("", "0"),
		"no number":        whole("0", "x"),
		"an empty number":  whole("0", ""),
		"a fraction":       whole("0", "1.5"),
		"a large number":   whole("0", "9223372036854775808"),
	} {
		if err := protocol.Decode(payload, new(protocol.Done)); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	large := protocol.Encode(&protocol.Encrypted{Parallelism: 255})
	if err := protocol.Decode(bytes.Replace(large, []byte("255"), []byte("256"), 1), new(protocol.Encrypted)); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("a number that does not fit its type: got %v", err)
	}
	list := bytes.Join([][]byte{field("python"), field("0"), {0, 0, 0, 5, 0, 0, 0, 9, 'x'}}, nil)
	if err := protocol.Decode(list, new(protocol.Prepare)); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("a list with half an element: got %v", err)
	}
}

// FuzzDecode checks that a message stays the same if it is encoded and decoded
// again.
func FuzzDecode(f *testing.F) {
	for i, m := range messages() {
		f.Add(i, protocol.Encode(m))
	}
	f.Add(0, []byte{255, 255, 255, 255, 'x'})
	f.Fuzz(func(t *testing.T, i int, payload []byte) {
		all := messages()
		if i < 0 || i >= len(all) {
			return
		}
		got := newMessage(all[i])
		if protocol.Decode(payload, got) != nil {
			return
		}
		again := newMessage(got)
		if err := protocol.Decode(protocol.Encode(got), again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestResultKeepsForms(t *testing.T) {
	want := map[string][]byte{"text/plain": []byte("42"), "image/png": {0, 255}, "x/y": {}}
	if diff := cmp.Diff(want, maps.Collect(protocol.DecodeResult(protocol.EncodeResult(want)))); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(protocol.EncodeResult(map[string][]byte{"text/plain": []byte("42"), "a/b": nil}))
	f.Add([]byte{255, 255, 255, 255, 'x'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		size := 0
		for media, data := range protocol.DecodeResult(b) {
			size += 8 + len(media) + len(data)
		}
		if size > len(b) {
			t.Errorf("%d bytes were read as %d", len(b), size)
		}
	})
}
