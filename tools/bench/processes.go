package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pyth-on/pyth-on/client"
)

// processesOfSession is the number of waiting processes in each session whose memory the
// benchmark measures.
const processesOfSession = 3

// Numbers of measurements in one session. keyPause is the time between two keys. Nobody
// types faster than this.
const (
	commandsMeasured = 100
	keysMeasured     = 200
	keyPause         = 5 * time.Millisecond
)

// measureProcesses measures commands and a terminal in one of the sessions. Then it starts
// waiting processes in all sessions and measures the memory.
func (b *bench) measureProcesses(ctx context.Context, s *server, tenant *account, sessions []string) error {
	if len(sessions) == 0 {
		return nil
	}
	b.progress.step("Commands and a terminal in a session")
	for range commandsMeasured {
		beyond, err := tenant.runCommand(ctx, sessions[0])
		if err != nil {
			return err
		}
		b.results.command.add([]float64{beyond.Seconds()})
	}
	values, err := typeKeys(ctx, s.url, tenant.key, sessions[0])
	if err != nil {
		return err
	}
	b.results.echo.add(values)
	b.progress.step("Waiting processes in sessions")
	group, starting := errgroup.WithContext(ctx)
	group.SetLimit(clients)
	for _, id := range sessions {
		group.Go(func() error {
			for range processesOfSession {
				body := map[string]any{"args": []string{"sleep", "100000"}}
				if _, err := tenant.call(starting, http.MethodPost, "/api/v1/sessions/"+id+"/processes", body, http.StatusCreated, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := sleep(ctx, b.plan.idleTime); err != nil {
		return err
	}
	addSandboxMemory(s, b.results.busySession)
	return nil
}

// runCommand runs a command in a session. It returns the duration of the request minus
// the time from the start of the process to its end.
func (a *account) runCommand(ctx context.Context, session string) (time.Duration, error) {
	var p struct {
		Stdout             string
		StartedAt, EndedAt time.Time
	}
	took, err := a.call(ctx, http.MethodPost, "/api/v1/sessions/"+session+"/processes?wait=true", map[string]any{"command": "echo 42"}, http.StatusCreated, &p)
	if err == nil && p.Stdout != answer {
		err = fmt.Errorf("the command printed %q", p.Stdout)
	}
	return took - p.EndedAt.Sub(p.StartedAt), err
}

// screen receives the output of a terminal.
type screen chan byte

func (s screen) Write(b []byte) (int, error) {
	for _, c := range b {
		s <- c
	}
	return len(b), nil
}

// typeKeys types keys in a shell in a terminal. It returns the times from each key to its
// echo.
func typeKeys(ctx context.Context, url, key, session string) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	api, err := client.New(url, client.WithAPIKey(key))
	if err != nil {
		return nil, err
	}
	opened, err := api.Session(ctx, session)
	if err != nil {
		return nil, err
	}
	p, err := opened.StartProcess(ctx, &client.ProcessRequest{
		Args: []string{"bash", "--norc"}, Env: map[string]string{"PS1": "ready"}, TTY: &client.TerminalSize{Columns: 4000, Rows: 50},
	})
	if err != nil {
		return nil, err
	}
	attached, err := opened.AttachProcess(ctx, p.PID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = attached.Close() }()
	output := make(screen, 1<<20)
	go func() { _, _ = attached.Copy(output, output) }()
	until := func(text string) error {
		var seen []byte
		for !bytes.HasSuffix(seen, []byte(text)) {
			select {
			case c := <-output:
				seen = append(seen, c)
			case <-ctx.Done():
				return fmt.Errorf("wait for %q after %q: %w", text, seen, ctx.Err())
			}
		}
		return nil
	}
	if err := until("ready"); err != nil {
		return nil, err
	}
	values := make([]float64, 0, keysMeasured)
	for i := range keysMeasured {
		if err := sleep(ctx, keyPause); err != nil {
			return nil, err
		}
		key := string(rune('a' + i%26))
		began := time.Now()
		if _, err := attached.Write([]byte(key)); err != nil {
			return nil, err
		}
		if err := until(key); err != nil {
			return nil, err
		}
		values = append(values, time.Since(began).Seconds())
	}
	return values, opened.SignalProcess(ctx, p.PID, "SIGKILL")
}
