package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// defaultSoak is the number of runs in the soak test without -short, and shortSoak is
// the number with -short. The environment variable SOAK_RUNS overrides both numbers.
const (
	defaultSoak = 1000
	shortSoak   = 200
)

// TestServeSoak runs programs of many users, with all possible results. It also cancels
// some runs and kills some sandboxes. Afterwards, the server must use no more resources
// than before.
func TestServeSoak(t *testing.T) {
	t.Parallel()
	runs, users, idle := defaultSoak, 50, "8s"
	if testing.Short() {
		runs, users, idle = shortSoak, 16, "3s"
	}
	if s := os.Getenv("SOAK_RUNS"); s != "" {
		runs = must(strconv.Atoi(s))(t)
	}
	const clients = 8
	// A user can have several sandboxes. So this value of --max-sandboxes is too small
	// for the sandboxes of all users, and the pool must remove some idle sandboxes.
	s := startServer(t, append([]string{"--sandbox-idle=" + idle, fmt.Sprint("--max-sandboxes=", users+10)}, defaultStock...)...)
	accounts := make([]*account, users)
	for i := range accounts {
		accounts[i] = s.register(t)
	}
	s.runSoak(t, accounts, clients, runs/5)
	before, memoryBefore := s.waitUntilIdle(t)
	started := time.Now()
	s.runSoak(t, accounts, clients, runs)
	took := time.Since(started)
	after, memoryAfter := s.waitUntilIdle(t)
	t.Logf("%d runs of %d users in %v", runs, users, took.Round(time.Second))
	t.Logf("before: %+v, %d MiB", before, memoryBefore/mib)
	t.Logf("after:  %+v, %d MiB", after, memoryAfter/mib)
	if memoryAfter > memoryBefore+32*mib {
		t.Error("the server's memory has grown")
	}
	s.waitForFootprint(t, before)
}

func (s *server) runSoak(t *testing.T, accounts []*account, clients, runs int) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(runs))
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), uint64(runs)))
			for left.Add(-1) >= 0 {
				s.runSoakProgram(t, accounts[random.IntN(len(accounts))], random)
			}
		})
	}
	wg.Wait()
}

func (s *server) runSoakProgram(t *testing.T, a *account, random *rand.Rand) {
	header := http.Header{"X-Api-Key": {a.APIKey}}
	ctx := t.Context()
	request := object{"timeoutMs": 20_000}
	want := "succeeded"
	switch n := random.IntN(100); {
	case n < 60:
		request["code"] = "print(42)"
	case n < 70:
		request["code"], want = "raise ValueError('soak')", "failed"
	case n < 75:
		request["code"], want = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed"
	case n < 80:
		request["code"] = "import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)"
	case n < 84:
		request["code"], want = "x = []\nwhile True: x.append(b'x' * (1 << 20))", "out_of_memory"
		request["limits"] = object{"memoryBytes": 48 * mib}
	case n < 87:
		request["code"], request["timeoutMs"], want = "while True: pass", 100, "timed_out"
	case n < 90:
		request["code"], want = "while True: print('x' * 1000)", "output_limit"
	case n < 93:
		request["code"], request["isolation"] = "print(42)", "execution"
	case n < 98:
		// Cancel the run by closing the connection.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(50))*time.Millisecond)
		defer cancel()
		request["code"], want = "import time\ntime.sleep(5)", ""
	default:
		// Kill a random sandbox of any user.
		request["code"], want = "print(42)", ""
		if all := s.sandboxPIDs(); len(all) > 0 {
			_ = syscall.Kill(all[random.IntN(len(all))], syscall.SIGKILL)
		}
	}
	res, err := s.tryCall(ctx, header, "POST", "/api/v1/execute", request)
	if want == "" {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	var x execution
	res.want(t, 200, &x)
	// Another client of the test can have killed the sandbox of this run.
	if x.Status != want && x.Status != "killed" {
		t.Errorf("got %s, want %s: %s", x.Status, want, &x)
	}
}

// waitUntilIdle waits until no user has a sandbox. It returns the resources that the
// server then uses, and the server's memory in bytes.
func (s *server) waitUntilIdle(t *testing.T) (footprint, int) {
	t.Helper()
	eventually(t, "users' sandboxes are gone", func() bool { return s.metric(t, "pyth_on_sandboxes_idle") == 0 })
	eventually(t, "the number of warm sandboxes is the default", func() bool {
		return s.metric(t, "pyth_on_sandboxes_ready") == defaultWarm && s.isIdle(t)
	})
	return s.footprint(t), s.memoryBytes(t, "VmRSS:")
}
