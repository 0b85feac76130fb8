package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// record is the record of a run, in the schema Execution of the API.
type record struct {
	execution
	State, Reason, Content, Code, SessionID, KeyID, EncryptedName, StartedAt string
	Labels                                                                   []string
}

func (a *account) record(t testing.TB, id string) *record {
	t.Helper()
	r := new(record)
	a.server.call(t, a, "GET", "/api/v1/executions/"+id, nil).want(t, 200, r)
	return r
}

func (a *account) records(t testing.TB, query string) []record {
	t.Helper()
	var page struct{ Executions []record }
	a.server.call(t, a, "GET", "/api/v1/executions?"+query, nil).want(t, 200, &page)
	return page.Executions
}

func TestExecutionsAreRecorded(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, other := s.register(t), s.register(t)
	e := a.execute(t, object{
		"code":   "import sys\nprint('out')\nprint('err', file=sys.stderr)\nopen('f', 'w').write('x')\n6 * 7",
		"labels": []string{"nightly", "é"}, "outputFiles": []string{"f"},
	})
	r := a.record(t, e.ID)
	if r.State != "ended" || r.Status != "succeeded" || r.Content != "stored" || r.Stdout != "out\n" || r.Stderr != "err\n" ||
		len(r.Results) != 1 || len(r.Files) != 1 || !strings.HasPrefix(r.Code, "import sys") || r.KeyID == "" || len(r.Labels) != 2 {
		t.Errorf("got %+v", r)
	}
	plain := a.execute(t, object{"code": "print(1)", "store": false})
	if r := a.record(t, plain.ID); r.Content != "none" || r.Stdout != "" || r.Code != "" || r.Status != "succeeded" {
		t.Errorf("got %+v", r)
	}
	failed := a.execute(t, object{"code": "1/0", "language": "python"})
	for query, want := range map[string][]string{
		"":                                     {failed.ID, plain.ID, e.ID},
		"label=nightly":                        {e.ID},
		"status=failed&language=python":        {failed.ID},
		"state=running":                        {},
		"key=" + r.KeyID + "&status=succeeded": {plain.ID, e.ID},
		"until=2026-01-01T00:00:00Z":           {},
	} {
		var ids []string
		for _, x := range a.records(t, query) {
			ids = append(ids, x.ID)
		}
		if strings.Join(ids, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %q, want %q", query, ids, want)
		}
	}
	path := "/api/v1/executions/" + e.ID
	s.call(t, other, "GET", path, nil).refused(t, 404, "not_found")
	s.call(t, other, "POST", path+"/cancel", nil).refused(t, 404, "not_found")
	s.call(t, other, "DELETE", path, nil).refused(t, 404, "not_found")
	if all := other.records(t, ""); len(all) != 0 {
		t.Errorf("another user sees %d runs", len(all))
	}
	s.call(t, a, "DELETE", path, nil).want(t, 204, nil)
	s.call(t, a, "GET", path, nil).refused(t, 404, "not_found")
	s.call(t, a, "DELETE", path, nil).refused(t, 404, "not_found")
}

func TestExecutionsRecordSessions(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	session := a.openSession(t, object{})
	e := session.runCode(t, "print('in the session')")
	if r := a.record(t, e.ID); r.SessionID != session.ID || r.Stdout != "in the session\n" {
		t.Errorf("got %+v", r)
	}
	if all := a.records(t, "sessionId="+session.ID); len(all) != 1 || all[0].ID != e.ID {
		t.Errorf("got %+v", all)
	}
}

func TestCancelExecutionEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	result := make(chan *execution)
	go func() {
		result <- a.execute(t, object{"code": "import time\nprint('begun', flush=True)\ntime.sleep(100)", "labels": []string{"long"}})
	}()
	var running []record
	for len(running) == 0 {
		running = a.records(t, "state=running&label=long")
	}
	path := "/api/v1/executions/" + running[0].ID
	s.call(t, a, "DELETE", path, nil).refused(t, 409, "conflict")
	s.call(t, a, "POST", path+"/cancel", nil).want(t, 202, nil)
	ended := new(record)
	s.call(t, a, "GET", path+"?wait=60", nil).want(t, 200, ended)
	if e := <-result; e.Status != "canceled" || ended.Status != "canceled" || ended.State != "ended" {
		t.Errorf("the run ended as %s, and its record says %s", e.Status, ended.Status)
	}
	s.call(t, a, "POST", path+"/cancel", nil).want(t, 202, nil)
}

// TestExecutionsOfAKilledServer kills a server during a run. The record must show that
// the run is lost, and the data directory must not contain the output in plain text.
func TestExecutionsOfAKilledServer(t *testing.T) {
	t.Parallel()
	const canary = "canary-run-7c1e"
	data := newDataDir(t)
	flags := []string{"--warm=1", "--warm-node=0"}
	s := startServerIn(t, data, nil, flags...)
	a := s.register(t)
	done := a.execute(t, object{"code": "print('" + canary + "')"})
	go func() {
		header := map[string][]string{"X-Api-Key": {a.APIKey}}
		_, _ = s.tryCall(t.Context(), header, "POST", "/api/v1/execute", object{"code": "import time\ntime.sleep(100)"})
	}()
	var running []record
	for len(running) == 0 {
		// The server stores the record before it answers a request for the list.
		running = a.records(t, "state=running")
	}
	s.kill(t)
	for _, path := range must(filepath.Glob(filepath.Join(data, "*")))(t) {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if bytes.Contains(must(os.ReadFile(path))(t), []byte(canary)) {
			t.Errorf("%s contains output in clear", path)
		}
	}
	a.server = startServerIn(t, data, nil, flags...)
	if r := a.record(t, running[0].ID); r.State != "ended" || r.Status != "killed" || r.Reason != "worker_lost" || r.Signal != "SIGKILL" {
		t.Errorf("got %+v", r)
	}
	if r := a.record(t, done.ID); r.Stdout != canary+"\n" {
		t.Errorf("got %+v", r)
	}
}

// TestExecutionEventsAreRepeated checks that a client can read the events of a run
// again. The stored events must equal the events of the first stream.
func TestExecutionEventsAreRepeated(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	header := map[string][]string{"X-Api-Key": {a.APIKey}}
	code := "import sys\nfor i in range(3):\n    print('é', i, flush=True)\n    print(i, file=sys.stderr)\nopen('f', 'w').write('x')\ndisplay(1)\n2"
	first := s.callWithHeader(t, header, "POST", "/api/v1/execute/stream", object{"code": code, "outputFiles": []string{"f"}, "labels": []string{"streamed"}})
	// On a slow machine, the stream also contains keep-alive comments. Remove these
	// comments, because they are not events.
	events := strings.ReplaceAll(string(first.want(t, 200, nil).body), ": keep-alive\n\n", "")
	if !strings.HasPrefix(events, "id: 1\nevent: start\n") || !strings.Contains(events, "event: end\n") {
		t.Fatalf("got %s", events)
	}
	path := "/api/v1/executions/" + a.records(t, "label=streamed")[0].ID + "/events"
	if again := string(s.call(t, a, "GET", path, nil).want(t, 200, nil).body); again != events {
		t.Errorf("got other events: %s\nwant: %s", again, events)
	}
	_, rest, _ := strings.Cut(events, "\n\n")
	header["Last-Event-ID"] = []string{"1"}
	if got := string(s.callWithHeader(t, header, "GET", path, nil).want(t, 200, nil).body); got != rest {
		t.Errorf("got %s\nwant: %s", got, rest)
	}
	header["Last-Event-ID"] = []string{"1000"}
	s.callWithHeader(t, header, "GET", path, nil).want(t, 204, nil)
}
