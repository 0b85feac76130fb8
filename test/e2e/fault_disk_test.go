package e2e_test

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// diskHealth contains the checks in the answer of /api/health that concern the disk.
type diskHealth struct {
	Status string
	Checks map[string]struct {
		Status, Detail string
		FreeBytes      *int64
		TotalBytes     int64
	}
}

func (s *server) diskHealth(t *testing.T, status int) *diskHealth {
	t.Helper()
	h := new(diskHealth)
	res := s.call(t, nil, "GET", "/api/health", nil)
	if res.status != status {
		t.Errorf("health is %d: %s", res.status, res.body)
	}
	// Decode only the field "checks". The field "status" is a number in an error
	// answer, but a string in other answers.
	var members struct{ Checks json.RawMessage }
	if err := json.Unmarshal(res.body, &members); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(members.Checks, &h.Checks); err != nil {
		t.Fatal(err)
	}
	return h
}

// requireRefusesWork sends requests that the server must record on the disk. The disk
// is in the given state, for example full. So the server must refuse the requests and
// name the state of the disk.
func requireRefusesWork(t *testing.T, a *account, session *session, state string) {
	t.Helper()
	s := a.server
	for name, r := range map[string]struct {
		method, path string
		body         object
	}{
		"Python":                 {"POST", "/api/v1/execute", object{"code": "print(1)"}},
		"JavaScript":             {"POST", "/api/v1/execute", object{"code": "console.log(1)", "language": "javascript"}},
		"TypeScript":             {"POST", "/api/v1/execute", object{"code": "console.log(1 as number)", "language": "typescript"}},
		"a session":              {"POST", "/api/v1/execute", object{"code": "n += 1", "sessionId": session.ID}},
		"a new session":          {"POST", "/api/v1/sessions", object{"language": "python"}},
		"another":                {"POST", "/api/v1/sessions", object{"language": "javascript"}},
		"packages":               {"PUT", "/api/v1/packages", object{"language": "python", "packages": []string{"six"}}},
		"one package":            {"POST", "/api/v1/packages", object{"language": "python", "package": "six"}},
		"a generation":           {"POST", "/api/v1/generate", object{"prompt": "print 1"}},
		"with a secret":          {"POST", "/api/v1/execute", object{"code": "1", "secrets": []string{"TOKEN"}}},
		"without an audit entry": {"POST", "/api/v1/execute", object{"code": "1", "secrets": []string{}}},
	} {
		res := s.call(t, a, r.method, r.path, r.body)
		var p problem
		_ = json.Unmarshal(res.body, &p)
		if res.status != 503 || p.Code != "unavailable" || !strings.Contains(p.Detail, "disk is "+state) || res.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v %s", name, res.status, res.header, res.body)
		}
	}
	s.callWithHeader(t, a.streamHeader(), "POST", "/api/v1/execute", object{"code": "print(1)"}).refused(t, 503, "unavailable")
	if p := s.call(t, nil, "GET", "/readyz", nil).refused(t, 503, "unavailable"); !strings.Contains(p.Detail, "disk") {
		t.Errorf("readiness: %+v", p)
	}
	if h := s.diskHealth(t, 503); h.Checks["disk"].Status != "unavailable" || h.Checks["disk"].Detail == "" || h.Checks["disk"].FreeBytes == nil || h.Checks["sandbox"].Status != "ok" {
		t.Errorf("%+v", h)
	}
	s.call(t, nil, "GET", "/healthz", nil).want(t, 200, nil)
	s.call(t, a, "GET", "/api/v1/sessions", nil).want(t, 200, nil)
	s.call(t, a, "GET", "/api/v1/keys", nil).want(t, 200, nil)
}

// requireWorks checks that the server works again. The server must not have run the
// programs that it has refused.
func requireWorks(t *testing.T, a *account, session *session) {
	t.Helper()
	session.runCode(t, "n += 1\nprint(n)").prints(t, "1\n")
	session.runCode(t, "n -= 1")
	a.execute(t, object{"code": "console.log(42)", "language": "javascript"}).prints(t, "42\n")
	a.server.call(t, nil, "GET", "/readyz", nil).want(t, 200, nil)
	if h := a.server.diskHealth(t, 200); h.Checks["disk"].Status != "ok" {
		t.Errorf("%+v", h)
	}
}

// withoutBootsInAdvance contains flags with which a server boots no sandboxes in
// advance. Without these flags, a server on a slow machine could boot sandboxes in
// advance while the disk is full. Such a boot would fail, and then the health check of
// sandboxes would also fail.
var withoutBootsInAdvance = []string{"--max-sandboxes=3", "--max-running=3"}

func TestExecuteRefusesOnFullDisk(t *testing.T) {
	t.Parallel()
	data := dataDirOnSmallDisk(t)
	s := startServerIn(t, data, nil, withoutBootsInAdvance...)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "canary-value")
	session := a.openSession(t, object{"language": "python"})
	session.runCode(t, "n = 0")
	h := s.diskHealth(t, 200).Checks["disk"]
	if h.Status != "ok" || h.FreeBytes == nil || *h.FreeBytes < 10*mib || h.TotalBytes != 512*mib || !strings.HasSuffix(h.Detail, "MiB free") {
		t.Errorf("%+v", h)
	}
	if free := s.metric(t, "pyth_on_disk_free_bytes"); free < 10*mib || free > 512*mib {
		t.Errorf("free space: %v", free)
	}
	for range 3 {
		// The server must notice a full disk at the next request. It must not first
		// wait until a write fails, or until the next periodic check.
		fill := fillDisk(t, data)
		requireRefusesWork(t, a, session, "full")
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		requireWorks(t, a, session)
	}
	// The test reads the server's log in the background. So wait for the last lines.
	eventually(t, "the log reports each change", func() bool {
		log := s.log.String()
		return strings.Count(log, `msg="disk not writable: programs are refused"`) == 3 && strings.Count(log, `msg="disk writable again"`) == 3
	})
}

func TestExecuteRefusesOnReadOnlyDisk(t *testing.T) {
	t.Parallel()
	data := dataDirOnSmallDisk(t)
	s := startServerIn(t, data, nil, withoutBootsInAdvance...)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "canary-value")
	session := a.openSession(t, object{"language": "python"})
	session.runCode(t, "n = 0")
	if err := syscall.Mount(data, data, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", data, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	requireRefusesWork(t, a, session, "read-only")
	if code, out := runServeUntilExit(t, "--addr=127.0.0.1:0", "--data-dir="+data); code == 0 || strings.Contains(out, "goroutine") {
		t.Errorf("%d: %s", code, out)
	}
	if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	requireWorks(t, a, session)
}
