package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/yamux"
	"pgregory.net/rapid"
)

// countedWrites counts the writes that reach the connection.
type countedWrites struct {
	io.ReadWriteCloser
	writes atomic.Int32
}

func (c *countedWrites) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.ReadWriteCloser.Write(b)
}

// TestJoinWritesCarriesStreams sends bodies of many sizes in both directions of a stream.
func TestJoinWritesCarriesStreams(t *testing.T) {
	a, b := net.Pipe()
	client, err := yamux.Client(JoinWrites(a), StreamsConfig())
	if err != nil {
		t.Fatal(err)
	}
	server, err := yamux.Server(JoinWrites(b), StreamsConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	go func() {
		for {
			x, err := server.AcceptStream()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(x, x)
				_ = x.Close()
			}()
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		x, err := client.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = x.Close() }()
		for _, size := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 64), rapid.IntRange(maxJoined-20, maxJoined+20), rapid.IntRange(1, 200<<10)), 1, 6).Draw(t, "sizes") {
			sent := bytes.Repeat([]byte{byte(size)}, size)
			sending := make(chan error, 1)
			go func() {
				_, err := x.Write(sent)
				sending <- err
			}()
			received := make([]byte, size)
			if _, err := io.ReadFull(x, received); err != nil {
				t.Fatal(err)
			}
			if err := <-sending; err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sent, received) {
				t.Fatalf("a body of %d bytes came back changed", size)
			}
		}
	})
}

func TestJoinWritesJoins(t *testing.T) {
	header := func(kind, length byte) []byte { return []byte{0, kind, 0, 0, 0, 0, 0, 1, 0, 0, 0, length} }
	type test struct {
		writes [][]byte
		want   int32
	}
	for name, test := range map[string]test{
		"header and body":         {[][]byte{header(muxData, 3), []byte("abc")}, 1},
		"body like a header":      {[][]byte{header(muxData, 12), header(muxData, 12), header(muxData, 1), []byte("a")}, 2},
		"end of a stream":         {[][]byte{header(muxData, 0), header(muxData, 0)}, 2},
		"window update with size": {[][]byte{header(1, 9), header(1, 9)}, 2},
		"large body":              {[][]byte{header(muxData, 255), make([]byte, maxJoined+1)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			counted := &countedWrites{ReadWriteCloser: a}
			joined := JoinWrites(counted)
			received := make(chan []byte, 1)
			go func() {
				all, _ := io.ReadAll(b)
				received <- all
			}()
			for _, w := range test.writes {
				if n, err := joined.Write(w); n != len(w) || err != nil {
					t.Fatalf("write of %d bytes: %d, %v", len(w), n, err)
				}
			}
			_ = joined.Close()
			if got, want := <-received, bytes.Join(test.writes, nil); !bytes.Equal(got, want) {
				t.Errorf("received %q, want %q", got, want)
			}
			if got := counted.writes.Load(); got != test.want {
				t.Errorf("%d writes, want %d", got, test.want)
			}
		})
	}
}

func TestJoinWritesReportsErrors(t *testing.T) {
	a, b := net.Pipe()
	_ = b.Close()
	joined := JoinWrites(a)
	if _, err := joined.Write([]byte{0, muxData, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := joined.Write([]byte("a")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("wrote %d bytes, error %v", n, err)
	}
}
