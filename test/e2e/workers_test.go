package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/bus/natstest"
)

// workers contains a NATS server, a server of Pyth-On, and the workers of this server.
type workers struct {
	*server
	nats  *natstest.Server
	all   map[string]*server
	token string
	// workerFlags contains flags that each worker gets.
	workerFlags []string
}

// startWorkers starts a server, and one worker for each name.
func startWorkers(t *testing.T, names []string) *workers {
	t.Helper()
	return startWorkersWith(t, names, nil)
}

// startWorkersWith does the same as startWorkers. It also passes workerFlags to each
// worker, and the other flags to the server.
func startWorkersWith(t *testing.T, names, workerFlags []string, flags ...string) *workers {
	t.Helper()
	w := &workers{workerFlags: workerFlags, nats: natstest.Start(t), all: map[string]*server{}, token: filepath.Join(t.TempDir(), "token")}
	if err := os.WriteFile(w.token, []byte("canary-joining-token-of-the-tests\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		w.all[name] = w.launch(t, name)
	}
	for _, name := range names {
		w.await(t, name)
	}
	w.server = startServer(t, append([]string{"--dispatch=" + w.nats.URL, "--join-token-file=" + w.token}, flags...)...)
	w.awaitReady(t, len(names))
	return w
}

// launch starts a worker. The worker stops when the test ends.
func (w *workers) launch(t *testing.T, name string) *server {
	t.Helper()
	s := newServer(newDataDir(t))
	args := []string{"worker", "--nats=" + w.nats.URL, "--join-token-file=" + w.token, "--name=" + name, "--data-dir=" + s.data, "--max-running=2", "--max-queued=2", "--metrics-addr=127.0.0.1:0"}
	if err := s.begin(nil, slices.Concat(args, noStock, npmRegistry(), w.workerFlags)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	return s
}

// await waits until the worker has joined the cluster.
func (w *workers) await(t testing.TB, name string) {
	t.Helper()
	if err := w.all[name].waitUntilWorking(); err != nil {
		t.Fatal(err)
	}
}

// waitUntilWorking waits until the log of the worker says that the worker has joined
// the cluster.
func (s *server) waitUntilWorking() error {
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-s.log.lines:
			if !ok {
				return fmt.Errorf("the worker ended: %s", s.log)
			}
			if strings.Contains(line, `msg="serving metrics"`) {
				s.metrics = urlField.FindStringSubmatch(line)[1]
			}
			if strings.Contains(line, "msg=working") {
				s.findCgroupParents()
				return nil
			}
		case <-deadline:
			return fmt.Errorf("the worker does not start: %s", s.log)
		}
	}
}

// awaitReady waits until n workers are ready to run programs.
func (w *workers) awaitReady(t *testing.T, n int) {
	t.Helper()
	eventually(t, "the workers accept programs", func() bool {
		ready := 0
		for series, value := range w.metricSeries(t) {
			if strings.HasPrefix(series, "pyth_on_worker_executions_max{") && value != "0" {
				ready++
			}
		}
		return ready == n
	})
}

// TestWorkerReloadsSettings changes the settings of a worker while the worker runs a
// program.
func TestWorkerReloadsSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "worker.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("max-sandboxes = 3\nmax-sessions = 3\n")
	w := startWorkersWith(t, []string{"first"}, []string{"--config=" + file}, "--max-running-per-user=1")
	worker := w.all["first"]
	a := w.register(t)
	session := a.openSession(t, object{"language": "python"})
	write("max-sandboxes = 3\nmax-sessions = 1\npackage-cache = 5000\n")
	worker.reload(t, `msg="some changed settings need a restart" settings=[package-cache] hint="restart the worker to change them"`)
	session.runCode(t, "print(1)")
	eventually(t, "the worker accepts no second session", func() bool {
		return w.call(t, a, "POST", "/api/v1/sessions", object{"language": "python"}).status == 503
	})
	write("max-sandboxes = 3\nmax-sessions = many\n")
	worker.reload(t, `msg="settings not reloaded"`)
	write("max-sandboxes = 3\nmax-sessions = 3\n")
	worker.reload(t, `msg="settings reloaded" changed=[max-sessions]`)
	eventually(t, "the worker accepts a second session", func() bool {
		return w.call(t, a, "POST", "/api/v1/sessions", object{"language": "python"}).status == 201
	})
	// The server must limit how many programs a user runs on all workers together.
	type quota struct {
		Name  string
		Limit int
	}
	var report struct{ Quotas []quota }
	w.call(t, a, "GET", "/api/v1/usage", nil).want(t, 200, &report)
	if !slices.ContainsFunc(report.Quotas, func(q quota) bool { return q.Name == "executions" && q.Limit == 1 }) {
		t.Errorf("quotas %v", report.Quotas)
	}
}

// The method "busy" returns the worker that is running a program.
func (w *workers) busy(t *testing.T) *server {
	t.Helper()
	return w.with(t, "pyth_on_worker_executions_running", "1")
}

// The method "with" returns a worker for which the metric has the given value.
func (w *workers) with(t *testing.T, metric, value string) (found *server) {
	t.Helper()
	eventually(t, metric+" is "+value, func() bool {
		for series, v := range w.metricSeries(t) {
			rest, ok := strings.CutPrefix(series, metric+`{worker="`)
			if ok && v == value {
				name, _, _ := strings.Cut(rest, "-")
				found = w.all[name]
				return true
			}
		}
		return false
	})
	return found
}

// sum returns the sum of a metric over all workers.
func (w *workers) sum(t *testing.T, metric string) (sum int) {
	t.Helper()
	for series, v := range w.metricSeries(t) {
		if strings.HasPrefix(series, metric+"{") {
			n := must(strconv.Atoi(v))(t)
			sum += n
		}
	}
	return sum
}

// executeLater starts a run in the background. It returns a channel that receives the
// result.
func (a *account) executeLater(t *testing.T, request object) <-chan *execution {
	result := make(chan *execution, 1)
	go func() {
		x := new(execution)
		a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, x)
		result <- x
	}()
	return result
}

const sleepForever = "import time\nprint('begun', flush=True)\ntime.sleep(1000)"

func TestWorkersRunPrograms(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, []string{"one", "two"})
	a := w.register(t)

	var health struct {
		Status string
		Checks map[string]struct{ Status, Detail string }
	}
	w.call(t, nil, "GET", "/health", nil).want(t, 200, &health)
	if c := health.Checks["workers"]; c.Status != "ok" || c.Detail != "2 ready, 0 stopping" || health.Checks["sandbox"].Status != "ok" {
		t.Errorf("got %+v", health)
	}

	ofServer, ofCluster := monitoringPage(t)
	documented := documentedMetrics(ofServer)
	maps.Copy(documented, documentedMetrics(ofCluster))
	scrape := w.scrape(t)
	requireSameMetrics(t, documented, metricNames(scrape))
	requireConventions(t, scrape)
	for series, want := range map[string]float64{
		`pyth_on_workers{state="ready"}`: 2, `pyth_on_workers{state="stopping"}`: 0, `pyth_on_workers{state="incompatible"}`: 0, "pyth_on_nats_connected": 1,
	} {
		if got := w.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if free := w.sum(t, "pyth_on_worker_executions_free"); free != 4 {
		t.Errorf("the workers can start %d programs, want 4", free)
	}

	a.storeSecret(t, "TOKEN", "canary-secret-of-a-worker")
	x := a.execute(t, object{
		"code":  "import os, sys\nprint(sys.stdin.read(), open('in.txt').read(), len(os.environ['TOKEN']))\nopen('out.bin', 'wb').write(bytes(3_000_000))\nos.environ['TOKEN']",
		"stdin": "input", "files": []object{{"path": "in.txt", "content": "file"}}, "outputFiles": []string{"*.bin"},
		"secrets": []string{"TOKEN"}, "results": true,
	})
	x.prints(t, "input file 25\n")
	if len(x.fileContent(t, "out.bin")) != 3_000_000 || x.Redactions != 1 {
		t.Errorf("%s, %d redactions", x, x.Redactions)
	}
	a.run(t, "raise SystemExit(7)").ends(t, "failed")
	a.execute(t, object{"code": "const n: number = 42; console.log(n)", "language": "typescript"}).prints(t, "42\n")

	t.Run("stream", func(t *testing.T) {
		printed, _, end := a.openStream(t.Context(), t, object{"code": "for i in range(3): print(i, flush=True)"}).readAll(t)
		if printed["stdout"] != "0\n1\n2\n" || end == nil || end.Status != "succeeded" {
			t.Errorf("%v %v", printed, end)
		}
	})
	t.Run("session with files", func(t *testing.T) {
		s := a.openSession(t, object{})
		file := func(method, name string, body any) *answer {
			t.Helper()
			return w.callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"application/octet-stream"}}, method, s.path("/files/"+name), body)
		}
		large := strings.Repeat("0123456789abcdef", 1<<16)
		file("PUT", "in", large).want(t, 201, nil)
		s.runCode(t, "x = len(open('in').read())\nopen('out', 'w').write(open('in').read() * 2)").ends(t, "succeeded")
		s.runCode(t, "print(x)").prints(t, "1048576\n")
		if got := file("GET", "out", nil).want(t, 200, nil); string(got.body) != large+large {
			t.Errorf("%d bytes", len(got.body))
		}
		file("DELETE", "out", nil).want(t, 204, nil)
		file("GET", "out", nil).refused(t, 404, "not_found")
		w.call(t, a, "DELETE", s.path(""), nil).want(t, 204, nil)
		s.requireClosed(t)
	})
	t.Run("encrypted programs", func(t *testing.T) {
		a.storeEncrypted(t, "program", encryptedProgram{name: "program", code: "print(6 * 7)", password: "canary-master-password"})
		for _, opens := range []object{{"masterPassword": "canary-master-password"}, a.sealPassword(t, "canary-master-password")} {
			request := object{}
			maps.Copy(request, opens)
			a.executeEncrypted(t, "program", request).prints(t, "42\n")
		}
	})
	t.Run("cancel", func(t *testing.T) {
		result := a.executeLater(t, object{"code": sleepForever, "labels": []string{"long"}})
		var running []record
		for len(running) == 0 {
			running = a.records(t, "state=running&label=long")
		}
		w.call(t, a, "POST", "/api/v1/executions/"+running[0].ID+"/cancel", nil).want(t, 202, nil)
		if x := <-result; x.Status != "canceled" {
			t.Errorf("got %s", x)
		}
	})
	ran := float64(0)
	for name, s := range w.all {
		for metric := range metricNames(s.scrape(t)) {
			if !documented[metric] {
				t.Errorf("docs/monitoring.md does not describe %s of workers", metric)
			}
		}
		ran += s.metric(t, "pyth_on_execution_wall_seconds_count")
		if s.metric(t, "pyth_on_nats_connected") != 1 {
			t.Errorf("worker %s reports no connection to NATS", name)
		}
		if log := s.log.String(); strings.Contains(log, "canary") {
			t.Errorf("the log of worker %s contains a canary: %s", name, log)
		}
	}
	if ran < 5 {
		t.Errorf("the workers report %v programs", ran)
	}
	if log := w.log.String(); strings.Contains(log, "canary") {
		t.Errorf("the log of the server contains a canary: %s", log)
	}
}

// TestWorkersKeepTenantOnWarmWorker checks that consecutive runs of a user go to the
// same worker. If this worker is full, the next run must go to another worker.
func TestWorkersKeepTenantOnWarmWorker(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, []string{"one", "two", "three"})
	const users, runs = 4, 6
	used := map[string]bool{}
	counts := func() map[string]string {
		found := map[string]string{}
		for series, value := range w.metricSeries(t) {
			if strings.HasPrefix(series, "pyth_on_worker_executions_total{") {
				found[series] = value
			}
		}
		return found
	}
	for range users {
		a, before := w.register(t), counts()
		for range runs {
			a.run(t, "print(1)").prints(t, "1\n")
		}
		changed := 0
		for series, value := range counts() {
			if value != before[series] {
				changed++
				used[series] = true
			}
		}
		if changed != 1 {
			t.Errorf("the runs of a user were on %d workers", changed)
		}
	}
	t.Logf("%d users used %d workers", users, len(used))

	// Each worker can run two programs at a time. So the third program must go to
	// another worker.
	a := w.register(t)
	var results []<-chan *execution
	for range 3 {
		results = append(results, a.executeLater(t, object{"code": sleepForever, "labels": []string{"long"}}))
	}
	eventually(t, "all three programs run", func() bool { return w.sum(t, "pyth_on_worker_executions_running") == 3 })
	eventually(t, "all three records say so", func() bool { return len(a.records(t, "state=running&label=long")) == 3 })
	for _, r := range a.records(t, "state=running&label=long") {
		w.call(t, a, "POST", "/api/v1/executions/"+r.ID+"/cancel", nil).want(t, 202, nil)
	}
	for _, r := range results {
		(<-r).ends(t, "canceled")
	}
}

func TestWorkersGetPackagesFromServer(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	shared := t.TempDir()
	w := startWorkersWith(t, []string{"one", "two"}, []string{"--image-store=" + shared}, x.Flag())
	a := w.register(t)
	a.setPackages(t, "likes-two", "space-one==1").want(t, "(base-lib 2.0), likes-two 1.0, space-one 1")
	a.run(t, "import base_lib, space.one\nprint(base_lib.VALUE)").prints(t, "two\n")
	s := a.openSession(t, object{})
	s.runCode(t, "import likes_two\nprint(likes_two.VALUE)").prints(t, "2\n")
	eventually(t, "the worker shares the images of the three packages", func() bool {
		objects, err := filepath.Glob(filepath.Join(shared, "*", "*"))
		return err == nil && len(objects) == 3
	})
}

// TestWorkerFailures checks what happens to runs in three cases: a worker is killed,
// NATS restarts, or a worker is stopped.
func TestWorkerFailures(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, []string{"one", "two"})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("server: %s", w.log)
			for name, s := range w.all {
				t.Logf("worker %s: %s", name, s.log)
			}
		}
	})
	a := w.register(t)

	// Start so many programs that both workers are full. One more program then waits in
	// the queue of a worker.
	lost := make(chan *execution, 4)
	for range 4 {
		result := a.executeLater(t, object{"code": sleepForever, "timeoutMs": 300_000})
		go func() { lost <- <-result }()
	}
	eventually(t, "both workers are full", func() bool { return w.sum(t, "pyth_on_worker_executions_running") == 4 })
	moved := a.executeLater(t, object{"code": "print('moved')"})
	killed := w.with(t, "pyth_on_worker_executions_waiting", "1")
	begun := time.Now()
	killed.kill(t)
	for range 2 {
		x := <-lost
		t.Logf("the loss of the worker was reported after %v", time.Since(begun))
		if x.Status != "killed" || x.Reason != "worker_lost" || x.Signal != "SIGKILL" {
			t.Errorf("got %s, reason %q", x, x.Reason)
		}
		if r := a.record(t, x.ID); r.Status != "killed" || r.Reason != "worker_lost" {
			t.Errorf("got %+v", r)
		}
	}
	for _, r := range a.records(t, "state=running") {
		w.call(t, a, "POST", "/api/v1/executions/"+r.ID+"/cancel", nil).want(t, 202, nil)
	}
	for range 2 {
		if x := <-lost; x.Status != "canceled" {
			t.Errorf("got %s", x)
		}
	}
	(<-moved).prints(t, "moved\n")
	a.run(t, "print(1)").prints(t, "1\n")
	for name, s := range w.all {
		if s == killed {
			w.all[name] = w.launch(t, name)
			w.await(t, name)
		}
	}
	w.awaitReady(t, 2)

	// While NATS is down for a short time, a running program must continue and the
	// server must refuse new runs.
	result := a.executeLater(t, object{"code": "import time\nprint('a', flush=True)\ntime.sleep(3)\nprint('b')"})
	w.busy(t)
	w.nats.Stop()
	var refused *answer
	eventually(t, "runs are refused", func() bool {
		refused = w.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"})
		return refused.status != 200
	})
	if refused.refused(t, 503, "unavailable"); refused.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", refused.header)
	}
	w.nats.Restart(t)
	if x := <-result; x.Status == "succeeded" && x.Stdout != "a\nb\n" || x.Status != "succeeded" && x.Reason != "worker_lost" {
		t.Errorf("got %s", x)
	}
	w.awaitReady(t, 2)
	a.run(t, "print(1)").prints(t, "1\n")

	// A worker that stops must finish its running program and must get no new programs.
	result = a.executeLater(t, object{"code": "import time\ntime.sleep(3)\nprint('finished')"})
	stopping := w.busy(t)
	if err := stopping.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.awaitReady(t, 1)
	a.run(t, "print(2)").prints(t, "2\n")
	(<-result).prints(t, "finished\n")
	stopping.requireCleanExit(t)
	a.run(t, "print(3)").prints(t, "3\n")
}

// TestWorkersNeedJoiningToken starts a worker with a wrong joining token. The server
// must send no programs to this worker.
func TestWorkersNeedJoiningToken(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, []string{"one"})
	a := w.register(t)
	if err := os.WriteFile(w.token, []byte("another joining token of the tests\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.all["foreign"] = w.launch(t, "foreign")
	w.await(t, "foreign")
	w.all["one"].stop(t)
	w.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"}).refused(t, 503, "unavailable")
	if !strings.Contains(w.log.String(), "it does not have the joining token") {
		t.Errorf("no warning in %s", w.log)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if a, err := w.tryCall(ctx, nil, "GET", "/health", nil); err != nil || a.status != 503 {
		t.Errorf("%v %v", a, err)
	}
}
