package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/session"
)

func TestOpenSession(t *testing.T) {
	runScene(t, "sets the defaults", nil, func(s *scene) {
		x := s.open()
		want := &pyth.Session{
			ID: x.ID, Language: pyth.Python, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(10 * time.Minute), IdleTimeout: 10 * time.Minute,
		}
		if diff := cmp.Diff(want, x); diff != "" {
			s.Error(diff)
		}
		wantSpec := &pyth.SessionSpec{
			ID: x.ID, Tenant: "ada", Language: pyth.Python,
			Limits: pyth.Limits{MemoryBytes: 256 << 20, OutputBytes: 1 << 20, DiskBytes: 100 << 20, Processes: 64},
		}
		if diff := cmp.Diff(wantSpec, s.host.specs[x.ID]); diff != "" {
			s.Error(diff)
		}
	})

	runScene(t, "uses the requested settings", nil, func(s *scene) {
		limits := pyth.Limits{MemoryBytes: 64 << 20, CPU: time.Second, OutputBytes: 10, DiskBytes: 2 << 20, Processes: 3}
		x, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{Language: pyth.Python, IdleTimeout: time.Hour, Limits: limits})
		if err != nil {
			s.Fatal(err)
		}
		if x.IdleTimeout != time.Hour || s.host.specs[x.ID].Limits != limits {
			s.Errorf("got %v, %v", x, s.host.specs[x.ID])
		}
	})

	runScene(t, "checks the network policy", func(c *session.Config) { c.Network = policy{"example.org"} }, func(s *scene) {
		x, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{Network: []string{"example.org"}})
		if err != nil || !cmp.Equal(s.host.specs[x.ID].Network, []string{"example.org"}) {
			s.Errorf("got %v, %v", s.host.specs, err)
		}
		if _, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{Network: []string{"example.net"}}); pyth.ErrorCode(err) != pyth.CodeForbidden {
			s.Errorf("got %v", err)
		}
	})

	runScene(t, "returns all validation errors", nil, func(s *scene) {
		for _, c := range []struct {
			request pyth.SessionRequest
			code    pyth.Code
			at      []string
		}{
			{pyth.SessionRequest{Language: "cobol"}, pyth.CodeInvalid, []string{"body.language"}},
			{pyth.SessionRequest{Language: pyth.JavaScript}, pyth.CodeRuntimeUnavailable, nil},
			{pyth.SessionRequest{Network: []string{"example.org"}}, pyth.CodeNotImplemented, nil},
			{pyth.SessionRequest{IdleTimeout: -1}, pyth.CodeInvalid, []string{"body.idleTimeoutMs"}},
			{pyth.SessionRequest{IdleTimeout: time.Second - 1}, pyth.CodeInvalid, []string{"body.idleTimeoutMs"}},
			{pyth.SessionRequest{IdleTimeout: 24*time.Hour + 1}, pyth.CodeInvalid, []string{"body.idleTimeoutMs"}},
			{pyth.SessionRequest{Limits: pyth.Limits{MemoryBytes: 1, DiskBytes: 1 << 40}}, pyth.CodeInvalid, []string{"body.limits.memoryBytes", "body.limits.diskBytes"}},
			{pyth.SessionRequest{IdleTimeout: -1, Limits: pyth.Limits{Processes: -1}}, pyth.CodeInvalid, []string{"body.limits.processes", "body.idleTimeoutMs"}},
		} {
			_, err := s.OpenSession(s.Context(), "ada", &c.request)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != c.code {
				s.Errorf("%+v: got %v, want %s", c.request, err, c.code)
				continue
			}
			var at []string
			for _, f := range e.Fields {
				at = append(at, f.Location)
			}
			if diff := cmp.Diff(c.at, at); diff != "" {
				s.Errorf("%+v: %s", c.request, diff)
			}
		}
		if len(s.host.specs) > 0 {
			s.Error("a session was opened")
		}
	})

	runScene(t, "returns the host's error and frees its place", func(c *session.Config) { c.MaxPerUser, c.Max = 1, 1 }, func(s *scene) {
		s.host.openFails = pyth.Errorf(pyth.CodeOverloaded, "There is no room.")
		for range 2 {
			if _, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{}); !errors.Is(err, s.host.openFails) {
				s.Errorf("got %v", err)
			}
		}
		s.host.openFails = nil
		s.open()
	})

	runScene(t, "closes the session if the request is canceled", func(c *session.Config) { c.MaxPerUser = 1 }, func(s *scene) {
		ctx, cancel := context.WithTimeout(s.Context(), openTime/2)
		defer cancel()
		if _, err := s.OpenSession(ctx, "ada", &pyth.SessionRequest{}); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("got %v", err)
		}
		time.Sleep(closeTime)
		synctest.Wait()
		s.open()
	})

	runScene(t, "limits the sessions of each user", func(c *session.Config) { c.MaxPerUser = 2 }, func(s *scene) {
		first := s.open()
		go func() { s.open() }()
		synctest.Wait()
		// A session that is being opened counts for the quota.
		if _, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{}); pyth.ErrorCode(err) != pyth.CodeQuotaExceeded {
			s.Errorf("got %v", err)
		}
		if _, err := s.OpenSession(s.Context(), "bob", &pyth.SessionRequest{}); err != nil {
			s.Error(err)
		}
		if err := s.CloseSession(s.Context(), "ada", first.ID); err != nil {
			s.Error(err)
		}
		s.open()
	})

	runScene(t, "limits the sessions of all users", func(c *session.Config) { c.Max = 1 }, func(s *scene) {
		s.open()
		if _, err := s.OpenSession(s.Context(), "bob", &pyth.SessionRequest{}); pyth.ErrorCode(err) != pyth.CodeOverloaded {
			s.Errorf("got %v", err)
		}
	})
}

// policy is a fake network policy that allows only one host.
type policy struct{ host string }

func (p policy) Check(hosts []string) error {
	for _, h := range hosts {
		if h != p.host {
			return pyth.Errorf(pyth.CodeForbidden, "The operator does not allow %s.", h)
		}
	}
	return nil
}

func TestSessionHidesSessionsOfOthers(t *testing.T) {
	runScene(t, "every operation fails for another user's session", nil, func(s *scene) {
		x := s.open()
		ctx := s.Context()
		for name, do := range map[string]func() error{
			"look": func() error {
				_, err := s.Session(ctx, "bob", x.ID)
				return err
			},
			"close":     func() error { return s.CloseSession(ctx, "bob", x.ID) },
			"interrupt": func() error { return s.Interrupt(ctx, "bob", x.ID) },
			"run": func() error {
				_, _, _, err := s.Turn(ctx, "bob", x.ID)
				return err
			},
			"list files": func() error {
				_, err := s.Files(ctx, "bob", x.ID)
				return err
			},
			"write": func() error {
				_, err := s.WriteFile(ctx, "bob", x.ID, "a", &reader{"x"})
				return err
			},
			"read":   func() error { return s.ReadFile(ctx, "bob", x.ID, "a", nil) },
			"delete": func() error { return s.DeleteFile(ctx, "bob", x.ID, "a") },
		} {
			if err := do(); pyth.ErrorCode(err) != pyth.CodeNotFound {
				s.Errorf("%s: %v", name, err)
			}
		}
		if all, err := s.Sessions(ctx, "bob"); err != nil || len(all) > 0 {
			s.Errorf("bob has %v, %v", all, err)
		}
		s.expectThere(x, 0, false)
	})
}

func TestEndUser(t *testing.T) {
	runScene(t, "ends only the sessions of the user", nil, func(s *scene) {
		a, b := s.open(), s.open()
		other, err := s.OpenSession(s.Context(), "bob", &pyth.SessionRequest{})
		if err != nil {
			s.Fatal(err)
		}
		r := s.begin(a, time.Minute, nil)
		synctest.Wait()
		if err := s.EndUser(s.Context(), "ada"); err != nil {
			s.Error(err)
		}
		s.expectStopped(r, 0)
		s.expectGone(a)
		s.expectGone(b)
		if _, err := s.Session(s.Context(), "bob", other.ID); err != nil {
			s.Error(err)
		}
	})
}

func TestSessionsListsTheOldestFirst(t *testing.T) {
	runScene(t, "lists only the user's sessions", nil, func(s *scene) {
		a, b, c := s.open(), s.open(), s.open()
		if _, err := s.OpenSession(s.Context(), "bob", &pyth.SessionRequest{}); err != nil {
			s.Fatal(err)
		}
		all, err := s.Sessions(s.Context(), "ada")
		if err != nil {
			s.Fatal(err)
		}
		for _, x := range []*pyth.Session{a, b, c} {
			x.ExpiresAt = x.CreatedAt.Add(x.IdleTimeout)
		}
		if diff := cmp.Diff([]*pyth.Session{a, b, c}, all); diff != "" {
			s.Error(diff)
		}
	})
}
