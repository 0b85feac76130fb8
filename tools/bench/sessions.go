package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// sessionsAtOnce is the number of sessions in each of three measurements. In the first,
// the sessions start one after the other. In the second, a session starts every 200 ms.
// In the third, all sessions start at the same time. The measurements follow the
// benchmarks of ComputeSDK.
const sessionsAtOnce = 100

// staggerInterval is the time between the starts of two sessions in the staggered
// measurement.
const staggerInterval = 200 * time.Millisecond

// measureSessions measures the time from the request for a session until the answer of
// its first run. ComputeSDK's benchmarks call this time "time to interactive".
// measureSessions also measures the memory of idle sessions.
func (b *bench) measureSessions(ctx context.Context) error {
	number := strconv.Itoa(sessionsAtOnce)
	flags := []string{
		"--warm-node=0", "--max-sandboxes=" + strconv.Itoa(sessionsAtOnce+8), "--max-queued-per-user=" + number,
		"--max-sessions=" + number, "--max-sessions-per-user=" + number,
	}
	return b.serve(ctx, b.warmData, flags, func(s *server) error {
		tenant, err := s.register(ctx)
		if err != nil {
			return err
		}
		b.results.sessions = b.plan.sessions
		b.progress.step("Sessions, one after the other")
		values, err := repeatN(b.plan.sessions, tenant.runInSession)(ctx)
		if err != nil {
			return err
		}
		b.results.sessionsInTurn.add(values)
		b.progress.step("Sessions, one each 200 ms")
		arrivals := schedule(1/staggerInterval.Seconds(), time.Duration(b.plan.sessions)*staggerInterval)
		values, err = openLoop(ctx, arrivals, func(ctx context.Context) error {
			_, err := tenant.runInSession(ctx)
			return err
		})
		if err != nil {
			return err
		}
		b.results.sessionsStaggered.add(values)
		b.progress.step("Sessions, all at once")
		return b.sessionBurst(ctx, s, tenant)
	})
}

// sessionBurst creates all sessions at the same time and runs a command in each session.
// It measures the memory of the sandboxes of these sessions. Then it closes the sessions.
func (b *bench) sessionBurst(ctx context.Context, s *server, tenant *account) error {
	var (
		mu     sync.Mutex
		opened []string
		values = make([]float64, b.plan.sessions)
		all    sync.WaitGroup
	)
	for i := range values {
		all.Go(func() {
			id, took, err := tenant.openSession(ctx)
			mu.Lock()
			defer mu.Unlock()
			if id != "" {
				opened = append(opened, id)
			}
			values[i] = took.Seconds()
			if err != nil {
				values[i] = math.Inf(1)
			}
		})
	}
	all.Wait()
	b.results.sessionsAtOnce.add(values)
	if err := sleep(ctx, b.plan.idleTime); err != nil {
		return err
	}
	addSandboxMemory(s, b.results.idleSession)
	if err := b.measureProcesses(ctx, s, tenant, opened); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for _, id := range opened {
		group.Go(func() error { return tenant.closeSession(ctx, id) })
	}
	return group.Wait()
}

// addSandboxMemory adds the mean private memory of the server's sandboxes to the series.
func addSandboxMemory(s *server, to *series) {
	sum, count := 0.0, 0
	for _, pids := range processesOf(s.pid()).sandboxes {
		m, err := memoryOf(pids)
		if err != nil {
			to.missingReason = err.Error()
			return
		}
		sum, count = sum+m.private, count+1
	}
	if count > 0 {
		to.add([]float64{sum / float64(count)})
	}
}

// openSession creates a session and runs the usual program, print(42), in this session.
// It returns the ID of the session, and the time until the answer of the run.
func (a *account) openSession(ctx context.Context) (string, time.Duration, error) {
	var session struct{ ID string }
	created, err := a.call(ctx, http.MethodPost, "/api/v1/sessions", map[string]any{"language": "python"}, http.StatusCreated, &session)
	if err != nil {
		return "", 0, err
	}
	printed, took, err := a.run(ctx, map[string]any{"language": "python", "code": program, "sessionId": session.ID})
	if err == nil && printed != answer {
		err = fmt.Errorf("the session printed %q", printed)
	}
	return session.ID, created + took, err
}

func (a *account) closeSession(ctx context.Context, id string) error {
	_, err := a.call(ctx, http.MethodDelete, "/api/v1/sessions/"+id, nil, http.StatusNoContent, nil)
	return err
}

// runInSession creates a session, runs the usual program, print(42), and closes the
// session. It returns the time until the answer of the run.
func (a *account) runInSession(ctx context.Context) (time.Duration, error) {
	id, took, err := a.openSession(ctx)
	if id == "" {
		return 0, err
	}
	return took, errors.Join(err, a.closeSession(ctx, id))
}
