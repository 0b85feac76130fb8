package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

type frame struct {
	Kind    protocol.Kind
	Payload []byte
}

// readWriter combines an independent reader and writer.
type readWriter struct {
	io.Reader
	io.Writer
}

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	var wire bytes.Buffer
	want := []frame{
		{protocol.KindStdout, []byte("hello")},
		{protocol.KindStart, []byte{}},
		{protocol.KindStderr, bytes.Repeat([]byte{0, 255}, 100_000)},
	}
	sender := protocol.NewConn(&wire)
	for _, f := range want {
		if err := sender.Send(f.Kind, f.Payload); err != nil {
			t.Fatal(err)
		}
	}
	receiver := protocol.NewConn(&wire)
	var got []frame
	for {
		kind, payload, err := receiver.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, frame{kind, payload})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATooLargeFrameIsRefusedBeforeAllocation(t *testing.T) {
	header := binary.BigEndian.AppendUint32([]byte{'o'}, protocol.MaxPayload+1)
	c := protocol.NewConn(readWriter{bytes.NewReader(header), io.Discard})
	if _, _, err := c.Receive(); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := c.Send(protocol.KindStdout, make([]byte, protocol.MaxPayload+1)); !errors.Is(err, protocol.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestATruncatedFrameIsAnError(t *testing.T) {
	for name, wire := range map[string][]byte{
		"in the header":  {'o', 0, 0},
		"in the payload": {'o', 0, 0, 0, 9, 'x'},
	} {
		t.Run(name, func(t *testing.T) {
			c := protocol.NewConn(readWriter{bytes.NewReader(wire), io.Discard})
			if _, _, err := c.Receive(); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAFileKeepsItsPathAndContent(t *testing.T) {
	for _, path := range []string{"", "a", "dir/ü", string(bytes.Repeat([]byte{'n'}, 5000))} {
		got, content, err := protocol.DecodeFile(protocol.EncodeFile(path, []byte("content\x00")))
		if err != nil || got != path || string(content) != "content\x00" {
			t.Errorf("%q: got %q, %q, %v", path, got, content, err)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{'o', 0, 0, 0, 1, 'x', 'X', 0, 0, 0, 2, '{', '}'})
	f.Add([]byte{'o', 255, 255, 255, 255})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := protocol.NewConn(readWriter{bytes.NewReader(wire), io.Discard})
		var back bytes.Buffer
		again := protocol.NewConn(&back)
		for {
			kind, payload, err := c.Receive()
			if err != nil {
				break
			}
			if err := again.Send(kind, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(wire, back.Bytes()) {
			t.Errorf("%q was read as %q", wire, back.Bytes())
		}
	})
}

func FuzzDecodeFile(f *testing.F) {
	f.Add(protocol.EncodeFile("a/b", []byte("c")))
	f.Add([]byte{0, 9, 'x'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		path, content, err := protocol.DecodeFile(b)
		if err == nil && !bytes.Equal(protocol.EncodeFile(path, content), b) {
			t.Errorf("%q was read as %q and %q", b, path, content)
		}
	})
}
