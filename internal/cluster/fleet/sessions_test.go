package fleet_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
)

func TestSessionStaysOnItsWorker(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		spec := &pyth.SessionSpec{ID: "session", Tenant: "user", Language: pyth.Python, Limits: pyth.DefaultLimits()}
		if err := c.fleet.OpenSession(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		job := newJob("a", "user", "")
		job.Session = "session"
		c.run(job, nil)
		m := c.on()
		large := strings.Repeat("content ", 500_000)
		if created, err := c.fleet.WriteSessionFile(t.Context(), "session", "f", strings.NewReader(large)); err != nil || !created {
			t.Error(created, err)
		}
		if created, err := c.fleet.WriteSessionFile(t.Context(), "session", "f", strings.NewReader(large)); err != nil || created {
			t.Error(created, err)
		}
		read := func(path string) (string, error) {
			var got []byte
			err := c.fleet.ReadSessionFile(t.Context(), "session", path, func(size int64, content io.Reader) (err error) {
				if got, err = io.ReadAll(content); int64(len(got)) != size {
					t.Errorf("%d of %d bytes", len(got), size)
				}
				return err
			})
			return string(got), err
		}
		if got, err := read("f"); err != nil || got != large {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := read("absent"); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Error(err)
		}
		stop := errors.New("stop")
		if err := c.fleet.ReadSessionFile(t.Context(), "session", "f", func(int64, io.Reader) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
		// If the server stops before it has read the whole file, the session must
		// continue.
		if _, err := c.fleet.WriteSessionFile(t.Context(), "session", "slow", strings.NewReader(large)); err != nil {
			t.Error(err)
		}
		if err := c.fleet.ReadSessionFile(t.Context(), "session", "slow", func(int64, io.Reader) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := c.fleet.DeleteSessionFile(t.Context(), "session", "slow"); err != nil {
			t.Errorf("after an interrupted transfer: %v", err)
		}
		if _, err := c.fleet.WriteSessionFile(t.Context(), "session", "full", strings.NewReader(large)); pyth.ErrorCode(err) != pyth.CodeTooLarge {
			t.Error(err)
		}
		if _, err := c.fleet.WriteSessionFile(t.Context(), "session", "g", io.MultiReader(strings.NewReader("part"), iotest.ErrReader(stop))); !errors.Is(err, stop) {
			t.Error(err)
		}
		if files, err := c.fleet.SessionFiles(t.Context(), "session"); err != nil || len(files) != 1 || files[0].Path != "f" || !files[0].ModifiedAt.Equal(time.UnixMilli(1)) {
			t.Error(files, err)
		}
		if err := c.fleet.DeleteSessionFile(t.Context(), "session", "f"); err != nil {
			t.Error(err)
		}
		c.fleet.CloseSession("session")
		m.change(func() {
			if len(m.sessions) != 0 {
				t.Error("the session is still open")
			}
		})
		if _, err := c.fleet.Start(t.Context(), job, nil); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Error(err)
		}
	})
}

func TestSessionOfLostWorkerEnds(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		spec := &pyth.SessionSpec{ID: "session", Tenant: "user", Language: pyth.Python, Limits: pyth.DefaultLimits()}
		if err := c.fleet.OpenSession(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		m := c.machines[0]
		time.Sleep(time.Second)
		m.bus.Cut(true)
		time.Sleep(10 * time.Second)
		if _, err := c.fleet.SessionFiles(t.Context(), "session"); pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Error(err)
		}
		m.bus.Cut(false)
		time.Sleep(3 * time.Second)
		if _, err := c.fleet.SessionFiles(t.Context(), "session"); err != nil {
			t.Errorf("the session did not come back: %v", err)
		}
		m.kill()
		time.Sleep(10 * time.Second)
		if _, err := c.fleet.SessionFiles(t.Context(), "session"); pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.fleet.SessionFiles(t.Context(), "session"); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Error(err)
		}
		m.change(func() {
			if len(m.sessions) != 0 {
				t.Error("the worker keeps the session of a lost server")
			}
		})
	})
}

func TestServersFindSessionsOfEachOther(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		bus := c.hub.Bus()
		defer bus.Close()
		other, err := fleet.New(fleet.Config{Bus: bus, Token: token, Images: c.images, Observer: noObserver{}, Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		time.Sleep(time.Second)
		r, err := c.fleet.Reserve(t.Context(), "user", pyth.Layers{}, "reservation")
		if err != nil || !strings.HasPrefix(string(r.PublicKey), "key of ") || time.Until(r.ExpiresAt) < 50*time.Second {
			t.Fatal(r, err)
		}
		job := newJob("a", "user", "")
		job.Encrypted = &pyth.EncryptedJob{Name: "n", Code: &pyth.EncryptedProgram{Language: pyth.Python}, Sealed: []byte("x"), Sandbox: "reservation"}
		if o, err := pyth.Dispatch(t.Context(), other, job, nil); err != nil || o.Status != pyth.StatusSucceeded {
			t.Error(o, err)
		}
		if _, err := pyth.Dispatch(t.Context(), c.fleet, job, nil); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Error(err)
		}
	})
}
