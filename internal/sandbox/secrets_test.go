package sandbox

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

func TestStartSendsNoSecretsBeforeRelease(t *testing.T) {
	values := []pyth.SecretValue{{Name: "TOKEN", Value: []byte("canary")}}
	for name, tt := range map[string]struct {
		session pyth.SessionID
		// The field "before" is true if the host sends the job before Release is called.
		// The secrets of the job are sent later.
		before bool
	}{
		"a job":              {before: true},
		"a job in a session": {session: "ses"},
	} {
		start := func(t *testing.T) (*Sandbox, pyth.Run, *bytes.Buffer) {
			wire := new(bytes.Buffer)
			s := scripted(encode(protocol.KindExit, &protocol.Exit{}), wire)
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			t.Cleanup(func() { writer.Close() })
			s.socket = writer         // The run sets deadlines on the socket.
			s.granted.pids = hostPids // The job's limits are already set.
			job := &pyth.Job{Code: []byte("the code"), Timeout: time.Minute, Session: tt.session, SecretsFollow: true}
			r, err := s.Start(t.Context(), job, nil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(wire.String(), "the code") != tt.before {
				t.Errorf("before Release the guest got %q", wire)
			}
			return s, r, wire
		}
		t.Run(name+" that is released", func(t *testing.T) {
			s, r, wire := start(t)
			o, err := r.Release(t.Context(), values)
			if err != nil || o.Status != pyth.StatusSucceeded || s.broken != nil {
				t.Errorf("%+v, %v; broken: %v", o, err, s.broken)
			}
			sent := wire.String()
			code, secret, started := strings.Index(sent, "the code"), strings.Index(sent, "TOKEN=canary"), strings.LastIndexByte(sent, byte(protocol.KindStart))
			if code < 0 || secret < code || started < secret {
				t.Errorf("the guest got %q", sent)
			}
		})
		t.Run(name+" that is abandoned", func(t *testing.T) {
			s, r, wire := start(t)
			before := wire.String()
			r.Abandon()
			if (s.broken != nil) != tt.before || wire.String() != before {
				t.Errorf("broken: %v; the guest got %q", s.broken, wire)
			}
		})
	}
}

func TestStartStartsAProgramWithoutSecretsAtOnce(t *testing.T) {
	wire := new(bytes.Buffer)
	s := scripted(encode(protocol.KindExit, &protocol.Exit{}), wire)
	s.granted.pids = hostPids
	r, err := s.Start(t.Context(), &pyth.Job{Code: []byte("the code"), Timeout: time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := wire.String()
	if !strings.HasSuffix(sent, string(protocol.KindStart)+"\x00\x00\x00\x00") {
		t.Errorf("before Release the guest got %q", sent)
	}
	if o, err := r.Release(t.Context(), nil); err != nil || o.Status != pyth.StatusSucceeded || wire.String() != sent {
		t.Errorf("%+v, %v; the guest got %q", o, err, wire)
	}
}
