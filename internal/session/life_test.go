package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/session"
)

func TestSessionExpires(t *testing.T) {
	const idle = 10 * time.Minute

	runScene(t, "a session without use expires", nil, func(s *scene) {
		x := s.open()
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 0, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "the idle time begins at the end of a run", nil, func(s *scene) {
		x := s.open()
		time.Sleep(idle - time.Nanosecond)
		r := s.begin(x, 3*idle, ok())
		time.Sleep(2 * idle)
		if got := s.expectThere(x, 0, true); !got.ExpiresAt.Equal(time.Now().Add(idle)) {
			s.Errorf("the session expires in %v", time.Until(got.ExpiresAt))
		}
		s.expect(r, 0, 3*idle)
		if got := s.expectThere(x, 1, false); !got.ExpiresAt.Equal(time.Now().Add(idle)) {
			s.Errorf("the session expires in %v", time.Until(got.ExpiresAt))
		}
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 1, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "the idle time begins at the end of an operation on a file", nil, func(s *scene) {
		x := s.open()
		time.Sleep(idle - time.Nanosecond)
		if _, err := s.Files(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		time.Sleep(idle - time.Nanosecond)
		s.expectThere(x, 0, false)
		time.Sleep(time.Nanosecond)
		s.expectGone(x)
	})

	runScene(t, "a session does not expire while runs wait", nil, func(s *scene) {
		x := s.open()
		a, b := s.begin(x, 2*idle, ok()), s.begin(x, 2*idle, ok())
		s.expect(a, 0, 2*idle)
		s.expect(b, 2*idle, 4*idle)
		s.expectThere(x, 2, false)
	})

	runScene(t, "a list of sessions does not extend a session", nil, func(s *scene) {
		x := s.open()
		for range 10 {
			time.Sleep(idle / 10)
			_, _ = s.Sessions(s.Context(), "ada")
		}
		s.expectGone(x)
	})

	runScene(t, "a session expires at the maximum age even during a run", func(c *session.Config) { c.MaxAge = time.Hour }, func(s *scene) {
		x := s.open()
		r, waits := s.begin(x, 2*time.Hour, ok()), s.begin(x, 0, ok())
		time.Sleep(time.Hour - time.Minute)
		if got := s.expectThere(x, 0, true); !got.ExpiresAt.Equal(got.CreatedAt.Add(time.Hour)) {
			s.Errorf("the session expires at %v", got.ExpiresAt)
		}
		s.expectStopped(r, time.Hour)
		s.expectRefused(waits, pyth.CodeNotFound, time.Hour)
		s.expectGone(x)
	})

	runScene(t, "an expired session frees its place", func(c *session.Config) { c.MaxPerUser = 1 }, func(s *scene) {
		s.expectGone(func() *pyth.Session {
			x := s.open()
			time.Sleep(idle)
			return x
		}())
		s.open()
	})
}

func TestCloseSession(t *testing.T) {
	runScene(t, "ends the current run and the waiting runs", nil, func(s *scene) {
		x := s.open()
		r, waits := s.begin(x, time.Hour, ok()), s.begin(x, time.Hour, ok())
		time.Sleep(time.Second)
		if err := s.CloseSession(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		if s.host.specs[x.ID] != nil {
			s.Error("the host still has the session")
		}
		s.expectStopped(r, time.Second)
		s.expectRefused(waits, pyth.CodeNotFound, time.Second)
		s.expectGone(x)
		s.expectRefused(s.begin(x, 0, ok()), pyth.CodeNotFound, 0)
		if err := s.CloseSession(s.Context(), "ada", x.ID); pyth.ErrorCode(err) != pyth.CodeNotFound {
			s.Errorf("the second CloseSession: %v", err)
		}
	})

	runScene(t, "continues if the request is canceled", nil, func(s *scene) {
		x := s.open()
		ctx, cancel := context.WithTimeout(s.Context(), closeTime/2)
		defer cancel()
		if err := s.CloseSession(ctx, "ada", x.ID); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("got %v", err)
		}
		s.expectGone(x)
	})

	runScene(t, "is done if the session ends in a run", nil, func(s *scene) {
		x := s.open()
		r := s.begin(x, time.Second, &pyth.Outcome{Status: pyth.StatusKilled, SessionEnded: true})
		waits := s.begin(x, 0, ok())
		s.expect(r, 0, time.Second)
		s.expectRefused(waits, pyth.CodeNotFound, time.Second)
		s.expectGone(x)
	})

	for code, gone := range map[pyth.Code]bool{pyth.CodeNotFound: true, pyth.CodeUnavailable: false, pyth.CodeInvalid: false} {
		runScene(t, "is done only if the host does not know the session: "+string(code), nil, func(s *scene) {
			x := s.open()
			_, _, release, err := s.Turn(s.Context(), "ada", x.ID)
			if err != nil {
				s.Fatal(err)
			}
			release(nil, pyth.Errorf(code, ""))
			if gone {
				s.expectGone(x)
			} else {
				// If a run ends while it waits for the session, it does not count as an
				// execution.
				s.expectThere(x, 0, false)
			}
		})
	}

	runScene(t, "Close closes all sessions and refuses new ones", nil, func(s *scene) {
		x, y := s.open(), s.open()
		r := s.begin(x, time.Hour, ok())
		opening := make(chan error)
		go func() {
			_, err := s.OpenSession(s.Context(), "bob", &pyth.SessionRequest{})
			opening <- err
		}()
		go func() {
			// Close waits for the call that is opening a session. This call must then
			// fail.
			if err := <-opening; pyth.ErrorCode(err) != pyth.CodeDraining {
				s.Errorf("got %v", err)
			}
		}()
		synctest.Wait()
		s.Close()
		if len(s.host.specs) > 0 {
			s.Errorf("%d sessions remain", len(s.host.specs))
		}
		s.expectStopped(r, 0)
		s.expectGone(x)
		s.expectGone(y)
		if _, err := s.OpenSession(s.Context(), "ada", &pyth.SessionRequest{}); pyth.ErrorCode(err) != pyth.CodeDraining {
			s.Errorf("got %v", err)
		}
	})
}
