package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

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
		// Two runs are enough to fill a worker.
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
		// The recorder returns an error, as if the client had closed the connection.
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

func TestWorkersOfOtherVersionsGetNoJobs(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		bus := c.hub.Bus()
		old, err := link.Open(link.Config{
			Bus: bus, Token: token, MaxCalls: func() int { return 10 }, Logger: discard(), Accept: func(*link.Link) { t.Error("the old worker got a job") }, Owns: func(string) bool { return false },
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
		// This error code matters, because an asynchronous run that gets this code waits
		// for a worker.
		if _, err := c.fleet.Start(t.Context(), newJob("a", "user", ""), nil); pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("got %v", err)
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
