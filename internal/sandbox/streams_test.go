package sandbox

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// guestOf returns a sandbox in a session, and the guest's end of the socket for streams.
func guestOf(t *testing.T) (*Sandbox, *os.File) {
	t.Helper()
	ours, theirs, err := connect("streams")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	fd, err := unix.Dup(int(theirs.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	guest := os.NewFile(uintptr(fd), "guest")
	s := &Sandbox{streams: streams{socket: ours, served: true, done: make(chan struct{})}, group: fakeCgroup{}, launcher: new(Launcher)}
	t.Cleanup(func() {
		_ = s.streams.close()
		_ = guest.Close()
	})
	return s, guest
}

func TestStreamsAreIndependentAndLimited(t *testing.T) {
	s, guest := guestOf(t)
	mux, err := yamux.Server(guest, protocol.StreamsConfig())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			stream, err := mux.AcceptStream()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(stream, stream); _ = stream.Close() }()
		}
	}()
	var all []io.ReadWriteCloser
	for range protocol.MaxStreams {
		x, err := s.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	if _, err := s.Stream(t.Context()); pyth.ErrorCode(err) != pyth.CodeTooManyExecutions {
		t.Errorf("got %v", err)
	}
	for i, x := range all {
		text := strings.Repeat("x", i+1)
		if _, err := io.WriteString(x, text); err != nil {
			t.Error(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(x, got); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	// Close ends a blocked Read, and makes room for another stream.
	read := make(chan error, 1)
	go func() {
		_, err := all[0].Read(make([]byte, 1))
		read <- err
	}()
	_, _ = all[0].Close(), all[0].Close()
	if err := <-read; err == nil {
		t.Error("a closed stream was read")
	}
	x, err := s.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The end of the sandbox ends all streams.
	if err := s.streams.close(); err != nil {
		t.Error(err)
	}
	if _, err := x.Read(make([]byte, 1)); err == nil {
		t.Error("a stream outlives its sandbox")
	}
	if _, err := s.Stream(t.Context()); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

func TestStreamsNeedSession(t *testing.T) {
	s, _ := guestOf(t)
	s.streams.served = false
	if _, err := s.Stream(t.Context()); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

// A hostile guest must neither block the host nor make it panic.
func TestStreamsOfHostileGuest(t *testing.T) {
	for name, hostile := range map[string]func(guest io.ReadWriter){
		"sends no frames of yamux": func(guest io.ReadWriter) { _, _ = io.WriteString(guest, strings.Repeat("\xff", 100_000)) },
		"opens streams": func(guest io.ReadWriter) {
			for id := uint32(2); id < 2000; id += 2 {
				header := []byte{0, 1, 0, 1, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0, 0, 0, 0}
				if _, err := guest.Write(header); err != nil {
					return
				}
			}
		},
		"sends more than the window": func(guest io.ReadWriter) {
			_, _ = guest.Write([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
			_, _ = guest.Write(make([]byte, 1<<20))
		},
		"says goodbye": func(guest io.ReadWriter) { _, _ = guest.Write([]byte{0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			s, guest := guestOf(t)
			x, err := s.Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, guest) }()
			done := make(chan bool)
			go func() {
				defer close(done)
				hostile(guest)
			}()
			time.AfterFunc(100*time.Millisecond, func() { _ = x.Close() })
			_, _ = x.Read(make([]byte, 10))
			_ = s.streams.close()
			<-done
		})
	}
}
