package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asyncKills returns two numbers: how often the test kills a process, and how many
// asynchronous runs it starts in the same time. The environment variables ASYNC_KILLS
// and ASYNC_RUNS override the defaults.
func asyncKills(t *testing.T, kills, runs int) (int, int) {
	t.Helper()
	for name, value := range map[string]*int{"ASYNC_KILLS": &kills, "ASYNC_RUNS": &runs} {
		if text, ok := os.LookupEnv(name); ok {
			*value = must(strconv.Atoi(text))(t)
		}
	}
	return kills, runs
}

// victim is a process that the test can kill and start again.
type victim struct {
	name        string
	kill, start func(*testing.T)
}

// killStorm starts asynchronous runs on the servers. At the same time, it kills
// victims. It returns the runs that the servers have accepted.
func killStorm(t *testing.T, a *account, servers func() []*server, victims []victim, c *counter, kills, runs int) *ledger {
	t.Helper()
	accepted := new(ledger)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// The variable "allowed" is the number of runs that clients may start before the
	// next kill. It spreads the kills evenly over all runs.
	var allowed, next atomic.Int64
	var clients sync.WaitGroup
	for client := range 3 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if accepted.len() >= runs {
					return
				}
				if int64(accepted.len()) >= allowed.Load() {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				// Use a new name for each attempt, because the server may have accepted
				// the run of an earlier attempt although its answer was lost.
				name := fmt.Sprint("run-", next.Add(1))
				all := servers()
				answer, err := all[client%len(all)].tryCall(ctx, a.asyncHeader(), "POST", "/api/v1/execute", c.request(name))
				if err != nil || answer.status != 202 {
					if err == nil && answer.status != 503 {
						t.Errorf("status %d: %s", answer.status, answer.body)
						return
					}
					time.Sleep(20 * time.Millisecond) // Wait, because the test is killing a process.
					continue
				}
				r := new(record)
				answer.want(t, 202, r)
				accepted.add(name, r.ID)
			}
		})
	}
	begun := time.Now()
	for i := range kills {
		allowed.Store(int64(runs * (i + 1) / kills))
		// Kill a victim after a random number of programs and a random pause. So the
		// kills happen in all phases of a run.
		programs, pause := rand.IntN(2*runs/kills+2), time.Duration(rand.Int64N(int64(300*time.Millisecond)))
		for before, since := c.sum(), time.Now(); c.sum() < before+programs && time.Since(since) < 5*time.Second; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(pause)
		v := victims[rand.IntN(len(victims))]
		v.kill(t)
		v.start(t)
		if (i+1)%10 == 0 {
			t.Logf("%v: %d kills, the last one of %s; %d runs accepted, %d programs started", time.Since(begun).Round(time.Second), i+1, v.name, accepted.len(), c.sum())
		}
	}
	clients.Wait()
	return accepted
}

// TestExecuteRunsEachAsyncRunOnce repeatedly kills a server with SQLite while it
// executes asynchronous runs. Each program reports its start to a counter. Each
// accepted run must end exactly once, and no program may start twice.
func TestExecuteRunsEachAsyncRunOnce(t *testing.T) {
	t.Parallel()
	kills, runs := asyncKills(t, 6, 60)
	c := startCounter(t)
	flags := append([]string{"--warm=1", "--warm-node=0", "--max-running=4"}, counterFlags...)
	data := newDataDir(t)
	var current atomic.Pointer[server]
	current.Store(startServerIn(t, data, nil, flags...))
	var logs []*logBuffer
	a := current.Load().register(t)
	accepted := killStorm(t, a, func() []*server { return []*server{current.Load()} }, []victim{{
		"server",
		func(t *testing.T) { current.Load().kill(t) },
		func(t *testing.T) {
			s := startServerIn(t, data, nil, flags...)
			logs = append(logs, s.log)
			current.Store(s)
		},
	}}, c, kills, runs)
	n := &node{name: "server", logs: logs}
	statuses := accepted.requireOneEnd(t, a.on(current.Load()), c, n.lines)
	t.Logf("%d runs were accepted during %d kills: %v", accepted.len(), kills, statuses)
	if statuses["succeeded"] == 0 {
		t.Error("no run succeeded")
	}
}

// TestClusterRunsEachAsyncRunOnce is the same test as TestExecuteRunsEachAsyncRunOnce,
// but with a cluster. It kills servers, workers, NATS and PostgreSQL.
func TestClusterRunsEachAsyncRunOnce(t *testing.T) {
	t.Parallel()
	onlyDeep(t, "it starts many processes; TestWorkerFailures and TestServersShareAsyncRuns are smaller")
	kills, runs := asyncKills(t, 20, 200)
	c := startCounter(t)
	d := newDeployment(t)
	for i := range 3 {
		d.addWorker(t, &node{name: fmt.Sprint("worker", i)}, append([]string{"--max-running=2"}, counterFlags...)...)
	}
	for i := range 2 {
		d.addServer(t, &node{name: fmt.Sprint("server", i)}, counterFlags...)
	}
	var victims []victim
	for _, n := range d.nodes {
		victims = append(victims, victim{n.name, func(t *testing.T) { n.process().kill(t) }, n.start})
	}
	victims = append(victims,
		victim{"NATS", func(*testing.T) { d.nats.Stop() }, func(t *testing.T) { d.nats.Restart(t) }},
		victim{"PostgreSQL", func(*testing.T) { d.postgres.Stop(true) }, func(t *testing.T) {
			if err := d.postgres.Start(); err != nil {
				t.Fatal(err)
			}
		}})
	d.awaitWorkers(t, 3)
	servers := func() (all []*server) {
		for _, n := range d.servers() {
			all = append(all, n.process())
		}
		return all
	}
	a := servers()[0].register(t)
	accepted := killStorm(t, a, servers, victims, c, kills, runs)
	statuses := accepted.requireOneEnd(t, a.on(servers()[0]), c, d.lines)
	t.Logf("%d runs were accepted during %d kills: %v", accepted.len(), kills, statuses)
	if statuses["succeeded"] == 0 {
		t.Error("no run succeeded")
	}
}

// lines returns all log lines that contain the text. It searches the logs of all nodes.
func (d *deployment) lines(text string) (all []string) {
	for _, n := range d.nodes {
		all = slices.Concat(all, n.lines(text))
	}
	return all
}
