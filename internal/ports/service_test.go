package ports_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/ports"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// sessions contains only the session "s" of the user "u". The function "agent" serves its
// streams.
type sessions struct {
	agent func(kind protocol.Kind, payload []byte, conn *protocol.Conn)
}

func (s sessions) Session(_ context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	if user != "u" || id != "s" {
		return nil, pyth.Errorf(pyth.CodeNotFound, "The session does not exist.")
	}
	return &pyth.Session{ID: id}, nil
}

func (s sessions) Stream(ctx context.Context, user pyth.UserID, id pyth.SessionID) (io.ReadWriteCloser, error) {
	if _, err := s.Session(ctx, user, id); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		conn := protocol.NewStream(theirs)
		if kind, payload, err := conn.Receive(); err == nil {
			s.agent(kind, payload, conn)
		}
	}()
	return ours, nil
}

func wantCode(t *testing.T, err error, want pyth.Code) {
	t.Helper()
	if got := pyth.ErrorCode(err); got != want {
		t.Errorf("got %v, not %s", err, want)
	}
}

func newService(now *time.Time, agent func(protocol.Kind, []byte, *protocol.Conn)) *ports.Service {
	return ports.New(ports.Config{Sessions: sessions{agent}, Key: bytes.Repeat([]byte("k"), ports.KeyBytes), Clock: func() time.Time { return *now }})
}

func TestSharesAreBoundAndExpire(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	s := newService(&now, nil)
	share, err := s.SharePort(t.Context(), "u", "s", 8000, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	user, end, err := s.CheckPortShare("s", 8000, share.Signature)
	if err != nil || user != "u" || !end.Equal(now.Add(time.Hour)) || !share.ExpiresAt.Equal(end) {
		t.Errorf("got %s, %v, %v", user, end, err)
	}
	for _, forged := range []struct {
		session   pyth.SessionID
		port      int
		signature string
	}{
		{"s2", 8000, share.Signature},
		{"s", 8001, share.Signature},
		{"s\x008000", 8000, share.Signature},
		{"s", 8000, ""},
		{"s", 8000, "AAAA"},
		{"s", 8000, share.Signature[:len(share.Signature)-1]},
		{"s", 8000, share.Signature + "A"},
		{"s", 8000, "A" + share.Signature[1:]},
		{"s", 8000, strings.ToUpper(share.Signature)},
	} {
		_, _, err := s.CheckPortShare(forged.session, forged.port, forged.signature)
		wantCode(t, err, pyth.CodeUnauthenticated)
	}
	other := ports.New(ports.Config{Sessions: sessions{}, Key: bytes.Repeat([]byte("x"), ports.KeyBytes), Clock: time.Now})
	_, _, err = other.CheckPortShare("s", 8000, share.Signature)
	wantCode(t, err, pyth.CodeUnauthenticated)
	now = now.Add(time.Hour)
	_, _, err = s.CheckPortShare("s", 8000, share.Signature)
	wantCode(t, err, pyth.CodeUnauthenticated)
	_, err = s.SharePort(t.Context(), "other", "s", 8000, time.Hour)
	wantCode(t, err, pyth.CodeNotFound)
	for _, port := range []int{-1, 0, 65536, 3128} {
		_, err = s.SharePort(t.Context(), "u", "s", port, time.Hour)
		wantCode(t, err, pyth.CodeInvalid)
		_, err = s.DialPort(t.Context(), "u", "s", port)
		wantCode(t, err, pyth.CodeInvalid)
	}
}

func TestDialRelaysBytes(t *testing.T) {
	now := time.Now()
	s := newService(&now, func(kind protocol.Kind, payload []byte, conn *protocol.Conn) {
		var d protocol.Dial
		if kind != protocol.KindDial || protocol.Decode(payload, &d) != nil || d.Port != 8000 {
			t.Errorf("got %q %q", kind, payload)
		}
		_ = conn.SendMessage(protocol.KindDone, &protocol.Done{})
		for {
			kind, data, err := conn.Receive()
			if err != nil || kind != protocol.KindData {
				return
			}
			if bytes.HasSuffix(data, []byte("!")) {
				_ = conn.Send(protocol.KindData, bytes.ToUpper(data))
				_ = conn.Send(protocol.KindEnd, nil)
			}
		}
	})
	c, err := s.DialPort(t.Context(), "u", "s", 8000)
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 400_000)
	if n, err := io.WriteString(c, large+"end!"); n != len(large)+4 || err != nil {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), "END!") || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("a closed connection was written")
	}
	_, err = s.DialPort(t.Context(), "other", "s", 8000)
	wantCode(t, err, pyth.CodeNotFound)
}

func TestDialExplainsFailures(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		answer func(*protocol.Conn)
		want   pyth.Code
	}{
		{func(c *protocol.Conn) { _ = c.SendMessage(protocol.KindDone, &protocol.Done{Failure: "ECONNREFUSED"}) }, pyth.CodePortUnavailable},
		{func(c *protocol.Conn) { _ = c.SendMessage(protocol.KindHello, &protocol.Done{}) }, pyth.CodeUnavailable},
		{func(c *protocol.Conn) { _ = c.Send(protocol.KindDone, []byte("x")) }, pyth.CodeUnavailable},
		{func(*protocol.Conn) {}, pyth.CodeNotFound},
	} {
		s := newService(&now, func(_ protocol.Kind, _ []byte, conn *protocol.Conn) { test.answer(conn) })
		_, err := s.DialPort(t.Context(), "u", "s", 8000)
		wantCode(t, err, test.want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := newService(&now, func(_ protocol.Kind, _ []byte, conn *protocol.Conn) { cancel(); _, _, _ = conn.Receive() })
	if _, err := s.DialPort(ctx, "u", "s", 8000); err == nil {
		t.Error("a canceled call has succeeded")
	}
}
