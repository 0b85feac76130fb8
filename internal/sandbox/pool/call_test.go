package pool_test

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// call is a job that was passed to the pool. The result is set when the channel "done" is
// closed.
type call struct {
	job     *pyth.Job
	cancel  context.CancelFunc
	done    chan struct{}
	outcome *pyth.Outcome
	err     error
	// The field "took" is the time from dispatch to result.
	took time.Duration
}

func job(tenant pyth.UserID, d time.Duration) *pyth.Job {
	return &pyth.Job{Tenant: tenant, Timeout: d, Isolation: pyth.IsolationTenant}
}

// The function "isolated" makes the job need a sandbox that serves only this job.
func isolated(j *pyth.Job) *pyth.Job {
	j.Isolation = pyth.IsolationExecution
	return j
}

func in(language pyth.Language, j *pyth.Job) *pyth.Job {
	j.Language = language
	return j
}

// The function "with" makes the job need the packages of the layer.
func with(layer pyth.LayerID, j *pyth.Job) *pyth.Job {
	j.Layers = j.Layers.With(pyth.PythonRuntime, layer)
	return j
}

// onImage makes the job need a custom image. "" means the built-in image.
func onImage(runtime pyth.Runtime, j *pyth.Job) *pyth.Job {
	j.Runtime = runtime
	return j
}

// withSecrets makes the job wait for its secrets after Start.
func withSecrets(j *pyth.Job) *pyth.Job {
	j.SecretsFollow = true
	return j
}

func sized(j *pyth.Job, bytes int64) *pyth.Job {
	j.Limits.MemoryBytes = bytes
	return j
}

// dispatch passes the job to the pool and returns immediately.
func dispatch(p *pool.Pool, j *pyth.Job) *call {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{job: j, cancel: cancel, done: make(chan struct{})}
	started := time.Now()
	go func() {
		defer cancel()
		c.outcome, c.err = pyth.Dispatch(ctx, p, j, nil)
		c.took = time.Since(started)
		close(c.done)
	}()
	return c
}

// begin dispatches the job. It returns when the job is running or queued.
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

// run dispatches the job and checks that it succeeds.
func (s *scene) run(j *pyth.Job) *call {
	s.Helper()
	c := s.begin(j)
	s.expect(c, pyth.StatusSucceeded)
	return c
}

// start calls Start of the pool and returns the run without waiting for its
// outcome.
func (s *scene) start(j *pyth.Job) pyth.Run {
	s.Helper()
	r, err := s.Start(s.Context(), j, nil)
	if err != nil {
		s.Fatal(err)
	}
	return r
}

func (s *scene) expect(c *call, want pyth.Status) {
	s.Helper()
	<-c.done
	if c.err != nil || c.outcome.Status != want {
		s.Errorf("got %+v, %v; want %s", c.outcome, c.err, want)
	}
}

// expectQueued checks that the job succeeds after exactly this time in the queue.
func (s *scene) expectQueued(c *call, want time.Duration) {
	s.Helper()
	s.expect(c, pyth.StatusSucceeded)
	if c.err == nil && c.outcome.Usage.Queued != want {
		s.Errorf("the job waited for %v, not %v", c.outcome.Usage.Queued, want)
	}
}

// expectError checks that the call fails with the code, and that the error says
// when to retry.
func (s *scene) expectError(c *call, want pyth.Code) {
	s.Helper()
	<-c.done
	e, ok := errors.AsType[*pyth.Error](c.err)
	if !ok || e.Code != want || e.RetryAfter <= 0 {
		s.Errorf("got %+v, %v; want %s", c.outcome, c.err, want)
	}
}
