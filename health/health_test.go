package health_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/health"
)

// host answers jobs as it is told to.
type host struct {
	jobs    atomic.Int64
	outcome *pyth.Outcome
	err     error
}

func (h *host) Dispatch(context.Context, *pyth.Job) (*pyth.Outcome, error) {
	h.jobs.Add(1)
	time.Sleep(100 * time.Millisecond)
	return h.outcome, h.err
}

var zero = 0

func works() *host {
	return &host{outcome: &pyth.Outcome{Status: pyth.StatusSucceeded, ExitCode: &zero, Stdout: []byte("42\n")}}
}

func monitor(h *host) *health.Monitor {
	return health.New(health.Config{
		Dispatcher: h,
		Database:   func(context.Context) error { return nil },
		Clock:      time.Now,
	})
}

func TestTheSandboxCheckTellsWhatATrialRunSays(t *testing.T) {
	for name, c := range map[string]struct {
		host *host
		want string
	}{
		"a run that answers":             {works(), health.OK},
		"a run with another answer":      {&host{outcome: &pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("41\n")}}, health.Unavailable},
		"a run that is killed":           {&host{outcome: &pyth.Outcome{Status: pyth.StatusKilled}}, health.Unavailable},
		"no sandbox":                     {&host{err: pyth.Errorf(pyth.CodeUnavailable, "")}, health.Unavailable},
		"a server that is fully booked":  {&host{err: pyth.Errorf(pyth.CodeOverloaded, "")}, health.Degraded},
		"a fault that nobody has a name": {&host{err: errors.New("x")}, health.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := monitor(c.host).Checks(t.Context())["sandbox"]
				if got.Status != c.want || (c.want == health.OK) != (got.Detail == "") {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestAProofCountsForItsTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := works()
		m := monitor(h)
		for range 3 {
			m.Checks(t.Context())
		}
		if n := h.jobs.Load(); n != 1 {
			t.Errorf("three questions took %d runs", n)
		}
		time.Sleep(health.MaxAge)
		m.Checks(t.Context())
		if n := h.jobs.Load(); n != 2 {
			t.Errorf("an old proof was taken: %d runs", n)
		}
	})
}

func TestManyWhoAskAtOnceShareOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := works()
		m := monitor(h)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := m.Checks(t.Context())["sandbox"]; got.Status != health.OK {
					t.Errorf("got %+v", got)
				}
			})
		}
		wg.Wait()
		if n := h.jobs.Load(); n != 1 {
			t.Errorf("took %d runs", n)
		}
	})
}

func TestAUsersRunIsProofToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := works()
		m := monitor(h)
		if _, err := m.Dispatch(t.Context(), &pyth.Job{}); err != nil {
			t.Fatal(err)
		}
		m.Checks(t.Context())
		if n := h.jobs.Load(); n != 1 {
			t.Errorf("took %d runs", n)
		}
	})
}

func TestAllChecksAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := health.New(health.Config{
			Dispatcher: works(),
			Database:   func(context.Context) error { return errors.New("disk I/O error") },
			Fixed:      map[string]pyth.Check{"limits": {Status: health.Degraded, Detail: "no cgroup"}},
			Clock:      time.Now,
		})
		want := map[string]pyth.Check{
			"database": {Status: health.Unavailable, Detail: "the database does not answer"},
			"sandbox":  {Status: health.OK},
			"limits":   {Status: health.Degraded, Detail: "no cgroup"},
		}
		if diff := cmp.Diff(want, m.Checks(t.Context())); diff != "" {
			t.Error(diff)
		}
	})
}
