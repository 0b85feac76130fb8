package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// load is a group of clients that send requests to all servers of a deployment until
// the test stops them. It counts the answers by server and by kind of request.
type load struct {
	d       *deployment
	counter *counter
	runs    ledger
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu sync.Mutex
	// The map answers contains the numbers of answers. Each key has the form "SERVER
	// KIND STATUS". For a lost connection, the status is 0.
	answers map[string]int
	// The field "killed" contains the names of the servers that may lose connections,
	// because the test kills them.
	killed   map[string]bool
	accounts []*account
	// stored and requests describe the acknowledged writes of each account. The
	// function requireAllStored checks these writes.
	stored   []map[string]int
	requests [][]string
	// The field "ran" contains the names of synchronous runs. The answers to these runs
	// reported success.
	ran []string
}

// startLoad starts clients that send all kinds of requests to each server.
func startLoad(t *testing.T, d *deployment, c *counter) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{d: d, counter: c, stop: stop, answers: map[string]int{}, killed: map[string]bool{}}
	async := d.servers()[0].process().register(t)
	for i, n := range d.servers() {
		a := n.process().register(t)
		l.accounts, l.stored, l.requests = append(l.accounts, a), append(l.stored, map[string]int{}), append(l.requests, nil)
		l.clients.Go(func() {
			for k := 1; ctx.Err() == nil; k++ {
				l.write(t, n, i, k)
				time.Sleep(20 * time.Millisecond) // Do not write faster, because the test reads all audit entries of the writes.
			}
		})
		l.clients.Go(func() {
			for k := 1; ctx.Err() == nil; k++ {
				l.run(t, n, a, fmt.Sprintf("sync-%d-%d", i, k))
			}
		})
		l.clients.Go(func() {
			for k := 1; ctx.Err() == nil; k++ {
				l.enqueue(t, n, async, fmt.Sprintf("async-%d-%d", i, k))
				time.Sleep(200 * time.Millisecond) // Do not fill the queue faster than programs run.
			}
		})
	}
	// The last account sends only requests for asynchronous runs.
	l.accounts = append(l.accounts, async)
	t.Cleanup(stop)
	return l
}

// send sends a request to the server. The status must be 2xx, or 503 with the header
// Retry-After. send returns nil if the connection was lost.
func (l *load) send(t *testing.T, n *node, kind string, header http.Header, method, path string, body any) *answer {
	answer, err := n.process().tryCall(t.Context(), header, method, path, body)
	status := 0
	switch {
	case err != nil:
		if !l.mayLose(n) {
			t.Errorf("%s %s %s: %v", n.name, method, path, err)
		}
		time.Sleep(10 * time.Millisecond)
	case answer.status/100 == 2:
		status = 200
	case answer.status == 503:
		status = 503
		time.Sleep(10 * time.Millisecond)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s %s %s: no Retry-After in %s", n.name, method, path, answer.body)
		}
	default:
		t.Errorf("%s %s %s: status %d: %s", n.name, method, path, answer.status, answer.body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[fmt.Sprint(n.name, " ", kind, " ", status)]++
	if err != nil {
		return nil
	}
	return answer
}

func (l *load) write(t *testing.T, n *node, i, k int) {
	name := fmt.Sprintf("S%d", k%7)
	answer := l.send(t, n, "write", http.Header{"X-Api-Key": {l.accounts[i].APIKey}}, "PUT", "/api/v1/secrets/"+name, object{"value": fmt.Sprintf("value %d", k)})
	l.mu.Lock()
	defer l.mu.Unlock()
	if answer == nil || answer.status == 503 {
		l.stored[i][name] = -k
		return
	}
	l.stored[i][name] = k
	l.requests[i] = append(l.requests[i], answer.header.Get("X-Request-Id"))
}

func (l *load) run(t *testing.T, n *node, a *account, name string) {
	answer := l.send(t, n, "run", http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", l.counter.request(name))
	if answer == nil || answer.status != 200 {
		return
	}
	x := new(execution)
	answer.want(t, 200, x)
	switch {
	case x.Status == "succeeded" && x.Stdout == name+"\n":
		l.mu.Lock()
		l.ran = append(l.ran, name)
		l.mu.Unlock()
	case x.Status == "killed" && x.Reason == "worker_lost":
	default:
		t.Errorf("%s: %s, reason %q", name, x, x.Reason)
	}
}

func (l *load) enqueue(t *testing.T, n *node, a *account, name string) {
	answer := l.send(t, n, "async", a.asyncHeader(), "POST", "/api/v1/execute", l.counter.request(name))
	if answer != nil && answer.status == 202 {
		r := new(record)
		answer.want(t, 202, r)
		l.runs.add(name, r.ID)
	}
}

// allow sets whether clients may lose their connections to the server.
func (l *load) allow(n *node, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed[n.name] = lost
}

func (l *load) mayLose(n *node) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killed[n.name]
}

// await waits until the server has answered some more requests of the given kind with
// the given status.
func (l *load) await(t *testing.T, n *node, kind string, status int) {
	t.Helper()
	key := fmt.Sprint(n.name, " ", kind, " ", status)
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.answers[key]
	}
	// Count only the answers that arrive after this point.
	before := count()
	eventually(t, "further answers: "+key, func() bool { return count() > before+2 || t.Failed() && count() > before })
}

// awaitAll waits until all servers answer all kinds of requests successfully again.
func (l *load) awaitAll(t *testing.T) {
	t.Helper()
	for _, n := range l.d.servers() {
		for _, kind := range []string{"write", "run", "async"} {
			l.await(t, n, kind, 200)
		}
	}
}

// finish stops the clients. Then it checks that no acknowledged run or write is lost,
// and that no program has started twice.
func (l *load) finish(t *testing.T) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	for i := range l.accounts {
		l.accounts[i] = l.accounts[i].on(l.d.servers()[1].process())
	}
	last := len(l.accounts) - 1
	requireAllStored(t, l.accounts[:last], l.stored, l.requests)
	statuses := l.runs.requireOneEnd(t, l.accounts[last], l.counter, l.d.lines)
	for _, name := range l.ran {
		if n := l.counter.of(name); n != 1 {
			t.Errorf("%s started %d times", name, n)
		}
	}
	t.Logf("answers: %v; asynchronous runs: %v; %d synchronous runs succeeded", l.answers, statuses, len(l.ran))
}

// TestClusterSurvivesPartitions interrupts the network between processes of a cluster
// under load. It also restarts some of the processes. During this time, callers may get
// 503 with Retry-After. No acknowledged run or write may be lost, and no program may
// start twice. Afterwards, the cluster must work again without help.
func TestClusterSurvivesPartitions(t *testing.T) {
	t.Parallel()
	onlyDeep(t, "it takes minutes; TestWorkerFailures is smaller")
	c := startCounter(t)
	d := newDeployment(t)
	one := d.addWorker(t, &node{name: "worker1"}, append([]string{"--max-running=2"}, counterFlags...)...)
	d.addWorker(t, &node{name: "worker2"}, append([]string{"--max-running=2"}, counterFlags...)...)
	first := d.addServer(t, &node{name: "server1"}, counterFlags...)
	second := d.addServer(t, &node{name: "server2"}, counterFlags...)
	d.awaitWorkers(t, 2)
	l := startLoad(t, d, c)
	l.awaitAll(t)

	phases := []struct {
		name  string
		proxy *proxy
		// The function "awaits" waits until the partition has an effect on the answers
		// of the servers.
		awaits func()
	}{
		{"server and NATS", first.nats, func() {
			l.await(t, first, "run", 503)
			l.await(t, first, "write", 200)
			l.await(t, second, "run", 200)
		}},
		{"worker and NATS", one.nats, func() {
			eventually(t, "both servers have lost the worker", func() bool {
				for _, n := range d.servers() {
					if n.process().metric(t, "pyth_on_workers_lost_total") == 0 {
						return false
					}
				}
				return true
			})
			l.await(t, first, "run", 200)
			l.await(t, second, "run", 200)
		}},
		{"server and PostgreSQL", first.db, func() {
			l.await(t, first, "write", 503)
			l.await(t, second, "write", 200)
			l.await(t, second, "run", 200)
		}},
	}
	for _, phase := range phases {
		for _, state := range []linkState{linkHeld, linkCut} {
			begun := time.Now()
			phase.proxy.set(state)
			phase.awaits()
			phase.proxy.set(linkOpen)
			d.awaitWorkers(t, 2)
			l.awaitAll(t)
			t.Logf("%s, state %d: separated and together again in %v", phase.name, state, time.Since(begun))
		}
	}
	restartUnderLoad(t, d, l)
	l.finish(t)
}

// restartUnderLoad restarts PostgreSQL, NATS and a server. It also checks what the
// other processes answer while one of these processes is down.
func restartUnderLoad(t *testing.T, d *deployment, l *load) {
	t.Helper()
	first, second := d.servers()[0], d.servers()[1]
	for _, crash := range []bool{false, true} {
		d.postgres.Stop(crash)
		l.await(t, first, "write", 503)
		l.await(t, second, "run", 503)
		if err := d.postgres.Start(); err != nil {
			t.Fatal(err)
		}
		l.awaitAll(t)
	}
	d.nats.Stop()
	l.await(t, first, "run", 503)
	l.await(t, second, "run", 503)
	l.await(t, first, "async", 200)
	d.nats.Restart(t)
	d.awaitWorkers(t, 2)
	l.awaitAll(t)

	l.allow(first, true)
	first.process().kill(t)
	l.await(t, second, "run", 200)
	l.await(t, second, "async", 200)
	first.start(t)
	l.allow(first, false)
	l.awaitAll(t)
}

// TestClusterEndsRunsOfSilentServer interrupts the network between one server and
// PostgreSQL. After some time, another server ends the asynchronous runs of the first
// server. The program must run only once. The record of the run must not change after
// its end.
func TestClusterEndsRunsOfSilentServer(t *testing.T) {
	t.Parallel()
	onlyDeep(t, "it waits for half a minute; the tests of internal/async have a fake clock")
	c := startCounter(t)
	d := newDeployment(t)
	d.addWorker(t, &node{name: "worker"}, counterFlags...)
	first := d.addServer(t, &node{name: "server1"}, counterFlags...)
	a := first.process().register(t)
	request := c.request("slow")
	request["code"] = request["code"].(string) + "\nimport time\ntime.sleep(60)"
	id := a.enqueue(t, request).ID
	eventually(t, "the program runs", func() bool { return c.of("slow") == 1 })
	second := d.addServer(t, &node{name: "server2"}, counterFlags...)
	b := a.on(second.process())
	first.db.set(linkHeld)
	if r := b.wait(t, id); r.Status != "killed" || r.Reason != "worker_lost" {
		t.Errorf("got %+v", r)
	}
	first.db.set(linkOpen)
	eventually(t, "the first server works again", func() bool {
		answer, err := first.process().tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "GET", "/api/v1/executions/"+id, nil)
		return err == nil && answer.status == 200
	})
	a.run(t, "print(1)").prints(t, "1\n")
	eventually(t, "the worker is idle", func() bool {
		return (&workers{server: first.process()}).sum(t, "pyth_on_worker_executions_running") == 0
	})
	for _, x := range []*account{a, b} {
		if r := x.record(t, id); r.Status != "killed" || r.Reason != "worker_lost" {
			t.Errorf("after the program has ended: %+v", r)
		}
	}
	c.requireOnce(t)
}
