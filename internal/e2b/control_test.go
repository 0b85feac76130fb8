package e2b_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func TestCreateReturnsTokensOfSandbox(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	if b.SandboxID != "session-001" || len(b.EnvdAccessToken) != 64 || len(b.TrafficAccessToken) != 64 || b.EnvdAccessToken == b.TrafficAccessToken {
		t.Errorf("sandbox %+v", b)
	}
	if b.Domain != "127.0.0.1" || b.EnvdVersion == "" {
		t.Errorf("sandbox %+v", b)
	}
	if r := h.sessions.request; r.Language != pyth.Python || r.IdleTimeout != 24*time.Hour || len(r.Network) != 1 || !r.AllSecrets {
		t.Errorf("session %+v", r)
	}
	if again := h.create(adaKey); again.EnvdAccessToken == b.EnvdAccessToken {
		t.Error("two sandboxes have one token")
	}
}

func TestCreateRefusesUnsupportedFeatures(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for body, want := range map[string]string{
		`{"templateID": "base", "autoPause": true}`:                                      `"message":"autoPause is not supported`,
		`{"templateID": "base", "autoResume": {"enabled": true}}`:                        "autoResume is not supported",
		`{"templateID": "base", "mcp": {"x": {}}}`:                                       "mcp is not supported",
		`{"templateID": "base", "iam": {"tokens": {"a": {}}}}`:                           "iam is not supported",
		`{"templateID": "base", "volumeMounts": [{"name": "a", "path": "/a"}]}`:          "volumeMounts is not supported",
		`{"templateID": "base", "network": {"egressProxy": {"address": "a:1"}}}`:         "egressProxy is not supported",
		`{"templateID": "base", "network": {"rules": {"a": [{}]}}}`:                      "rules is not supported",
		`{"templateID": "base", "network": {"maskRequestHost": "a"}}`:                    "maskRequestHost is not supported",
		`{"templateID": "base", "network": {"allowPublicTraffic": true}}`:                "allowPublicTraffic is not supported",
		`{"templateID": "base", "network": {"denyOut": ["1.1.1.1/32"]}}`:                 "denyOut can only be",
		`{"templateID": "base", "network": {"allowOut": ["0.0.0.0/0"]}}`:                 "allowOut cannot contain",
		`{"templateID": "base", "timeout": 86401}`:                                       "timeout must be between",
		`{"templateID": "base", "timeout": -1}`:                                          "timeout must be between",
		`{"templateID": "base", "envVars": {"A=B": "c"}}`:                                "envVars has an invalid name",
		`{"templateID": "base", "metadata": {"a": "` + strings.Repeat("a", 5000) + `"}}`: "metadata has",
		`{}`:                    "templateID is required",
		`{"templateID": "base"`: "not JSON",
		`{"templateID": 1}`:     "not JSON",
	} {
		h.send("POST", "/sandboxes", body, "X-API-KEY", adaKey).want(t, 400, want).want(t, 400, `"code":400`)
	}
	h.send("POST", "/sandboxes", `{"templateID": "mine"}`, "X-API-KEY", adaKey).want(t, 404, "template")
	h.send("POST", "/sandboxes", strings.Repeat(" ", 1<<20)+`{}`, "X-API-KEY", adaKey).want(t, 413, "")
	if h.sessions.opened != 0 {
		t.Error("a refused request has opened a session")
	}
	h.send("POST", "/sandboxes", `{"templateID": "base", "network": {"allowOut": ["invalid"]}}`, "X-API-KEY", adaKey).want(t, 503, `"code":503,"message":"no capacity"`)
}

func TestCreateSelectsNetworkAndImage(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for body, want := range map[string]string{
		`"allow_internet_access": true`:                                                       "default.example.org",
		`"allow_internet_access": false`:                                                      "",
		`"network": {"denyOut": ["0.0.0.0/0"]}`:                                               "",
		`"network": {"denyOut": ["0.0.0.0/0"], "allowOut": ["a.example.org"]}`:                "a.example.org",
		`"allow_internet_access": false, "network": {"allowOut": ["a.org", "*.example.org"]}`: "a.org *.example.org",
	} {
		h.send("POST", "/sandboxes", `{"templateID": "science", `+body+`}`, "X-API-KEY", adaKey).want(t, 201, "")
		if got := strings.Join(h.sessions.request.Network, " "); got != want || h.sessions.request.Runtime != "science" {
			t.Errorf("%s: network %q of %q, want %q", body, got, h.sessions.request.Runtime, want)
		}
	}
}

func TestControlPlaneNeedsKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	for _, path := range []string{"/sandboxes/" + b.SandboxID, "/v2/sandboxes", "/templates", "/volumes"} {
		h.send("GET", path, "").want(t, 401, `"code":401`)
		h.send("GET", path, "", "X-API-KEY", "e2b_0").want(t, 401, "wrong key")
		h.send("GET", path, "", "X-API-KEY", adaKey, "X-API-KEY", adaKey).want(t, 401, "more than one")
	}
	h.gate.denied[pyth.ScopeSessions] = true
	h.send("GET", "/v2/sandboxes", "", "X-API-KEY", adaKey).want(t, 403, `"code":403`)
}

func TestSandboxOfAnotherUserDoesNotExist(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	for _, request := range []struct{ method, path, body string }{
		{"GET", "", ""},
		{"DELETE", "", ""},
		{"POST", "/timeout", `{"timeout": 1}`},
		{"POST", "/connect", `{"timeout": 1}`},
		{"POST", "/refreshes", `{"duration": 1}`},
	} {
		foreign := h.send(request.method, "/sandboxes/"+b.SandboxID+request.path, request.body, "X-API-KEY", bobKey)
		absent := h.send(request.method, "/sandboxes/session-999"+request.path, request.body, "X-API-KEY", bobKey)
		foreign.want(t, 404, `{"code":404,"message":"sandbox`)
		if strings.ReplaceAll(foreign.body, b.SandboxID, "session-999") != absent.body {
			t.Errorf("%s %s: %s differs from %s", request.method, request.path, foreign.body, absent.body)
		}
	}
	h.send("GET", "/v2/sandboxes", "", "X-API-KEY", bobKey).want(t, 200, "[]")
	h.send("GET", "/sandboxes/"+b.SandboxID, "", "X-API-KEY", adaKey).want(t, 200, `"state":"running"`)
}

func TestKillEndsSandboxOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	b.envd("GET", "/health", "").want(t, 204, "")
	h.send("DELETE", "/sandboxes/"+b.SandboxID, "", "X-API-KEY", adaKey).want(t, 204, "")
	if id := <-h.sessions.closed; string(id) != b.SandboxID {
		t.Errorf("closed %s", id)
	}
	h.send("DELETE", "/sandboxes/"+b.SandboxID, "", "X-API-KEY", adaKey).want(t, 404, `"code":404`)
	b.envd("GET", "/health", "").want(t, 502, "The sandbox was not found")
	b.interpreter("POST", "/execute", `{"code": "1"}`).want(t, 502, "")
}

func TestSessionThatEndedIsNoSandbox(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	if err := h.sessions.CloseSession(t.Context(), "ada", pyth.SessionID(b.SandboxID)); err != nil {
		t.Fatal(err)
	}
	h.send("GET", "/v2/sandboxes", "", "X-API-KEY", adaKey).want(t, 200, "[]")
	b.envd("GET", "/health", "").want(t, 502, "")
}

func TestListSelectsSandboxes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, body := range []string{
		`{"templateID": "base", "timeout": 60, "metadata": {"a b": "c&d"}}`, `{"templateID": "base", "timeout": 60}`,
		`{"templateID": "science", "timeout": 60, "metadata": {"a b": "c&d", "e": "f"}}`,
	} {
		h.send("POST", "/sandboxes", body, "X-API-KEY", adaKey).want(t, 201, "")
	}
	for query, want := range map[string]string{
		"":                                     "3 2 1",
		"?order=asc":                           "1 2 3",
		"?limit=2":                             "3 2 next",
		"?limit=2&nextToken=session-002":       "1",
		"?order=asc&nextToken=session-001":     "2 3",
		"?metadata=a%2520b%3Dc%252526d":        "3 1",
		"?metadata=a%2520b%3Dc%2526d":          "3 1",
		"?metadata=e%3Df%26a%2520b%3Dc%2526d":  "3",
		"?state=paused":                        "",
		"?state=paused,running":                "3 2 1",
		"?state=paused&state=running":          "3 2 1",
		"?template=science":                    "3",
		"?startedAfter=2999-01-01T00:00:00Z":   "",
		"?startedAfter=2001-01-01T00:00:00.5Z": "3 2 1",
	} {
		a := h.send("GET", "/v2/sandboxes"+query, "", "X-API-KEY", adaKey).want(t, 200, "")
		var list []struct{ SandboxID string }
		a.decode(t, &list)
		var got []string
		for _, x := range list {
			got = append(got, strings.TrimPrefix(x.SandboxID, "session-00"))
		}
		if a.header.Get("X-Next-Token") != "" {
			got = append(got, "next")
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", query, s, want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?order=up", "?startedAfter=today", "?metadata=%25zz"} {
		h.send("GET", "/v2/sandboxes"+query, "", "X-API-KEY", adaKey).want(t, 400, `"code":400`)
	}
}

func TestUnsupportedOperationsAreRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	for _, request := range []string{
		"POST /sandboxes/ID/pause", "POST /sandboxes/ID/resume", "POST /sandboxes/ID/fork", "POST /sandboxes/ID/snapshots", "PUT /sandboxes/ID/network",
		"GET /sandboxes/ID/metrics", "GET /sandboxes/ID/logs", "GET /v2/sandboxes/ID/logs", "GET /snapshots", "POST /v3/templates", "DELETE /templates/x",
		"POST /templates/x/builds/y", "GET /v2/templates", "POST /volumes", "GET /volumes/x", "GET /secrets", "GET /teams", "GET /nodes/x", "POST /api-keys", "POST /access-tokens",
	} {
		method, path, _ := strings.Cut(strings.Replace(request, "ID", b.SandboxID, 1), " ")
		h.send(method, path, "{}", "X-API-KEY", adaKey).want(t, 501, `{"code":501,"message":"`)
	}
	h.send("GET", "/nothing", "", "X-API-KEY", adaKey).want(t, 404, `"code":404`)
	h.send("GET", "/sandboxes/../secret", "", "X-API-KEY", adaKey).want(t, 404, `"code":404`)
}

func TestTimeoutEndsSandbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newDirect(t)
		id := h.create(t, `{"templateID": "base", "timeout": 60}`)
		time.Sleep(50 * time.Second)
		h.call(t, "POST", "/v2/sandboxes/"+id+"/connect", `{"timeout": 5}`, 200)
		h.call(t, "POST", "/sandboxes/"+id+"/refreshes", `{"duration": 30}`, 204)
		time.Sleep(29 * time.Second)
		h.call(t, "GET", "/sandboxes/"+id, "", 200)
		h.call(t, "POST", "/sandboxes/"+id+"/timeout", `{"timeout": 10}`, 204)
		time.Sleep(9 * time.Second)
		h.call(t, "GET", "/sandboxes/"+id, "", 200)
		time.Sleep(2 * time.Second)
		h.call(t, "GET", "/sandboxes/"+id, "", 404)
		if got := <-h.sessions.closed; string(got) != id {
			t.Errorf("closed %s", got)
		}
		h.call(t, "POST", "/sandboxes/"+id+"/timeout", `{"timeout": 10}`, 404)
	})
}

func TestTimeoutIsLimitedByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newDirect(t)
		id := h.create(t, `{"templateID": "base", "timeout": 86400}`)
		time.Sleep(23 * time.Hour)
		h.call(t, "POST", "/sandboxes/"+id+"/timeout", `{"timeout": 86400}`, 204)
		time.Sleep(59 * time.Minute)
		h.call(t, "GET", "/sandboxes/"+id, "", 200)
		time.Sleep(2 * time.Minute)
		h.call(t, "GET", "/sandboxes/"+id, "", 404)
	})
}

func TestSecondVersionHasLongTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newDirect(t)
		short := h.create(t, `{"templateID": "base", "timeout": null}`)
		var long struct{ SandboxID string }
		if err := json.Unmarshal([]byte(h.call(t, "POST", "/v2/sandboxes", `{"templateID": "base"}`, 201)), &long); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		h.call(t, "GET", "/sandboxes/"+short, "", 404)
		time.Sleep(4 * time.Minute)
		h.call(t, "POST", "/v2/sandboxes/"+long.SandboxID+"/connect", ``, 200)
		time.Sleep(4 * time.Minute)
		h.call(t, "GET", "/sandboxes/"+long.SandboxID, "", 200)
		time.Sleep(2 * time.Minute)
		h.call(t, "GET", "/sandboxes/"+long.SandboxID, "", 404)
	})
}
