package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

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
					// An error means that the program did not run, so it is safe to try
					// again.
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
			// If several consecutive announcements are lost, the server treats the
			// worker as lost.
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
		// For some time, drop the messages with the outcome. Do not drop the
		// announcements of the worker.
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
