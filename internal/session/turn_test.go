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

func TestTurnRunsOneAtATime(t *testing.T) {
	runScene(t, "turns are given one at a time, in order of request", nil, func(s *scene) {
		x := s.open()
		var runs []*run
		for range 10 {
			runs = append(runs, s.begin(x, time.Second, ok()))
		}
		for i, r := range runs {
			s.expect(r, time.Duration(i)*time.Second, time.Duration(i+1)*time.Second)
		}
		s.expectThere(x, 10, false)
	})

	runScene(t, "turns of different sessions do not wait for each other", nil, func(s *scene) {
		a, b := s.begin(s.open(), time.Hour, ok()), s.begin(s.open(), time.Hour, ok())
		s.expect(a, 0, time.Hour)
		s.expect(b, 0, time.Hour)
	})

	runScene(t, "a turn returns the session's settings", nil, func(s *scene) {
		x := s.open()
		_, spec, release, err := s.Turn(s.Context(), "ada", x.ID)
		if err != nil || spec.ID != x.ID || spec.Tenant != "ada" || spec.Limits.Processes != 64 {
			s.Errorf("got %v, %v", spec, err)
		}
		release(nil, nil)
	})

	runScene(t, "a turn is refused when too many runs wait", func(c *session.Config) { c.MaxWaiting = 2 }, func(s *scene) {
		x := s.open()
		s.begin(x, time.Minute, ok())
		s.begin(x, time.Minute, ok())
		left := s.begin(x, time.Minute, ok())
		s.expectRefused(s.begin(x, 0, ok()), pyth.CodeTooManyExecutions, 0)
		left.cancel()
		<-left.done
		s.expect(s.begin(x, 0, ok()), 2*time.Minute, 2*time.Minute)
	})

	runScene(t, "a canceled run in the queue passes its turn on", nil, func(s *scene) {
		x := s.open()
		first, second, third := s.begin(x, time.Minute, ok()), s.begin(x, time.Minute, ok()), s.begin(x, time.Minute, ok())
		time.Sleep(time.Second)
		second.cancel()
		<-second.done
		if !errors.Is(second.err, context.Canceled) || second.begun != time.Second {
			s.Errorf("after %v: %v", second.begun, second.err)
		}
		s.expect(first, 0, time.Minute)
		s.expect(third, time.Minute, 2*time.Minute)
		s.expectThere(x, 2, false)
	})

	runScene(t, "a run that is canceled ends, and the session continues", nil, func(s *scene) {
		x := s.open()
		r := s.begin(x, time.Hour, ok())
		next := s.begin(x, time.Minute, ok())
		time.Sleep(time.Second)
		r.cancel()
		<-r.done
		if r.ended != time.Second || !errors.Is(r.cause, context.Canceled) {
			s.Errorf("after %v: %v", r.ended, r.cause)
		}
		s.expect(next, time.Second, time.Minute+time.Second)
		s.expectThere(x, 2, false)
	})

	runScene(t, "a run that is canceled when its turn begins releases the turn", nil, func(s *scene) {
		x := s.open()
		s.begin(x, time.Second, ok())
		r := s.begin(x, time.Minute, ok())
		time.AfterFunc(time.Second, r.cancel)
		<-r.done
		synctest.Wait()
		start := time.Now()
		<-s.begin(x, 0, ok()).done
		if took := time.Since(start); took > 0 {
			s.Errorf("the next run waited for %v", took)
		}
	})
}

func TestInterrupt(t *testing.T) {
	runScene(t, "ends the run, and the session continues", nil, func(s *scene) {
		x := s.open()
		r := s.begin(x, time.Hour, ok())
		next := s.begin(x, time.Minute, ok())
		time.Sleep(time.Second)
		if err := s.Interrupt(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		<-r.done
		if r.ended != time.Second || r.cause == nil || pyth.ErrorCode(r.cause) == pyth.CodeNotFound {
			s.Errorf("after %v: %v", r.ended, r.cause)
		}
		s.expect(next, time.Second, time.Minute+time.Second)
		s.expectThere(x, 2, false)
	})

	runScene(t, "waits for the end of the run until its context ends", nil, func(s *scene) {
		x := s.open()
		turn, _, release, err := s.Turn(s.Context(), "ada", x.ID)
		if err != nil {
			s.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
		defer cancel()
		if err := s.Interrupt(ctx, "ada", x.ID); !errors.Is(err, context.DeadlineExceeded) || turn.Err() == nil {
			s.Errorf("got %v, the turn has %v", err, turn.Err())
		}
		time.AfterFunc(time.Second, func() { release(ok(), nil) })
		if err := s.Interrupt(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		s.expectThere(x, 1, false)
	})

	runScene(t, "does nothing without a run", nil, func(s *scene) {
		x := s.open()
		if err := s.Interrupt(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		s.expect(s.begin(x, time.Second, ok()), 0, time.Second)
	})

	runScene(t, "does not affect operations on files", nil, func(s *scene) {
		x := s.open()
		written := make(chan error)
		go func() {
			_, err := s.WriteFile(s.Context(), "ada", x.ID, "a", &reader{"x"})
			written <- err
		}()
		synctest.Wait()
		if err := s.Interrupt(s.Context(), "ada", x.ID); err != nil {
			s.Error(err)
		}
		if err := <-written; err != nil || s.host.files["a"] != "x" {
			s.Errorf("got %v", err)
		}
	})
}
