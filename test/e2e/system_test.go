package e2e_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestHealthReportsRealRun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, path := range []string{"/api/health", "/health"} {
		var health struct {
			Status, Version string
			Checks          map[string]struct{ Status, Detail string }
		}
		s.call(t, nil, "GET", path, nil).want(t, 200, &health)
		if health.Checks["sandbox"].Status != "ok" || health.Checks["database"].Status != "ok" || health.Version == "" {
			t.Errorf("got %+v", health)
		}
	}
	s.call(t, nil, "GET", "/healthz", nil).want(t, 200, nil)
	s.call(t, nil, "GET", "/readyz", nil).want(t, 200, nil)
}

func TestAPIRootListsLanguagesAndDocuments(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	var info struct {
		Name, Version, Documentation, OpenAPI string
		Languages                             []struct{ Name, Version string }
	}
	s.call(t, nil, "GET", "/api", nil).want(t, 200, &info)
	if info.Name != "Pyth-On API" || len(info.Languages) != 4 || info.Languages[0].Name != "python" || !strings.HasPrefix(info.Languages[0].Version, "3.14.") {
		t.Errorf("got %+v", info)
	}
	a := s.register(t)
	a.run(t, "import platform\nprint(platform.python_version())").prints(t, info.Languages[0].Version+"\n")
	for _, path := range []string{info.Documentation, info.OpenAPI, "/openapi.yaml"} {
		res := must(http.Get(s.URL + path))(t)
		b := must(io.ReadAll(res.Body))(t)
		res.Body.Close()
		if res.StatusCode != 200 || len(b) < 1000 {
			t.Errorf("%s: %d, %d bytes", path, res.StatusCode, len(b))
		}
	}
}

func TestRegisterByInvitationOrClosed(t *testing.T) {
	t.Parallel()
	invites := t.TempDir() + "/invites"
	if err := os.WriteFile(invites, []byte("first-invite\n\nsecond-invite\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	byInvite := startServer(t, "--registration=invite", "--invites-file="+invites)
	body := object{"email": "ada@example.org", "password": password}
	if res := byInvite.call(t, nil, "POST", "/api/register", body); res.status != 403 {
		t.Errorf("without an invite: status %d: %s", res.status, res.body)
	}
	body["invite"] = "second-invite"
	byInvite.call(t, nil, "POST", "/api/register", body).want(t, 201, nil)
	closed := startServer(t, "--registration=closed")
	closed.call(t, nil, "POST", "/api/register", body).refused(t, 403, "registration_closed")
}

func TestLoginLimitsRate(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--rate-limit=on")
	var limited *answer
	for range 100 {
		res := s.call(t, nil, "POST", "/api/login", object{"email": "nobody@example.org", "password": password})
		if res.status == 429 {
			limited = res
			break
		}
		res.refused(t, 401, "invalid_credentials")
	}
	if limited == nil {
		t.Fatal("a hundred wrong passwords were not limited")
	}
	limited.refused(t, 429, "rate_limited")
	if limited.header.Get("Retry-After") == "" || limited.header.Get("RateLimit") == "" || limited.header.Get("RateLimit-Policy") == "" {
		t.Errorf("%v", limited.header)
	}
}

func TestMetricsNeedToken(t *testing.T) {
	t.Parallel()
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("token-of-the-metrics\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--metrics-token-file="+token)
	get := func(header http.Header) int {
		req := must(http.NewRequest("GET", s.URL+"/metrics", nil))(t)
		req.Header = header
		res := must(http.DefaultClient.Do(req))(t)
		res.Body.Close()
		return res.StatusCode
	}
	if got := get(http.Header{}); got != 401 {
		t.Errorf("without the token: status %d", got)
	}
	if got := get(http.Header{"Authorization": {"Bearer token-of-the-metrics"}}); got != 200 {
		t.Errorf("with the token: status %d", got)
	}
}

func TestServeKeepsAccountsAcrossRestarts(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	a := s.register(t)
	s.kill(t)
	next := startServerIn(t, data, nil)
	a.server = next
	a.run(t, "print(42)").prints(t, "42\n")
	next.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token}}, "POST", "/api/verify", nil).want(t, 200, nil)
	var again authResponse
	next.call(t, nil, "POST", "/api/login", object{"email": strings.ToUpper(a.email), "password": password}).want(t, 200, &again)
	if again.APIKey != a.APIKey {
		t.Error("login and registration returned different keys")
	}
	next.call(t, nil, "POST", "/api/register", object{"email": a.email, "password": password}).refused(t, 409, "email_taken")
}

func TestExecuteReturnsAllFields(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	before := time.Now().Add(-time.Second)
	x := a.execute(t, object{
		"code":        "import sys, os\nopen('out/r.txt', 'w').write('result')\nopen('b.bin', 'wb').write(bytes([0, 255]))\nprint(sys.argv[1:], input(), os.environ['A'], open('in/x').read())\nprint('oops', file=sys.stderr)\nraise KeyError('k')",
		"args":        []string{"1", "zwei"},
		"stdin":       "line\n",
		"env":         object{"A": "a"},
		"files":       []object{{"path": "in/x", "content": "ZmlsZQ==", "encoding": "base64"}, {"path": "out/.keep", "content": ""}},
		"outputFiles": []string{"out/*.txt", "*.bin"},
		"labels":      []string{"test"},
	}).ends(t, "failed")
	if x.Stdout != "['1', 'zwei'] line a file\n" || !strings.HasPrefix(x.Stderr, "oops\nTraceback (most recent call last):\n") {
		t.Error(x)
	}
	if x.Error == nil || x.Error.Name != "KeyError" || x.Error.Message != "'k'" || x.Error.Line != 6 ||
		!strings.Contains(x.Error.Traceback, `File "/work/main.py", line 6, in <module>`) || strings.Contains(x.Error.Traceback, "pyth-on") {
		t.Errorf("%+v", x.Error)
	}
	if string(x.fileContent(t, "out/r.txt")) != "result" || string(x.fileContent(t, "b.bin")) != "\x00\xff" || len(x.Files) != 2 {
		t.Errorf("%+v", x.Files)
	}
	if u := x.Usage; u.WallMs < 1 || u.CPUMs < 1 || u.MemoryPeakBytes < mib || time.Since(before) > time.Minute {
		t.Errorf("%+v", u)
	}
	if *x.ExitCode != 1 || x.Language != "python" || x.ID == "" {
		t.Error(x)
	}
}
