package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/link/linktest"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/cluster/worker"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

var token = []byte("a joining token for tests")

// machine is a worker with a fake host.
type machine struct {
	*host
	worker *worker.Worker
	bus    *linktest.Bus
	images *imagestore.Store
	closed bool
}

type cluster struct {
	t        *testing.T
	hub      *linktest.Hub
	fleet    *fleet.Fleet
	bus      *linktest.Bus
	images   *imagestore.Store
	machines []*machine
}

// inCluster calls the function "test" with a server and n workers. Each worker can
// run two jobs and queue one more. The clock is fake: time passes only while all
// goroutines wait.
func inCluster(t *testing.T, n int, test func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, hub: linktest.NewHub(time.Millisecond)}
		c.bus = c.hub.Bus()
		c.images = openStore(t)
		var err error
		c.fleet, err = fleet.New(fleet.Config{Bus: c.bus, Token: token, Images: c.images, Observer: noObserver{}, Logger: discard()})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			c.addWorker(fmt.Sprint("worker-", i), wire.Status{})
		}
		time.Sleep(time.Second)
		test(t, c)
		c.fleet.Close()
		for _, m := range c.machines {
			m.close()
		}
		c.bus.Close()
	})
}

type noObserver struct{}

func (noObserver) Ran(*pyth.Outcome) {}
func (noObserver) Refused()          {}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openStore(t *testing.T) *imagestore.Store {
	t.Helper()
	s, err := imagestore.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cluster) addWorker(name string, extra wire.Status) {
	c.t.Helper()
	m := &machine{host: newHost(name), bus: c.hub.Bus(), images: openStore(c.t)}
	status := func() wire.Status {
		s := extra
		s.Name, s.MaxRunning, s.MaxPerTenant, s.MaxQueued, s.MaxSessions = name, 2, 2, 1, 2
		if s.Runtimes == nil {
			s.Runtimes = map[string]string{"python": "3.14"}
		}
		m.change(func() { s.Running, s.Sessions = m.running, len(m.sessions) })
		return s
	}
	var err error
	m.worker, err = worker.New(worker.Config{Bus: m.bus, Token: token, Host: m.host, Images: m.images, Status: status, Logger: discard()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.machines = append(c.machines, m)
}

func (m *machine) close() {
	if !m.closed {
		m.closed = true
		m.worker.Close()
		m.bus.Close()
	}
}

// kill interrupts the connection of the machine permanently.
func (m *machine) kill() { m.bus.Cut(true) }

func newJob(id, tenant, code string) *pyth.Job {
	return &pyth.Job{
		ID: pyth.ExecutionID(id), Tenant: pyth.UserID(tenant), Language: pyth.Python, Code: []byte(code), Timeout: time.Minute,
		Limits: pyth.DefaultLimits(), Isolation: pyth.IsolationTenant,
	}
}

func (c *cluster) run(job *pyth.Job, events pyth.Events) *pyth.Outcome {
	c.t.Helper()
	o, err := pyth.Dispatch(c.t.Context(), c.fleet, job, events)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// on returns the machine that has started the run "a", or fails the test.
func (c *cluster) on() *machine {
	c.t.Helper()
	var found *machine
	for _, m := range c.machines {
		m.change(func() {
			for _, started := range m.started {
				if started == "a" {
					found = m
				}
			}
		})
	}
	if found == nil {
		c.t.Fatal("no worker has started the run")
	}
	return found
}

func TestTenantGetsSameWorkerUntilItIsFull(t *testing.T) {
	inCluster(t, 4, func(t *testing.T, c *cluster) {
		used := map[string]int{}
		for tenant := range 40 {
			first := string(c.run(newJob("a", fmt.Sprint("user-", tenant), ""), nil).Stdout)
			used[first]++
			for range 3 {
				if next := string(c.run(newJob("b", fmt.Sprint("user-", tenant), ""), nil).Stdout); next != first {
					t.Errorf("the jobs of a tenant ran on %s and %s", first, next)
				}
			}
		}
		if len(used) != 4 {
			t.Errorf("the tenants use %v", used)
		}
		// Two runs fill the worker of a tenant.
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		for i := range 8 {
			id := fmt.Sprint("long-", i)
			runs.Go(func() { _, _ = pyth.Dispatch(ctx, c.fleet, newJob(id, "user-1", "sleep"), nil) })
			time.Sleep(10 * time.Millisecond)
		}
		for _, m := range c.machines {
			m.change(func() {
				if m.running != 2 {
					t.Errorf("%s runs %d jobs", m.name, m.running)
				}
			})
		}
		cancel()
		runs.Wait()
	})
}

func TestFullClusterRefusesJobs(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		for i := range 6 {
			runs.Go(func() {
				_, _ = pyth.Dispatch(ctx, c.fleet, newJob(fmt.Sprint("long-", i), fmt.Sprint("user-", i), "sleep"), nil)
			})
			time.Sleep(10 * time.Millisecond)
		}
		_, err := c.fleet.Start(ctx, newJob("refused", "user", ""), nil)
		e, ok := errors.AsType[*pyth.Error](err)
		if !ok || e.Code != pyth.CodeOverloaded || e.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
		cancel()
		runs.Wait()
		for _, m := range c.machines {
			m.change(func() {
				if m.running != 0 {
					t.Errorf("%s still runs %d jobs", m.name, m.running)
				}
			})
		}
	})
}

func TestWorkerThatRefusesIsSkipped(t *testing.T) {
	for _, code := range []pyth.Code{pyth.CodeOverloaded, pyth.CodeDraining, pyth.CodeUnavailable} {
		inCluster(t, 2, func(t *testing.T, c *cluster) {
			c.machines[0].refuse = &pyth.Error{Code: code}
			for i := range 5 {
				if o := c.run(newJob("a", fmt.Sprint("user-", i), ""), nil); string(o.Stdout) != "worker-1" {
					t.Errorf("%q", o.Stdout)
				}
			}
			c.machines[1].refuse = &pyth.Error{Code: code, Message: "no", RetryAfter: time.Second}
			if _, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil); err == nil || pyth.ErrorCode(err) != code && pyth.ErrorCode(err) != pyth.CodeOverloaded {
				t.Errorf("%s: %v", code, err)
			}
		})
	}
}

func TestOtherErrorsAreReturned(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		for _, m := range c.machines {
			m.refuse = &pyth.Error{Code: pyth.CodeInvalid, Message: "bad", Fields: []pyth.FieldError{{Location: "body.x", Message: "y"}}}
		}
		_, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil)
		if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeInvalid || e.Message != "bad" || len(e.Fields) != 1 {
			t.Errorf("%v", err)
		}
	})
}

func TestProgramStartsOnlyAfterRelease(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		job := newJob("a", "user", "")
		job.SecretsFollow = true
		run, err := c.fleet.Start(t.Context(), job, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		m := c.machines[0]
		m.change(func() {
			if len(m.started) != 1 || len(m.released) != 0 {
				t.Errorf("started %v, released %v", m.started, m.released)
			}
		})
		if o, err := run.Release(t.Context(), []pyth.SecretValue{{Name: "TOKEN", Value: []byte("canary-secret")}}); err != nil || o.Status != pyth.StatusSucceeded {
			t.Error(o, err)
		}
		if m.secrets["TOKEN"] != "canary-secret" {
			t.Errorf("%v", m.secrets)
		}
		run, err = c.fleet.Start(t.Context(), newJob("b", "user", ""), nil)
		if err != nil {
			t.Fatal(err)
		}
		run.Abandon()
		time.Sleep(time.Second)
		m.change(func() {
			if len(m.released) != 1 || m.running != 0 {
				t.Errorf("abandoned run: released %v, %d running", m.released, m.running)
			}
		})
	})
}

func TestEventsArriveWithBackPressure(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		events := &recorder{pause: 100 * time.Millisecond}
		start := time.Now()
		o := c.run(newJob("a", "user", "print"), events)
		if o.Status != pyth.StatusSucceeded || events.started != 1 || len(events.output) != 1_000_000 ||
			len(events.results) != 1 || events.results[0]["text/plain"] != "42" || len(events.files) != 1 || string(events.files[0].Content) != "content" {
			t.Errorf("%+v, %d bytes", o, len(events.output))
		}
		if took := time.Since(start); took < 10*time.Second {
			t.Errorf("took %v", took)
		}
		// The client disconnects.
		o = c.run(newJob("b", "user", "print"), &recorder{fail: true})
		if o.Status != pyth.StatusSucceeded && o.Status != pyth.StatusCanceled {
			t.Errorf("%+v", o)
		}
	})
}

func TestLargeOutcomeArrives(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		job := newJob("a", "user", "large")
		job.Files = []pyth.File{{Path: "in", Content: bytes.Repeat([]byte("i"), 10<<20)}}
		o := c.run(job, nil)
		if len(o.Stdout) != 8<<20 || len(o.Files) != 1 || len(o.Files[0].Content) != 10<<20 {
			t.Errorf("%d bytes, %d files", len(o.Stdout), len(o.Files))
		}
	})
}

func TestCancelStopsRun(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		for _, code := range []string{"sleep", "wait for a sandbox"} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			start := time.Now()
			o, err := pyth.Dispatch(ctx, c.fleet, newJob("a", "user", code), nil)
			if err != nil || o.Status != pyth.StatusCanceled || time.Since(start) > 11*time.Second {
				t.Errorf("%s: %+v %v after %v", code, o, err, time.Since(start))
			}
			cancel()
			time.Sleep(time.Second)
		}
		c.machines[0].change(func() {
			if c.machines[0].canceled != 2 {
				t.Errorf("%d runs canceled on the worker", c.machines[0].canceled)
			}
		})
	})
}

func TestLostWorkerEndsReleasedRunOnce(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		done := make(chan *pyth.Outcome)
		go func() { done <- c.run(newJob("a", "user", "sleep"), nil) }()
		time.Sleep(time.Second)
		m := c.on()
		start := time.Now()
		m.kill()
		o := <-done
		if o.Status != pyth.StatusKilled || o.Reason != pyth.ReasonWorkerLost || o.Signal != "SIGKILL" || time.Since(start) > 5*time.Second {
			t.Errorf("%+v after %v", o, time.Since(start))
		}
		time.Sleep(5 * time.Second)
		total := 0
		for _, m := range c.machines {
			m.change(func() { total += len(m.released) })
		}
		if total != 1 || m.canceled != 1 {
			t.Errorf("the program started %d times, and the worker canceled %d", total, m.canceled)
		}
	})
}

func TestRunMovesIfWorkerIsLostBeforeRelease(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		// The worker is lost while the job waits for a sandbox.
		done := make(chan *pyth.Outcome, 1)
		job := newJob("a", "user", "")
		run, err := c.fleet.Start(t.Context(), job, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := c.on()
		m.kill()
		time.Sleep(10 * time.Second)
		o, err := run.Release(t.Context(), nil)
		if err != nil || o.Status != pyth.StatusSucceeded || string(o.Stdout) == m.name {
			t.Errorf("%+v %v", o, err)
		}
		time.Sleep(time.Minute)
		m.change(func() {
			if len(m.released) != 0 || m.running != 0 {
				t.Error("the lost worker has started the program")
			}
		})
		close(done)
	})
}

func TestSandboxFailureBeforeStartMovesRun(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		_, err := pyth.Dispatch(t.Context(), c.fleet, newJob("a", "user", "fail to start"), nil)
		if pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("%v", err)
		}
	})
}

func TestLossOfMessagesLosesAndRepeatsNoRun(t *testing.T) {
	inCluster(t, 3, func(t *testing.T, c *cluster) {
		n := 0
		c.hub.Drop(func(string, []byte) bool { n++; return n%11 == 0 })
		var runs sync.WaitGroup
		outcomes := make([]*pyth.Outcome, 30)
		for i := range outcomes {
			runs.Go(func() {
				for outcomes[i] == nil {
					o, err := pyth.Dispatch(t.Context(), c.fleet, newJob(fmt.Sprint("run-", i), fmt.Sprint("user-", i%5), ""), nil)
					// An error says that the program did not run, so the caller may try again.
					if code := pyth.ErrorCode(err); err != nil && code != pyth.CodeOverloaded && code != pyth.CodeUnavailable {
						t.Error(err)
						return
					}
					if outcomes[i] = o; o == nil {
						time.Sleep(time.Second)
					}
				}
			})
		}
		runs.Wait()
		count := map[pyth.ExecutionID]int{}
		for _, m := range c.machines {
			m.change(func() {
				for _, id := range m.released {
					count[id]++
				}
			})
		}
		succeeded := 0
		for i, o := range outcomes {
			started := count[pyth.ExecutionID(fmt.Sprint("run-", i))]
			// If several announcements in a row are lost, the worker counts as lost.
			lost := o.Reason == pyth.ReasonWorkerLost && started <= 1
			if o.Status == pyth.StatusSucceeded && started == 1 {
				succeeded++
			} else if !lost {
				t.Errorf("run-%d started %d times: %+v", i, started, o)
			}
		}
		if succeeded == 0 {
			t.Error("no run succeeded")
		}
	})
}

func TestNoConnectionIsUnavailable(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		c.bus.Cut(true)
		_, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil)
		if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeUnavailable || e.RetryAfter == 0 {
			t.Errorf("%v", err)
		}
		if check := c.fleet.Health(t.Context()); check.Status != pyth.CheckUnavailable {
			t.Errorf("%+v", check)
		}
		time.Sleep(time.Minute)
		c.bus.Cut(false)
		time.Sleep(3 * time.Second)
		c.run(newJob("a", "user", ""), nil)
		if check := c.fleet.Health(t.Context()); check.Status != pyth.CheckOK {
			t.Errorf("%+v", check)
		}
	})
}

func TestWorkersOfOtherVersionsGetNoJobs(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		bus := c.hub.Bus()
		old, err := link.Open(link.Config{
			Bus: bus, Token: token, MaxCalls: 10, Logger: discard(), Accept: func(*link.Link) { t.Error("the old worker got a job") }, Owns: func(string) bool { return false },
			Status: func() wire.Status {
				return wire.Status{Protocol: wire.Protocol - 1, Name: "old", Runtimes: map[string]string{"python": "3"}, MaxRunning: 5, MaxPerTenant: 5}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if len(c.fleet.Stats().Workers) != 1 {
			t.Error("the old worker is not alive")
		}
		if _, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil); err == nil {
			t.Error("a job started")
		}
		if check := c.fleet.Health(t.Context()); check.Status != pyth.CheckUnavailable || !strings.Contains(check.Detail, "1 with another version") {
			t.Errorf("%+v", check)
		}
		old.Close()
		bus.Close()
	})
}

func TestWorkersWithoutRuntimeGetNoJobs(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		c.addWorker("node", wire.Status{Runtimes: map[string]string{"node": "24"}})
		time.Sleep(time.Second)
		if _, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil); pyth.ErrorCode(err) != pyth.CodeRuntimeUnavailable {
			t.Errorf("%v", err)
		}
		job := newJob("a", "user", "")
		job.Language = pyth.TypeScript
		c.run(job, nil)
		if n := len(c.fleet.Stats().Workers); n != 1 {
			t.Errorf("%d workers", n)
		}
	})
}

func TestDrainingWorkerFinishesRunsAndGetsNoNewOnes(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan *pyth.Outcome)
		go func() {
			o, _ := pyth.Dispatch(ctx, c.fleet, newJob("a", "user", "sleep"), nil)
			done <- o
		}()
		time.Sleep(100 * time.Millisecond)
		m := c.on()
		drained := make(chan error)
		go func() { drained <- m.worker.Drain(t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		for range 3 {
			if o := c.run(newJob("b", "user", ""), nil); string(o.Stdout) == m.name {
				t.Error("a draining worker got a job")
			}
		}
		select {
		case err := <-drained:
			t.Error(err, "drained before the run has ended")
		default:
		}
		cancel()
		if o := <-done; o.Status != pyth.StatusCanceled {
			t.Errorf("%+v", o)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		m.close()
		c.run(newJob("c", "user", ""), nil)
	})
}

func TestDrainDeliversOutcomeBeforeWorkerLeaves(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		run, err := c.fleet.Start(t.Context(), newJob("a", "user", "one second"), nil)
		if err != nil {
			t.Fatal(err)
		}
		m := c.machines[0]
		go func() {
			_ = m.worker.Drain(context.Background())
			m.close()
		}()
		// Lose the outcome at first, but not the announcements of the worker.
		released := time.Now()
		c.hub.Drop(func(subject string, _ []byte) bool {
			after := time.Since(released)
			return strings.HasPrefix(subject, "pyth-on.cluster.node.") && after > time.Second/2 && after < 2*time.Second
		})
		if o, err := run.Release(t.Context(), nil); err != nil || o.Status != pyth.StatusSucceeded {
			t.Errorf("%+v %v", o, err)
		}
		time.Sleep(time.Second)
	})
}

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

func TestPasswordAndSecretsAreNotReadableOnBus(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		job := newJob("a", "user", "canary-code")
		password := []byte("canary-password")
		job.Encrypted = &pyth.EncryptedJob{Name: "n", Code: &pyth.EncryptedProgram{Language: pyth.Python}, Password: password}
		job.SecretsFollow = true
		run, err := c.fleet.Start(t.Context(), job, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Release(t.Context(), []pyth.SecretValue{{Name: "A", Value: []byte("canary-secret")}}); err != nil {
			t.Fatal(err)
		}
		if c.machines[0].password != "canary-password" {
			t.Errorf("%q", c.machines[0].password)
		}
		if !bytes.Equal(password, make([]byte, len(password))) {
			t.Error("the server kept the password")
		}
		for _, m := range c.hub.Sent() {
			if bytes.Contains(m, []byte("canary")) {
				t.Error("a message contains a canary")
			}
		}
	})
}
