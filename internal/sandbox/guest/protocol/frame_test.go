package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// frames reads all frames of a stream, until an error.
func frames(r *protocol.Reader) (all []protocol.Frame, err error) {
	for {
		f, err := r.Next()
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
}

func TestConnReceivesFramesAsSent(t *testing.T) {
	var wire bytes.Buffer
	want := []protocol.Frame{
		{Kind: protocol.KindStdout, Payload: []byte("hello")},
		{Kind: protocol.KindStart, Payload: []byte{}},
		{Kind: protocol.KindStderr, Payload: bytes.Repeat([]byte{0, 255}, 100_000)},
	}
	if err := protocol.NewConn(&wire).SendAll(want...); err != nil {
		t.Fatal(err)
	}
	receiver := protocol.NewConn(&wire)
	var got []protocol.Frame
	for {
		kind, payload, err := receiver.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, protocol.Frame{Kind: kind, Payload: payload})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReceiveRefusesLargeFrameBeforeAllocation(t *testing.T) {
	for _, limit := range []int{0, 100, protocol.MaxPayload} {
		wire := binary.BigEndian.AppendUint32([]byte{'o'}, uint32(limit)+1)
		wire = append(wire, make([]byte, limit+1)...)
		if _, err := protocol.NewReader(bytes.NewReader(wire), limit).Next(); !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("maximum %d: got %v", limit, err)
		}
	}
	// The reader must refuse the size in this header before it allocates memory.
	huge := []byte{'o', 255, 255, 255, 255}
	if n := testing.AllocsPerRun(1, func() {
		if _, err := protocol.NewReader(bytes.NewReader(huge), protocol.MaxPayload).Next(); !errors.Is(err, protocol.ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	}); n > 4 {
		t.Errorf("%v allocations", n)
	}
	c := protocol.NewConn(new(bytes.Buffer))
	if err := c.Send(protocol.KindStdout, make([]byte, protocol.MaxPayload+1)); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestReceiveReportsTruncatedFrame(t *testing.T) {
	for name, wire := range map[string][]byte{
		"in the header":      {'o', 0, 0},
		"before the payload": {'o', 0, 0, 0, 9},
		"in the payload":     {'o', 0, 0, 0, 9, 'x'},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := protocol.NewReader(bytes.NewReader(wire), 10).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("got %v", err)
			}
		})
	}
}

var errNothing = errors.New("nothing to read for now")

// The type "slow" is a stream. Its method Read alternately returns errNothing and one
// byte.
type slow struct {
	rest []byte
	due  bool
}

func (s *slow) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	if s.due = !s.due; s.due {
		return 0, errNothing
	}
	b[0], s.rest = s.rest[0], s.rest[1:]
	return 1, nil
}

func TestNextContinuesAfterNoData(t *testing.T) {
	want := []protocol.Frame{{Kind: 'a', Payload: []byte("one")}, {Kind: 'b', Payload: []byte{}}, {Kind: 'c', Payload: []byte("two")}}
	wire, err := protocol.AppendFrames(nil, want...)
	if err != nil {
		t.Fatal(err)
	}
	r := protocol.NewReader(&slow{rest: wire}, 3)
	var got []protocol.Frame
	for err = errNothing; errors.Is(err, errNothing); {
		var more []protocol.Frame
		more, err = frames(r)
		got = append(got, more...)
	}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) || r.Buffered() {
		t.Errorf("%v, buffered %v: %s", err, r.Buffered(), diff)
	}
}

// FuzzReader checks that a reader finds the same frames whether the bytes come at
// once or one by one. Encoding the frames again must give the same bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte{'o', 0, 0, 0, 1, 'x', 'X', 0, 0, 0, 2, '{', '}'}, 1000)
	f.Add([]byte{'o', 255, 255, 255, 255}, protocol.MaxPayload)
	f.Add([]byte{'o', 0, 0, 0, 9, 'x'}, 9)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, wire []byte, limit int) {
		if limit < 0 || limit > protocol.MaxPayload {
			return
		}
		got, err := frames(protocol.NewReader(bytes.NewReader(wire), limit))
		back, encodeErr := protocol.AppendFrames(nil, got...)
		if encodeErr != nil || !bytes.HasPrefix(wire, back) {
			t.Errorf("%q was read as %q, %v", wire, back, encodeErr)
		}
		if errors.Is(err, io.EOF) && len(back) != len(wire) {
			t.Errorf("%d of %d bytes were read", len(back), len(wire))
		}
		if slices.ContainsFunc(got, func(f protocol.Frame) bool { return len(f.Payload) > limit }) {
			t.Errorf("a payload has more than %d bytes", limit)
		}
		r := protocol.NewReader(&slow{rest: wire}, limit)
		var bySteps []protocol.Frame
		stepErr := errNothing
		for errors.Is(stepErr, errNothing) {
			var more []protocol.Frame
			more, stepErr = frames(r)
			bySteps = append(bySteps, more...)
		}
		if diff := cmp.Diff(got, bySteps); diff != "" || !errors.Is(stepErr, err) {
			t.Errorf("%v and %v: %s", err, stepErr, diff)
		}
	})
}
