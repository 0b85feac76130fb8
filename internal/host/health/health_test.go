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
	"github.com/pyth-on/pyth-on/internal/host/health"
)

// host is a fake dispatcher that counts jobs. The fields "outcome" and "err" are the
// result of each job.
type host struct {
	jobs    atomic.Int64
	outcome *pyth.Outcome
	err     error
}

func (h *host) Start(context.Context, *pyth.Job, pyth.Events) (pyth.Run, error) { return h, nil }

func (h *host) Abandon() {}

func (h *host) Release(context.Context, []pyth.SecretValue) (*pyth.Outcome, error) {
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

func TestSandboxCheckReportsTrialRun(t *testing.T) {
	for name, c := range map[string]struct {
		host *host
		want string
	}{
		"a run that answers":        {works(), pyth.CheckOK},
		"a run with another answer": {&host{outcome: &pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("41\n")}}, pyth.CheckUnavailable},
		"a run that is killed":      {&host{outcome: &pyth.Outcome{Status: pyth.StatusKilled}}, pyth.CheckUnavailable},
		"no sandbox":                {&host{err: pyth.Errorf(pyth.CodeUnavailable, "")}, pyth.CheckUnavailable},
		"server without capacity":   {&host{err: pyth.Errorf(pyth.CodeOverloaded, "")}, pyth.CheckDegraded},
		"unknown error":             {&host{err: errors.New("x")}, pyth.CheckUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := monitor(c.host).Health(t.Context())["sandbox"]
				if got.Status != c.want || (c.want == pyth.CheckOK) != (got.Detail == "") {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestHealthReusesResultForLimitedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := works()
		m := monitor(h)
		for range 3 {
			m.Health(t.Context())
		}
		if n := h.jobs.Load(); n != 1 {
			t.Errorf("three checks made %d runs", n)
		}
		time.Sleep(health.MaxAge)
		m.Health(t.Context())
		if n := h.jobs.Load(); n != 2 {
			t.Errorf("after the result had expired, the checks had made %d runs, want 2", n)
		}
	})
}

func TestHealthSharesRunBetweenCallers(t *testing.T) {
	for want, h := range map[string]*host{
		pyth.CheckOK:          works(),
		pyth.CheckUnavailable: {err: errors.New("x")},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := monitor(h)
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						if got := m.Health(t.Context())["sandbox"]; got.Status != want {
							t.Errorf("got %+v", got)
						}
					})
				}
				wg.Wait()
				if n := h.jobs.Load(); n != 1 {
					t.Errorf("the checks made %d runs, want 1", n)
				}
			})
		})
	}
}

func TestHealthRechecksFailuresSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{err: errors.New("x")}
		m := monitor(h)
		m.Health(t.Context())
		time.Sleep(health.RetryAge)
		h.outcome, h.err = works().outcome, nil
		if got := m.Health(t.Context())["sandbox"]; got.Status != pyth.CheckOK {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHealthRespectsCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor(works())
		go m.Health(t.Context())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := m.Health(ctx)["sandbox"]; got.Status != pyth.CheckUnavailable {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Second)
	})
}

func TestHealthCountsRunsOfUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := works()
		m := monitor(h)
		if _, err := pyth.Dispatch(t.Context(), m, &pyth.Job{}, nil); err != nil {
			t.Fatal(err)
		}
		m.Health(t.Context())
		if n := h.jobs.Load(); n != 1 {
			t.Errorf("the run and the check made %d runs, want 1", n)
		}
	})
}

func TestHealthListsAllChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := health.New(health.Config{
			Dispatcher: works(),
			Database:   func(context.Context) error { return errors.New("disk I/O error") },
			Fixed:      map[string]pyth.Check{"limits": {Status: pyth.CheckDegraded, Detail: "no cgroup"}},
			Clock:      time.Now,
		})
		want := map[string]pyth.Check{
			"database": {Status: pyth.CheckUnavailable, Detail: "the database does not respond"},
			"sandbox":  {Status: pyth.CheckOK},
			"limits":   {Status: pyth.CheckDegraded, Detail: "no cgroup"},
		}
		if diff := cmp.Diff(want, m.Health(t.Context())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHealthReportsDatabaseWithoutWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := health.New(health.Config{
			Dispatcher: works(),
			Database:   func(context.Context) error { return nil },
			Writes:     func() error { return errors.New("read-only") },
			Clock:      time.Now,
		})
		want := pyth.Check{Status: pyth.CheckUnavailable, Detail: "the database accepts no writes"}
		if got := m.Health(t.Context())["database"]; got != want {
			t.Errorf("got %+v", got)
		}
	})
}
