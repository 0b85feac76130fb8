package pool_test

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// call is a job on its way.
type call struct {
	job     *pyth.Job
	cancel  context.CancelFunc
	done    chan struct{}
	outcome *pyth.Outcome
	err     error
	// took is from its arrival to its end.
	took time.Duration
}

func job(tenant pyth.UserID, d time.Duration) *pyth.Job {
	return &pyth.Job{Tenant: tenant, Timeout: d, Isolation: pyth.IsolationTenant}
}

// alone has the job want a sandbox to itself.
func alone(j *pyth.Job) *pyth.Job {
	j.Isolation = pyth.IsolationExecution
	return j
}

func in(language pyth.Language, j *pyth.Job) *pyth.Job {
	j.Language = language
	return j
}

// with gives the job packages.
func with(layer pyth.LayerID, j *pyth.Job) *pyth.Job {
	j.Layers = j.Layers.With(pyth.PythonRuntime, layer)
	return j
}

// onOwn has the job run on a runtime of the operator's own, "" for the one that is built in.
func onOwn(runtime pyth.Runtime, j *pyth.Job) *pyth.Job {
	j.Runtime = runtime
	return j
}

func sized(j *pyth.Job, bytes int64) *pyth.Job {
	j.Limits.MemoryBytes = bytes
	return j
}

// dispatch gives the job to the pool and returns at once.
func dispatch(p *pool.Pool, j *pyth.Job) *call {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{job: j, cancel: cancel, done: make(chan struct{})}
	started := time.Now()
	go func() {
		defer cancel()
		c.outcome, c.err = p.Dispatch(ctx, j, nil)
		c.took = time.Since(started)
		close(c.done)
	}()
	return c
}

// begin dispatches the job and returns when it runs or waits.
func (s *scene) begin(j *pyth.Job) *call {
	c := dispatch(s.Pool, j)
	synctest.Wait()
	return c
}

func (s *scene) beginAll(n int, next func() *pyth.Job) []*call {
	calls := []*call{}
	for range n {
		calls = append(calls, s.begin(next()))
	}
	return calls
}

// run dispatches the job and expects that it succeeds.
func (s *scene) run(j *pyth.Job) *call {
	s.Helper()
	c := s.begin(j)
	s.expect(c, pyth.StatusSucceeded)
	return c
}

// expect waits for the call and compares its status.
func (s *scene) expect(c *call, want pyth.Status) {
	s.Helper()
	<-c.done
	if c.err != nil || c.outcome.Status != want {
		s.Errorf("got %+v, %v; want %s", c.outcome, c.err, want)
	}
}

// expectQueued is expect for one that succeeds after it has waited.
func (s *scene) expectQueued(c *call, want time.Duration) {
	s.Helper()
	s.expect(c, pyth.StatusSucceeded)
	if c.err == nil && c.outcome.Usage.Queued != want {
		s.Errorf("the job waited for %v, not %v", c.outcome.Usage.Queued, want)
	}
}

// expectError waits for the call, which must tell when to try again.
func (s *scene) expectError(c *call, want pyth.Code) {
	s.Helper()
	<-c.done
	e, ok := errors.AsType[*pyth.Error](c.err)
	if !ok || e.Code != want || e.RetryAfter <= 0 {
		s.Errorf("got %+v, %v; want %s", c.outcome, c.err, want)
	}
}
