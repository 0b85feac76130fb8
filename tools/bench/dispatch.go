package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// natsServer is the path of the NATS server. The path is relative to the root of the
// repository.
const natsServer = "bin/tools/nats-server"

// dispatchWorkers is the number of workers in the measurement of a cluster.
const dispatchWorkers = 2

// metricsToken is both the joining token of the workers and the token for the metrics
// of the server.
const metricsToken = "the-joining-token-of-the-benchmark"

// measureDispatch measures how much longer a run takes on a worker than in the process
// of the server. The server and the worker communicate through NATS. All processes run
// on this machine.
func (b *bench) measureDispatch(ctx context.Context) (err error) {
	if _, err := os.Stat(natsServer); err != nil {
		for _, s := range []*series{b.results.dispatched, b.results.dispatchCost, b.results.dispatchedLine, b.results.onWarmWorker} {
			s.missingReason = err.Error()
		}
		return nil
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	stopNATS, err := b.background(ctx, natsServer, "--addr", host, "--port", port)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopNATS()) }()
	dir := filepath.Dir(b.warmData)
	token := filepath.Join(dir, "joining-token")
	if err := os.WriteFile(token, []byte(metricsToken+"\n"), 0o600); err != nil {
		return err
	}
	image, err := findImage(b.warmData)
	if err != nil {
		return err
	}
	serverData := filepath.Join(dir, "dispatch")
	if err := linkImage(image, serverData); err != nil {
		return err
	}
	for i := range dispatchWorkers {
		workerData := filepath.Join(dir, fmt.Sprint("worker", i))
		if err := linkImage(image, workerData); err != nil {
			return err
		}
		stopWorker, err := b.background(ctx, b.binary, "worker", "--nats=nats://"+address, "--join-token-file="+token,
			"--data-dir="+workerData, "--warm-node=0", "--node=off", "--log-level=warn")
		if err != nil {
			return err
		}
		defer func() { _ = stopWorker() }() // It returns no error.
	}
	return b.serve(ctx, b.warmData, []string{"--warm-node=0"}, func(local *server) error {
		flags := []string{"--dispatch=nats://" + address, "--join-token-file=" + token, "--metrics-token-file=" + token, "--node=off"}
		return b.serve(ctx, serverData, flags, func(remote *server) error { return b.compareDispatch(ctx, local, remote) })
	})
}

// compareDispatch runs a program alternately on two servers, one with a worker and one
// without.
func (b *bench) compareDispatch(ctx context.Context, local, remote *server) error {
	here, err := local.register(ctx)
	if err != nil {
		return err
	}
	there, err := remote.register(ctx)
	if err != nil {
		return err
	}
	// Repeat the first run until it succeeds, because runs fail while the worker
	// starts.
	deadline := time.Now().Add(startTimeout)
	for {
		_, err := there.runAnswer(ctx)
		if err == nil {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("no run on the worker: %w", err)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	before, err := remote.runsOfWorkers(ctx)
	if err != nil {
		return err
	}
	n := b.plan.latencyRounds
	pair := func(ctx context.Context) ([]float64, error) {
		var costs []float64
		for range 8 {
			a, err := here.runAnswer(ctx)
			if err != nil {
				return nil, err
			}
			if err := sleep(ctx, restTime/2); err != nil {
				return nil, err
			}
			z, err := there.runAnswer(ctx)
			if err != nil {
				return nil, err
			}
			if err := sleep(ctx, restTime/2); err != nil {
				return nil, err
			}
			b.results.dispatched.add([]float64{z.Seconds()})
			b.results.undispatched.add([]float64{a.Seconds()})
			costs = append(costs, (z - a).Seconds())
		}
		return costs, nil
	}
	err = alternate(ctx, n, b.progress.rounds("Runs on a worker", n),
		subject{b.results.dispatchCost, pair}, subject{b.results.dispatchedLine, withRest(there.streamTicks)})
	if err != nil {
		return err
	}
	after, err := remote.runsOfWorkers(ctx)
	if err != nil {
		return err
	}
	most, sum := 0.0, 0.0
	for worker, n := range after {
		most, sum = max(most, n-before[worker]), sum+n-before[worker]
	}
	b.results.onWarmWorker.add([]float64{most / sum})
	return nil
}

// runsOfWorkers returns how many runs each worker has accepted.
func (s *server) runsOfWorkers(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+metricsToken)
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	runs := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		worker, ok := strings.CutPrefix(lines.Text(), "pyth_on_worker_executions_total{")
		if !ok {
			continue
		}
		worker, value, _ := strings.Cut(worker, "} ")
		if runs[worker], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(runs) != dispatchWorkers {
		return nil, fmt.Errorf("the metrics have %d workers, not %d: status %d", len(runs), dispatchWorkers, res.StatusCode)
	}
	return runs, nil
}

// The method "background" starts a process in the background. It returns a function
// that stops the process.
func (*bench) background(ctx context.Context, program string, args ...string) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(environment(), nodeSettings()...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // nats-server ends with an error after SIGTERM.
		return nil
	}, nil
}

// freeAddress returns a local address whose port is free.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
