package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildChanged builds the program with a change in one source file and returns the path
// of the program. The change replaces the text "old" by the text "changed". The text
// "old" must occur exactly once. The compiler reads a changed copy of the file, so the
// source file itself stays the same.
func buildChanged(t *testing.T, source, old, changed string) string {
	t.Helper()
	return buildOverlay(t, map[string]string{source: changedSource(t, source, old, changed)})
}

// changedSource returns the content of a source file, with the text "old" replaced by
// "changed". The file must contain the text "old" exactly once.
func changedSource(t *testing.T, source, old, changed string) string {
	t.Helper()
	content := string(must(os.ReadFile(source))(t))
	if strings.Count(content, old) != 1 {
		t.Fatalf("%s does not contain %q once", source, old)
	}
	return strings.Replace(content, old, changed, 1)
}

// buildOverlay builds the program with changed source files and returns the path of the
// program. The parameter "contents" maps the paths of source files to their changed
// contents. The parameter "flags" contains further flags for go build.
func buildOverlay(t *testing.T, contents map[string]string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	overlay, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "pyth-on")
	replace := object{}
	for source, content := range contents {
		copied := filepath.Join(dir, fmt.Sprint(len(replace), filepath.Base(source)))
		if err := os.WriteFile(copied, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[source] = copied
	}
	list := must(json.Marshal(object{"Replace": replace}))(t)
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-overlay", overlay, "-ldflags", "-s -w", "-o", program}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./cmd/pyth-on")...)
	cmd.Dir = must(filepath.Abs("../.."))(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return program
}

// goRoot returns the root directory of the Go installation.
func goRoot(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(string(must(exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output())(t)))
}

// TestClusterWithWrongClock runs a server and a worker whose clocks are one hour ahead.
// The test builds their program with a changed function time.Now.
func TestClusterWithWrongClock(t *testing.T) {
	t.Parallel()
	onlyDeep(t, "it compiles the program with a changed standard library; internal/postgres has short tests of the clock")
	ahead := buildChanged(t, filepath.Join(goRoot(t), "src/time/time.go"),
		"\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {", "\tsec, nsec, mono := runtimeNow()\n\tsec += 3600\n\tif mono == 0 {")
	d := newDeployment(t)
	d.addWorker(t, &node{name: "worker1", program: ahead})
	d.addWorker(t, &node{name: "worker2"})
	retention := "--keep-output=30m"
	wrong := d.addServer(t, &node{name: "server1", program: ahead}, retention)
	right := d.addServer(t, &node{name: "server2"}, retention)
	d.awaitWorkers(t, 2)
	if len(wrong.lines("differs from the clock of the database")) != 1 || len(right.lines("differs from the clock of the database")) != 0 {
		t.Errorf("the warnings are %v and %v", wrong.lines("differs"), right.lines("differs"))
	}
	begun := time.Now()
	a := wrong.process().register(t)
	b := a.on(right.process())
	requireNear := func(what, text string) {
		t.Helper()
		at := must(time.Parse(time.RFC3339Nano, text))(t)
		if at.Before(begun.Add(-time.Minute)) || at.After(time.Now().Add(time.Minute)) {
			t.Errorf("%s is %s, and the time is %s", what, text, time.Now())
		}
	}

	// Each server must accept the tokens of the other server, although their clocks
	// differ.
	for _, from := range []*account{a, b} {
		for _, to := range []*account{a, b} {
			var g authResponse
			from.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, &g)
			to.server.callWithHeader(t, bearerHeader(g.Token), "GET", "/api/v1/keys", nil).want(t, 200, nil)
			to.server.call(t, nil, "POST", "/api/refresh", object{"refreshToken": g.RefreshToken}).want(t, 200, &g)
			from.server.callWithHeader(t, bearerHeader(g.Token), "GET", "/api/v1/keys", nil).want(t, 200, nil)
		}
	}

	// The records of both servers must contain correct times, although one server has a
	// wrong clock.
	var ids []string
	for range 3 {
		for _, x := range []*account{a, b} {
			e := x.run(t, "print(1)").ends(t, "succeeded")
			ids = append(ids, e.ID)
			var r struct{ CreatedAt, StartedAt, EndedAt string }
			x.server.call(t, x, "GET", "/api/v1/executions/"+e.ID, nil).want(t, 200, &r)
			requireNear("createdAt", r.CreatedAt)
			requireNear("startedAt", r.StartedAt)
			requireNear("endedAt", r.EndedAt)
		}
	}
	for _, x := range []*account{a, b} {
		s := x.openSession(t, object{})
		s.runCode(t, "x = 6").ends(t, "succeeded")
		s.runCode(t, "print(x * 7)").prints(t, "42\n")
		var r struct{ ExpiresAt string }
		x.server.call(t, x, "POST", "/api/v1/zk/sandboxes", nil).want(t, 201, &r)
		if left := time.Until(must(time.Parse(time.RFC3339Nano, r.ExpiresAt))(t)); left < 0 || left > 10*time.Minute {
			t.Errorf("the reservation ends in %v", left)
		}
	}

	// A server that starts must not end the runs that are running on the other server.
	// It must also not delete stored code and output too early.
	program := object{"code": sleepForever, "timeoutMs": 300_000, "labels": []string{"live"}}
	result := b.executeLater(t, program)
	queued := b.enqueue(t, program).ID
	eventually(t, "both runs are in the database", func() bool { return len(a.records(t, "state=running&label=live")) == 2 })
	wrong.process().stop(t)
	wrong.start(t)
	a = a.on(wrong.process())
	if r := a.record(t, ids[0]); r.Content != "stored" {
		t.Errorf("the content of a new run is %s", r.Content)
	}
	for _, r := range a.records(t, "state=running&label=live") {
		wrong.process().call(t, a, "POST", "/api/v1/executions/"+r.ID+"/cancel", nil).want(t, 202, nil)
	}
	if e := <-result; e.Status != "canceled" {
		t.Errorf("the live run ended as %s, reason %q", e.Status, e.Reason)
	}
	if r := a.wait(t, queued); r.Status != "canceled" {
		t.Errorf("the asynchronous run ended as %+v", r)
	}
	for _, e := range a.auditLog(t, "limit=200") {
		b.server.call(t, b, "GET", "/api/v1/audit/"+e.ID+"/proof", nil).want(t, 200, nil)
	}
}

// TestClusterRefusesOldWorker starts a worker with an older version of the protocol.
// The server must not send programs to this worker, and must log the reason.
// Asynchronous runs must wait until another worker joins.
func TestClusterRefusesOldWorker(t *testing.T) {
	t.Parallel()
	onlyDeep(t, "it compiles the program; the tests of internal/cluster/fleet have an old worker")
	source := must(filepath.Abs("../../internal/cluster/wire/envelope.go"))(t)
	old := buildChanged(t, source, "const Protocol = 1", "const Protocol = 0")
	d := newDeployment(t)
	d.addWorker(t, &node{name: "old", program: old})
	s := d.addServer(t, &node{name: "server"})
	a := s.process().register(t)

	workersCheck := func() (status, detail string) {
		var health struct {
			Checks map[string]struct{ Status, Detail string }
		}
		answer, err := s.process().tryCall(t.Context(), nil, "GET", "/health", nil)
		if err == nil && json.Unmarshal(answer.body, &health) != nil {
			t.Errorf("got %s", answer.body)
		}
		return health.Checks["workers"].Status, health.Checks["workers"].Detail
	}
	eventually(t, "the check reports the old worker", func() bool {
		status, detail := workersCheck()
		return status == "unavailable" && detail == "0 ready, 0 stopping, 1 with another version"
	})
	if lines := s.lines("different protocol version"); len(lines) != 1 || !strings.Contains(lines[0], "worker=old") || !strings.Contains(lines[0], "expected=1") {
		t.Errorf("the warnings are %q", lines)
	}
	refused := s.process().callWithHeader(t, http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/execute", object{"code": "print(1)"})
	if refused.refused(t, 503, "unavailable"); refused.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", refused.header)
	}
	waiting := a.enqueue(t, object{"code": "print('waited')"}).ID

	d.addWorker(t, &node{name: "new"})
	if r := a.wait(t, waiting); r.Status != "succeeded" || r.Stdout != "waited\n" {
		t.Errorf("got %+v", r)
	}
	for range 5 {
		a.run(t, "print(1)").prints(t, "1\n")
	}
	if status, detail := workersCheck(); status != "ok" || detail != "1 ready, 0 stopping, 1 with another version" {
		t.Errorf("got %s, %s", status, detail)
	}
}
