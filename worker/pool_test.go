package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/worker"
)

// machine is a host whose sandboxes take a second to boot.
type machine struct {
	mu                    sync.Mutex
	boots, alive, running int
	most                  int
	all                   []*fake
	bootErr               error
	runErr                error
}

type fake struct {
	m    *machine
	jobs int
	done chan struct{}
	once sync.Once
}

func (m *machine) boot(ctx context.Context) (worker.Sandbox, error) {
	m.mu.Lock()
	m.boots++
	err := m.bootErr
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alive++
	f := &fake{m: m, done: make(chan struct{})}
	m.all = append(m.all, f)
	return f, nil
}

func (f *fake) Run(ctx context.Context, job *pyth.Job) (*pyth.Outcome, error) {
	f.m.mu.Lock()
	f.jobs++
	f.m.running++
	f.m.most = max(f.m.most, f.m.running)
	err := f.m.runErr
	f.m.mu.Unlock()
	defer func() {
		f.m.mu.Lock()
		f.m.running--
		f.m.mu.Unlock()
	}()
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(job.Timeout):
		return &pyth.Outcome{Status: pyth.StatusSucceeded}, nil
	case <-ctx.Done():
		return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
	}
}

func (f *fake) Done() <-chan struct{} { return f.done }

func (f *fake) Close() error {
	f.once.Do(func() {
		f.m.mu.Lock()
		f.m.alive--
		f.m.mu.Unlock()
	})
	return nil
}

func (m *machine) pool(change func(*worker.Config)) *worker.Pool {
	config := worker.Config{
		Boot: m.boot, Warm: 2, MaxBoots: 2, MaxRunning: 3, MaxQueued: 2,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	return worker.New(config)
}

// check asserts what must hold when the pool is closed.
func (m *machine) check(t *testing.T, p *worker.Pool) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if m.alive != 0 {
		t.Errorf("%d sandboxes are left after close", m.alive)
	}
	for _, f := range m.all {
		if f.jobs > 1 {
			t.Errorf("a sandbox served %d jobs", f.jobs)
		}
	}
}

func job(d time.Duration) *pyth.Job { return &pyth.Job{Timeout: d} }

func TestPool(t *testing.T) {
	run := func(name string, f func(*testing.T, *machine)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, new(machine)) })
		})
	}

	run("a job does not wait when a sandbox is ready", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		time.Sleep(2 * time.Second)
		o, err := p.Dispatch(t.Context(), job(0))
		if err != nil || o.Status != pyth.StatusSucceeded || o.Usage.Queued != 0 {
			t.Fatalf("got %+v, %v", o, err)
		}
	})

	run("a job before the first boot waits for it", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		o, err := p.Dispatch(t.Context(), job(0))
		if err != nil || o.Usage.Queued != time.Second {
			t.Fatalf("got %+v, %v", o, err)
		}
	})

	run("spent sandboxes are replaced", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		for range 5 {
			if _, err := p.Dispatch(t.Context(), job(0)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		if got := p.Stats(); got != (worker.Stats{Ready: 2}) || m.alive != 2 {
			t.Fatalf("stats %+v, %d alive", got, m.alive)
		}
	})

	run("jobs beyond slots and queue are refused with a time to retry", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for range 9 {
			wg.Go(func() {
				_, err := p.Dispatch(t.Context(), job(time.Minute))
				if err == nil {
					return
				}
				if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeOverloaded || e.RetryAfter <= 0 {
					t.Errorf("refused with %v", err)
				}
				mu.Lock()
				refused++
				mu.Unlock()
			})
		}
		wg.Wait()
		if refused != 4 || m.most != 3 {
			t.Fatalf("%d refused, %d ran at once", refused, m.most)
		}
	})

	run("a canceled job frees its place in the queue and in the pool", func(t *testing.T, m *machine) {
		p := m.pool(func(c *worker.Config) { c.MaxRunning, c.MaxQueued = 1, 1 })
		defer m.check(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if o, err := p.Dispatch(ctx, job(time.Hour)); err != nil || o.Status != pyth.StatusCanceled {
					t.Errorf("got %+v, %v", o, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		if o, err := p.Dispatch(t.Context(), job(0)); err != nil || o.Status != pyth.StatusSucceeded {
			t.Fatalf("got %+v, %v", o, err)
		}
	})

	run("a job canceled while its sandbox boots leaves the sandbox to others", func(t *testing.T, m *machine) {
		p := m.pool(func(c *worker.Config) { c.Warm = 0 })
		defer m.check(t, p)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if o, err := p.Dispatch(ctx, job(0)); err != nil || o.Status != pyth.StatusCanceled {
			t.Fatalf("got %+v, %v", o, err)
		}
		time.Sleep(time.Second)
		if o, err := p.Dispatch(t.Context(), job(0)); err != nil || o.Usage.Queued != 0 || m.boots != 1 {
			t.Fatalf("got %+v, %v, %d boots", o, err, m.boots)
		}
	})

	run("a sandbox that dies while it waits is replaced", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		time.Sleep(2 * time.Second)
		m.mu.Lock()
		close(m.all[0].done)
		m.mu.Unlock()
		time.Sleep(2 * time.Second)
		if got := p.Stats(); got.Ready != 2 || m.boots != 3 {
			t.Fatalf("stats %+v, %d boots", got, m.boots)
		}
	})

	run("a job whose hand-over fails is tried in other sandboxes, then refused", func(t *testing.T, m *machine) {
		p := m.pool(nil)
		defer m.check(t, p)
		m.mu.Lock()
		m.runErr = errors.New("broken pipe")
		m.mu.Unlock()
		_, err := p.Dispatch(t.Context(), job(0))
		if pyth.ErrorCode(err) != pyth.CodeUnavailable || m.boots < 3 {
			t.Fatalf("got %v after %d boots", err, m.boots)
		}
		m.mu.Lock()
		m.runErr = nil
		m.mu.Unlock()
		if _, err := p.Dispatch(t.Context(), job(0)); err != nil {
			t.Fatal(err)
		}
	})

	run("on a host where nothing boots jobs fail and the host is left in peace", func(t *testing.T, m *machine) {
		m.bootErr = errors.New("no user namespaces")
		p := m.pool(nil)
		defer m.check(t, p)
		_, err := p.Dispatch(t.Context(), job(0))
		if pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Fatalf("got %v", err)
		}
		m.mu.Lock()
		before := m.boots
		m.mu.Unlock()
		time.Sleep(time.Minute)
		m.mu.Lock()
		defer m.mu.Unlock()
		if more := m.boots - before; more > 2*60/5+10 {
			t.Fatalf("%d boots were tried in a minute", more)
		}
	})

	run("close answers those who wait and refuses those who come", func(t *testing.T, m *machine) {
		p := m.pool(func(c *worker.Config) { c.Warm = 0 })
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.Dispatch(t.Context(), job(0)); pyth.ErrorCode(err) != pyth.CodeDraining {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		m.check(t, p)
		wg.Wait()
	})
}
