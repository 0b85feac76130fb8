package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// The method "open" opens a session and checks that this succeeds.
func (s *scene) open(tenant pyth.UserID, id pyth.SessionID) {
	s.Helper()
	if err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: id, Tenant: tenant}); err != nil {
		s.Fatal(err)
	}
}

// The function "within" makes the job run in session "a".
func within(j *pyth.Job) *pyth.Job {
	j.Session = "a"
	return j
}

// expectGone checks that session "a" does not exist.
func (s *scene) expectGone() {
	s.Helper()
	if _, err := pyth.Dispatch(s.Context(), s, within(job("ann", 0)), nil); pyth.ErrorCode(err) != pyth.CodeNotFound {
		s.Errorf("a run in the closed session: %v", err)
	}
	if _, err := s.SessionFiles(s.Context(), "a"); pyth.ErrorCode(err) != pyth.CodeNotFound {
		s.Errorf("the files of the closed session: %v", err)
	}
}

func TestSession(t *testing.T) {
	on(t, "keeps its sandbox for its runs", nil, func(s *scene) {
		s.warm()
		s.open("ann", "a")
		other := s.run(job("ann", 0))
		first, second := s.run(within(job("ann", 0))), s.run(within(job("ann", time.Minute)))
		if home := s.home(first); home != s.home(second) || home == s.home(other) {
			t.Error("the job did not run in its session, or another job did")
		}
		s.sleep(2 * s.IdleTimeout)
		if _, err := s.SessionFiles(s.Context(), "a"); err != nil {
			t.Error(err)
		}
		s.expectStats(pool.Stats{Warm: 1, Sessions: 1})
		s.CloseSession("a")
		s.CloseSession("a")
		s.sleep(bootTime)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Idle: 1, pool.Closed: 1})
		s.expectGone()
	})

	on(t, "is refused at the limit until another session is closed", nil, func(s *scene) {
		for _, id := range []pyth.SessionID{"a", "b", "c"} {
			s.open("ann", id)
		}
		err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "d", Tenant: "bob"})
		if pyth.ErrorCode(err) != pyth.CodeOverloaded {
			t.Errorf("got %v", err)
		}
		s.CloseSession("b")
		s.open("bob", "d")
	})

	on(t, "that cannot be opened leaves nothing", nil, func(s *scene) {
		s.warm()
		err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "a", Tenant: "ann", Limits: pyth.Limits{DiskBytes: 1}})
		if pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		s.sleep(bootTime + removeTime)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
		s.expectGone()
	})

	on(t, "waits for running jobs", func(m *machine) { m.MaxRunning, m.MaxPerTenant = 1, 1 }, func(s *scene) {
		s.open("ann", "a")
		c := s.begin(job("bob", time.Minute))
		waits := s.begin(within(job("ann", 0)))
		s.expect(c, pyth.StatusSucceeded)
		s.expectQueued(waits, time.Minute)
	})

	on(t, "keeps its sandbox when other jobs need room", func(m *machine) { m.Warm, m.MaxSandboxes = 0, 1 }, func(s *scene) {
		s.open("ann", "a")
		c := s.begin(job("bob", 0))
		s.sleep(time.Minute)
		s.expect(s.begin(within(job("ann", 0))), pyth.StatusSucceeded)
		s.CloseSession("a")
		s.expect(c, pyth.StatusSucceeded)
	})

	for name, end := range map[string]func(s *scene, f *fake){
		"dies":      func(_ *scene, f *fake) { f.die() },
		"is closed": func(s *scene, _ *fake) { s.CloseSession("a") },
	} {
		reason := map[string]pool.Reason{"dies": pool.Broken, "is closed": pool.Closed}[name]
		on(t, "that "+name+" while it waits is gone", nil, func(s *scene) {
			s.open("ann", "a")
			end(s, s.first())
			synctest.Wait()
			s.expectRemoved(map[pool.Reason]int{reason: 1})
			s.expectGone()
		})
		on(t, "that "+name+" while a job runs ends the job", nil, func(s *scene) {
			s.open("ann", "a")
			c := s.begin(within(job("ann", time.Hour)))
			end(s, s.home(c))
			s.expect(c, pyth.StatusKilled)
			if !c.outcome.SessionEnded {
				t.Error("the outcome does not report the end of the session")
			}
			s.expectGone()
		})
		on(t, "that "+name+" while its files are listed is gone", nil, func(s *scene) {
			s.open("ann", "a")
			listed := make(chan error, 1)
			go func() {
				_, err := s.SessionFiles(s.Context(), "a")
				listed <- err
			}()
			synctest.Wait()
			end(s, s.first())
			if err := <-listed; err == nil {
				t.Error("SessionFiles succeeded although the session ended")
			}
			s.expectGone()
		})
	}

	on(t, "survives a job that is canceled and an error about a file", nil, func(s *scene) {
		s.open("ann", "a")
		c := s.begin(within(job("ann", time.Hour)))
		c.cancel()
		s.expect(c, pyth.StatusCanceled)
		if err := s.DeleteSessionFile(s.Context(), "a", "x"); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("got %v", err)
		}
		s.run(within(job("ann", 0)))
	})

	on(t, "has streams while its job runs", nil, func(s *scene) {
		open := func(want pyth.Code) {
			t.Helper()
			stream, err := s.SessionStream(s.Context(), "a")
			if pyth.ErrorCode(err) != want {
				t.Errorf("got %v", err)
			}
			if err == nil {
				_ = stream.Close()
			}
		}
		open(pyth.CodeNotFound)
		s.open("ann", "a")
		open("")
		c := s.begin(within(job("ann", time.Hour)))
		open("")
		s.CloseSession("a")
		open(pyth.CodeNotFound)
		s.expect(c, pyth.StatusKilled)
	})

	on(t, "is unchanged if its job is canceled at its turn", nil, func(s *scene) {
		s.warm()
		s.open("ann", "a")
		s.sleep(bootTime)
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		for range 100 { // The pool's select chooses randomly among ready channels, so try often.
			if o, err := pyth.Dispatch(canceled, s, within(job("ann", 0)), nil); err != nil || o.Status != pyth.StatusCanceled {
				t.Fatalf("got %+v, %v", o, err)
			}
		}
		s.expectStats(pool.Stats{Warm: 1, Sessions: 1})
		s.run(within(job("ann", 0)))
	})

	on(t, "is unchanged if its job is abandoned", nil, func(s *scene) {
		s.warm()
		s.open("ann", "a")
		s.sleep(bootTime)
		s.start(within(withSecrets(job("ann", 0)))).Abandon()
		s.expectStats(pool.Stats{Warm: 1, Sessions: 1})
		s.run(within(job("ann", 0)))
	})

	on(t, "ends if its sandbox does not start a job", nil, func(s *scene) {
		s.open("ann", "a")
		s.set(func() { s.runFails = func(int) bool { return true } })
		outcome, err := pyth.Dispatch(s.Context(), s, within(job("ann", 0)), nil)
		if err != nil || outcome.Status != pyth.StatusKilled || !outcome.SessionEnded {
			t.Errorf("got %+v, %v", outcome, err)
		}
		s.expectGone()
	})

	on(t, "is not opened or kept when the pool closes", nil, func(s *scene) {
		s.open("ann", "a")
		c := s.begin(within(job("ann", time.Minute)))
		go func() { _ = s.Close() }()
		synctest.Wait()
		if err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "b", Tenant: "ann"}); pyth.ErrorCode(err) != pyth.CodeDraining {
			t.Errorf("got %v", err)
		}
		s.expect(c, pyth.StatusSucceeded)
	})
}
