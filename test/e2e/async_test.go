package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asyncHeader returns the headers of a request that starts an asynchronous run.
func (a *account) asyncHeader() http.Header {
	return http.Header{"X-Api-Key": {a.APIKey}, "Prefer": {"wait=1, Respond-Async"}}
}

// enqueue starts an asynchronous run and returns the record of the run.
func (a *account) enqueue(t testing.TB, request object) *record {
	t.Helper()
	r := new(record)
	answer := a.server.callWithHeader(t, a.asyncHeader(), "POST", "/api/v1/execute", request)
	answer.want(t, 202, r)
	if r.State != "queued" || answer.header.Get("Location") != "/api/v1/executions/"+r.ID || answer.header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("got %+v with the header %v", r, answer.header)
	}
	return r
}

// wait waits until the run has ended, and returns the record of the run.
func (a *account) wait(t testing.TB, id string) *record {
	t.Helper()
	for {
		r := new(record)
		a.server.call(t, a, "GET", "/api/v1/executions/"+id+"?wait=60", nil).want(t, 200, r)
		if r.State == "ended" {
			return r
		}
	}
}

func TestExecuteRespondsAsync(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "value of the secret")
	q := a.enqueue(t, object{
		"code":  "import os, sys\nprint(sys.stdin.read(), sys.argv[1:], os.environ['A'], open('in').read(), len(os.environ['TOKEN']))\nopen('out', 'w').write('x')\n6 * 7",
		"stdin": "input", "args": []string{"b"}, "env": object{"A": "c"}, "files": []object{{"path": "in", "content": "d"}},
		"outputFiles": []string{"out"}, "labels": []string{"asynchronous"}, "secrets": []string{"TOKEN"},
	})
	r := a.wait(t, q.ID)
	if r.Status != "succeeded" || r.Stdout != "input ['b'] c d 19\n" || len(r.Results) != 1 || len(r.Files) != 1 || r.Content != "stored" || len(r.Labels) != 1 {
		t.Errorf("got %+v", r)
	}
	if found := a.records(t, "label=asynchronous"); len(found) != 1 || found[0].ID != q.ID {
		t.Errorf("got %+v", found)
	}
	events := s.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}}, "GET", "/api/v1/executions/"+q.ID+"/events", nil)
	if text := string(events.body); events.status != 200 || !strings.Contains(text, "event: stdout") || !strings.Contains(text, "event: end") {
		t.Errorf("got the events %s", text)
	}
	actions := map[string]int{}
	for _, e := range a.auditLog(t, "") {
		if e.Details["executionId"] == q.ID {
			actions[e.Action]++
		}
	}
	if actions["execution.queued"] != 1 || actions["code.executed"] != 1 || actions["secret.used"] != 1 {
		t.Errorf("the audit log has %v", actions)
	}
	if r := a.wait(t, a.enqueue(t, object{"code": "print(1)", "store": false}).ID); r.Content != "none" || r.Stdout != "" || r.Status != "succeeded" {
		t.Errorf("got %+v", r)
	}
	if r := a.wait(t, a.enqueue(t, object{"code": "import time\ntime.sleep(100)", "timeoutMs": 200}).ID); r.Status != "timed_out" {
		t.Errorf("got %+v", r)
	}
	for name, request := range map[string]object{
		"an unknown secret": {"code": "1", "secrets": []string{"ABSENT"}},
		"a session":         {"code": "1", "sessionId": "ses_1"},
		"an invalid path":   {"code": "1", "files": []object{{"path": "../x", "content": ""}}},
	} {
		t.Log(name)
		s.callWithHeader(t, a.asyncHeader(), "POST", "/api/v1/execute", request).refused(t, 400, "invalid_request")
	}
}

// TestExecuteKeepsQueuedRuns kills a server that has queued runs. The database must not
// contain the code of these runs in plain text. After the next start of the server,
// each queued run must start.
func TestExecuteKeepsQueuedRuns(t *testing.T) {
	t.Parallel()
	const canary = "canary-queued-5b1f"
	data := newDataDir(t)
	s := startServerIn(t, data, nil, "--warm=0", "--warm-node=0", "--max-running=1", "--max-async-per-user=4")
	a := s.register(t)
	blocker := a.enqueue(t, object{"code": "import time\ntime.sleep(100)"})
	eventually(t, "the first run starts", func() bool { return a.record(t, blocker.ID).State == "running" })
	request := object{"code": "print('" + canary + "')", "stdin": canary}
	kept, canceled := a.enqueue(t, request), a.enqueue(t, request)
	a.enqueue(t, request)
	a.enqueue(t, request)
	s.callWithHeader(t, a.asyncHeader(), "POST", "/api/v1/execute", request).refused(t, 429, "too_many_executions")
	s.call(t, a, "POST", "/api/v1/executions/"+canceled.ID+"/cancel", nil).want(t, 202, nil)
	if r := a.record(t, canceled.ID); r.State != "ended" || r.Status != "canceled" {
		t.Errorf("a canceled queued run has the record %+v", r)
	}
	s.call(t, a, "DELETE", "/api/v1/executions/"+kept.ID, nil).refused(t, 409, "conflict")
	if n := s.metric(t, "pyth_on_async_queued"); n != 3 {
		t.Errorf("the metric says %v queued runs", n)
	}
	s.kill(t)
	for _, name := range []string{"pyth-on.db", "pyth-on.db-wal"} {
		files, _ := filepath.Glob(filepath.Join(data, "*"))
		for _, file := range files {
			if filepath.Base(file) != name {
				continue
			}
			if b := must(os.ReadFile(file))(t); bytes.Contains(b, []byte(canary)) {
				t.Errorf("%s contains code in clear", file)
			}
		}
	}
	s = startServerIn(t, data, nil, noStock...)
	a = a.on(s)
	if r := a.wait(t, kept.ID); r.Status != "succeeded" || r.Stdout != canary+"\n" {
		t.Errorf("got %+v", r)
	}
	if r := a.record(t, blocker.ID); r.Status != "killed" || r.Reason != "worker_lost" {
		t.Errorf("the interrupted run has the record %+v", r)
	}
	if r := a.record(t, canceled.ID); r.Status != "canceled" || r.StartedAt != "" {
		t.Errorf("the canceled run has the record %+v", r)
	}
}

// TestExecuteQueueIsFair checks that the many queued runs of one user do not delay the
// run of another user.
func TestExecuteQueueIsFair(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--warm=1", "--warm-node=0", "--max-running=2", "--rate-limit=off")
	a, b := s.register(t), s.register(t)
	var last string
	for range 50 {
		last = a.enqueue(t, object{"code": "import time\ntime.sleep(0.2)"}).ID
	}
	if r := b.wait(t, b.enqueue(t, object{"code": "print(1)"}).ID); r.Status != "succeeded" {
		t.Errorf("got %+v", r)
	}
	if r := a.record(t, last); r.State != "queued" {
		t.Errorf("the run of the second user ended after all runs of the first one, whose last run is %s", r.State)
	}
}

func TestServersShareAsyncRuns(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2, must(sharedCluster())(t).Database(t), "--warm=1", "--warm-node=0", "--max-running=2", "--rate-limit=off")
	a := servers[0].register(t)
	b := a.on(servers[1])
	const runs = 20
	var ids []string
	for i := range runs {
		ids = append(ids, []*account{a, b}[i%2].enqueue(t, object{"code": "import time\ntime.sleep(0.1)\nprint('ran')"}).ID)
	}
	for i, id := range ids {
		if r := []*account{b, a}[i%2].wait(t, id); r.Status != "succeeded" || r.Stdout != "ran\n" {
			t.Errorf("got %+v", r)
		}
	}
	// The two servers share a database. Each server must be able to cancel runs of the
	// other server, even synchronous runs.
	long := object{"code": "import time\ntime.sleep(100)", "labels": []string{"long"}}
	a.enqueue(t, long)
	result := make(chan *execution, 1)
	go func() { result <- b.execute(t, long) }()
	for _, from := range []*account{a, b} {
		var running []record
		eventually(t, "both runs have a record", func() bool {
			running = from.records(t, "state=running&label=long")
			return len(running) == 2 || from == b
		})
		for _, r := range running {
			from.server.call(t, from, "POST", "/api/v1/executions/"+r.ID+"/cancel", nil).want(t, 202, nil)
			if r := from.wait(t, r.ID); r.Status != "canceled" {
				t.Errorf("the canceled run ended as %+v", r)
			}
		}
	}
	if e := <-result; e.Status != "canceled" {
		t.Errorf("the synchronous run ended as %s", e.Status)
	}
	// A server claims queued runs, which reserves these runs for this server. If the
	// server is killed, another server must execute the claimed runs.
	blockers := []string{a.enqueue(t, long).ID, a.enqueue(t, long).ID, a.enqueue(t, long).ID, a.enqueue(t, long).ID}
	_ = blockers
	waiting := a.enqueue(t, object{"code": "print('after')"}).ID
	servers[0].kill(t)
	for _, id := range blockers {
		servers[1].call(t, b, "POST", "/api/v1/executions/"+id+"/cancel", nil).want(t, 202, nil)
	}
	if r := b.wait(t, waiting); r.Status != "succeeded" || r.Stdout != "after\n" {
		t.Errorf("got %+v", r)
	}
	for _, id := range blockers {
		if r := b.wait(t, id); r.Status != "canceled" && r.Reason != "worker_lost" {
			t.Errorf("got %+v", r)
		}
	}
}
