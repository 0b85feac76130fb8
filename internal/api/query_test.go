package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/api"
)

func TestQueryRefusesUnknownParameters(t *testing.T) {
	s := newFullServer(t, asAdmin)
	refused := 0
	s.document().each(func(name string, _ operation, _ func(string) *http.Request) {
		if name == "GET /api/oidc/callback" {
			return // Skip this operation, because providers may add parameters.
		}
		method, path, _ := strings.Cut(name, " ")
		path = strings.NewReplacer("{id}", "key_1", "{path}", "a.txt", "{name}", "code", "{package}", "numpy").Replace(path)
		for _, query := range []string{"?nonsense=1", "?x&y=2", "?%zz", "?a;b"} {
			r := request(method, path+query, "")
			res := s.send(r)
			if p := res.problem(t); res.StatusCode != 400 || p.Code != "invalid_request" || !strings.HasPrefix(p.Detail, "query") {
				t.Errorf("%s: status %d: %s", name, res.StatusCode, res.body)
			}
			refused++
		}
	})
	if refused < 100 {
		t.Errorf("only %d requests were checked", refused)
	}
}

func TestQueryFaultsAreReported(t *testing.T) {
	s := newFullServer(t)
	for query, want := range map[string]string{
		"audit?Action=key.created":              "query.Action: is not a known parameter; did you mean action?",
		"audit?outcom=denied":                   "query.outcom: is not a known parameter; did you mean outcome?",
		"audit?colour=red":                      "query.colour: is not a known parameter; known names are action, cursor, ",
		"audit?limit=1&limit=2":                 "query.limit: must not be given more than once.",
		"audit?outcome=succes":                  "query.outcome: must be one of success, denied, failure; did you mean success?",
		"audit?action=code.execute":             "; did you mean code.executed?",
		"audit?since=yesterday":                 "query.since: must be a time in the format of RFC 3339, for example 2026-04-04T08:23:21Z.",
		"audit?limit=many":                      "query.limit: must be an integer.",
		"audit?limit=1000":                      "query.limit: must be at most 200.",
		"packages?language=pyhton":              "did you mean python?",
		"packages?lang=python":                  "query.lang: is not a known parameter; did you mean language?",
		"sessions/s1/files?page=2":              "query.page: is not a known parameter; this call has no parameters.",
		"keys?cursor=abc":                       "query.cursor: must be the nextCursor",
		"audit?cursor=MTIzLjQ":                  "query.cursor: must be the nextCursor",
		"secrets?cursor=API_TOKEN":              "query.cursor: must be the nextCursor",
		"sessions?cursor=%00":                   "query.cursor: must be the nextCursor",
		"keys?cursor=" + cursorOf("secrets"):    "query.cursor: must be the nextCursor",
		"secrets?cursor=" + cursorOf("audit"):   "query.cursor: must be the nextCursor",
		"audit?cursor=" + cursorOf("audit")[:9]: "query.cursor: must be the nextCursor",
	} {
		res := s.send(request("GET", "/api/v1/"+query, ""))
		if p := res.problem(t); res.StatusCode != 400 || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: status %d: %s", query, res.StatusCode, res.body)
		}
	}
	for _, list := range []string{"keys", "secrets", "sessions", "audit"} {
		if res := s.send(request("GET", "/api/v1/"+list+"?cursor="+cursorOf(list), "")); res.StatusCode != 200 {
			t.Errorf("%s: status %d: %s", list, res.StatusCode, res.body)
		}
	}
}

func cursorOf(list string) string { return api.NewCursor(list, "1.2") }

func TestProblemDetailHasFirstFault(t *testing.T) {
	s := newFullServer(t)
	for body, want := range map[string]string{
		`{"code":"x","timeout":5}`:                                              "body.timeout: is not a known field; did you mean timeoutMs?",
		`{"code":"x","time_out_ms":5}`:                                          "did you mean timeoutMs?",
		`{"code":"x","session_id":"s"}`:                                         "did you mean sessionId?",
		`{"code":"x","limits":{"memoryBites":1}}`:                               "body.limits.memoryBites: is not a known field; did you mean memoryBytes?",
		`{"code":"x","files":[{"path":"a","content":"","contents":""}]}`:        "body.files[0].contents: is not a known field; did you mean content?",
		`{"code":"x","zzzzzzzzz":1}`:                                            "; known names are args, code, env, ",
		`{"code":"x","language":"pyhton"}`:                                      "body.language: must be one of python, bash, javascript, typescript; did you mean python?",
		`{"code":"x","language":"Typescript"}`:                                  "did you mean typescript?",
		`{"code":"x","language":"cobol"}`:                                       "body.language: must be one of python, bash, javascript, typescript.",
		`{"code":"x","files":[{"path":"a","content":"","encoding":"base-64"}]}`: "did you mean base64?",
		`{"code":"x","timeoutMs":300001}`:                                       "body.timeoutMs: must be at most 300,000 ms.",
		`{"code":"x","timeoutMs":0}`:                                            "body.timeoutMs: must be at least 1 ms.",
		`{"code":"x","limits":{"memoryBytes":9999999999}}`:                      "body.limits.memoryBytes: must be at most 1,073,741,824 bytes.",
		`{"code":"x","limits":{"processes":65}}`:                                "body.limits.processes: must be at most 64.",
		`{"code":5}`:                                                            "body.code: must be a string.",
		`{"code":"x","results":"yes"}`:                                          "body.results: must be true or false.",
		`{"code":"x","args":"a"}`:                                               "body.args: must be a list.",
		`{"code":""}`:                                                           "body.code: must have at least 1 character.",
		`{}`:                                                                    "body: requires the field code.",
		`{"Code":"x"}`:                                                          "body.Code: is not a known field; did you mean code? One more error",
		`{"cod":"x"}`:                                                           "more error",
	} {
		res := s.execute(body)
		if p := res.problem(t); res.StatusCode != 400 || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: status %d: %s", body, res.StatusCode, res.body)
		}
	}
	res := s.send(request("POST", "/api/v1/keys", `{"name":"ci","expiresAt":"tomorrow"}`))
	if p := res.problem(t); !strings.Contains(p.Detail, "body.expiresAt: must be a time in the format of RFC 3339") || strings.Contains(res.body, "2006") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestBodyRefusesFormsAndRanges(t *testing.T) {
	s := newFullServer(t)
	for _, c := range []struct {
		method, path, name, value string
		status                    int
	}{
		{"PUT", "/api/v1/sessions/s/files/a.txt", "Content-Type", "multipart/form-data; boundary=x", 415},
		{"PUT", "/api/v1/sessions/s/files/a.txt", "Content-Type", "Multipart/Mixed", 415},
		{"PUT", "/api/v1/sessions/s/files/a.txt", "Content-Range", "bytes 0-3/10", 400},
		{"PUT", "/api/v1/sessions/s/files/a.txt", "Content-Range", "", 400},
		{"POST", "/api/v1/execute", "Content-Type", "multipart/form-data; boundary=x", 415},
		{"POST", "/api/v1/execute", "Content-Type", "application/x-www-form-urlencoded", 415},
		{"POST", "/api/login", "Content-Type", "application/x-www-form-urlencoded; charset=utf-8", 415},
	} {
		r := request(c.method, c.path, "content")
		r.Header[c.name] = []string{c.value}
		res := s.send(r)
		if p := res.problem(t); res.StatusCode != c.status || c.status == 415 && !strings.Contains(p.Detail, "not a form") {
			t.Errorf("%s %s with %s %q: status %d: %s", c.method, c.path, c.name, c.value, res.StatusCode, res.body)
		}
	}
	if len(s.sessions.files) > 0 {
		t.Errorf("the service stored %v", s.sessions.files)
	}
}
