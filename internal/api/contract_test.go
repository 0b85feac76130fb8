package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/openapitest"
)

type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string `json:"operationId"`
	Security    []map[string][]string
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Example map[string]any }
	} `json:"requestBody"`
}

type schema struct {
	Type       any
	Format     string
	Properties map[string]schema
}

func (s *server) document() document {
	s.Helper()
	var d document
	if err := json.Unmarshal([]byte(s.send(anonymous("GET", "/openapi.json", "")).body), &d, json.MatchCaseInsensitiveNames(true)); err != nil {
		s.Fatal(err)
	}
	return d
}

// The method "each" calls f for every documented operation. The parameter "request" of
// f is a function that returns a request for the operation with the given body.
func (d document) each(f func(name string, op operation, request func(body string) *http.Request)) {
	for path, item := range d.Paths {
		for method, op := range item {
			method = strings.ToUpper(method)
			f(method+" "+path, op, func(body string) *http.Request {
				return anonymous(method, strings.NewReplacer("{id}", "key_1", "{path}", "a.txt", "{name}", "code", "{pid}", "7", "{port}", "8080").Replace(path), body)
			})
		}
	}
}

func TestAuthenticateCoversAllButPublicOperations(t *testing.T) {
	s := newServer(t)
	var public, optional []string
	s.document().each(func(name string, op operation, request func(string) *http.Request) {
		switch {
		case len(op.Security) == 0:
			public = append(public, name)
		case slices.ContainsFunc(op.Security, func(r map[string][]string) bool { return len(r) == 0 }):
			optional = append(optional, name)
		default:
			if res := s.send(request("")); res.StatusCode != 401 {
				t.Errorf("%s: status %d: %s", name, res.StatusCode, res.body)
			}
		}
	})
	slices.Sort(public)
	slices.Sort(optional)
	want := []string{
		"DELETE /api/v1/login-cookie", "GET /api", "GET /api/health", "GET /api/oidc/callback", "GET /api/oidc/login", "GET /health", "GET /healthz", "GET /readyz",
		"POST /api/email/confirm", "POST /api/email/resend", "POST /api/login", "POST /api/oidc/login", "POST /api/password/forgot", "POST /api/password/reset", "POST /api/register", "POST /api/v1/login-cookie",
	}
	if diff := cmp.Diff(want, public); diff != "" {
		t.Errorf("public (-want +got):\n%s", diff)
	}
	// These operations require credentials, either in a header or in the body.
	if diff := cmp.Diff([]string{"POST /api/refresh", "POST /api/verify"}, optional); diff != "" {
		t.Errorf("operations with optional credentials (-want +got):\n%s", diff)
	}
}

func TestBodyIsStrictInEveryOperation(t *testing.T) {
	s := newServer(t, asAdmin)
	bodies := 0
	s.document().each(func(name string, op operation, request func(string) *http.Request) {
		if op.RequestBody == nil {
			return
		}
		if _, isJSON := op.RequestBody.Content["application/json"]; !isJSON {
			return
		}
		bodies++
		// If the body has no example in the document, all fields of the body are
		// optional.
		good := "{"
		for field, value := range op.RequestBody.Content["application/json"].Example {
			if text, ok := value.(string); ok {
				good += `"` + field + `":"` + text + `",`
			}
		}
		for fault, body := range map[string]string{
			"an unknown field":    good + `"unknown":1}`,
			"duplicate field":     good + `"twice":1,"twice":2}`,
			"something after it":  strings.TrimSuffix(good, ",") + "} {}",
			"a list":              "[]",
			"text":                `"text"`,
			"null":                "null",
			"no end":              good,
			"field in other case": strings.ToUpper(good[:min(3, len(good))]) + good[min(3, len(good)):] + `"X":1}`,
			"invalid UTF-8":       good + "\"\xff\":1}",
		} {
			r := request(body)
			r.Header.Set("x-api-key", goodKey)
			if res := s.send(r); res.StatusCode != 400 || res.problem(t).Code != "invalid_request" || len(res.problem(t).Errors) == 0 {
				t.Errorf("%s with %s: status %d: %s", name, fault, res.StatusCode, res.body)
			}
		}
		r := request("{}")
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("x-api-key", goodKey)
		if res := s.send(r); res.StatusCode != 415 || res.problem(t).Code != "unsupported_media_type" {
			t.Errorf("%s as text: status %d: %s", name, res.StatusCode, res.body)
		}
	})
	if bodies < 13 || s.secrets.given != "" || s.accounts.calls != nil || s.executions.program != nil || s.sessions.calls != nil || s.generations.request != nil {
		t.Errorf("%d operations have a body; the test called %v", bodies, s.accounts.calls)
	}
}

func TestOpenAPINamesHaveCamelCaseAndUnits(t *testing.T) {
	camel := regexp.MustCompile(`^[a-z]+([A-Z][a-z0-9]*)*$`)
	counts := []string{
		"status", "exitCode", "line", "processes", "maxFiles", "maxArgs", "executions", "port", "count", "redactions", "version",
		"sequence", "index", "treeSize", "time", "memoryKiB", "parallelism",
		"limit", "used", "generateTokens", "attempts", "responseStatus", "maxAttempts", "inputTokens", "cachedInputTokens", "outputTokens",
		"idle", "reservations", "users", "warm", "booting", "running", "sessions", "waiting", "deleted", "queuedExecutions", "workers",
		"activeAdmins", "disabled", "total", "executionsPerDay", "cpuMsPerDay", "memoryMibMsPerDay", "generateTokensPerDay", "recoveryCodesLeft",
		"pid", "columns", "rows", "entries", "bytes",
	}
	names := 0
	for name, s := range newServer(t).document().Components.Schemas {
		if !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(name) {
			t.Errorf("the schema name %s is not in Pascal case", name)
		}
		for property, p := range s.Properties {
			names++
			if !camel.MatchString(property) {
				t.Errorf("%s.%s is not in camel case", name, property)
			}
			if p.Type == "integer" && !strings.HasSuffix(property, "Ms") && !strings.HasSuffix(property, "Bytes") && !slices.Contains(counts, property) {
				t.Errorf("%s.%s is a number without a unit", name, property)
			}
			if p.Type == "number" {
				t.Errorf("%s.%s allows fractions", name, property)
			}
			if (strings.HasSuffix(property, "At") || property == "timestamp") != (p.Format == "date-time") {
				t.Errorf("%s.%s has the format %q", name, property, p.Format)
			}
		}
	}
	if names < 50 {
		t.Errorf("only %d names were checked", names)
	}
}

func TestOpenAPIYAMLIsValid(t *testing.T) {
	if _, err := openapitest.New([]byte(newServer(t).send(anonymous("GET", "/openapi.yaml", "")).body)); err != nil {
		t.Error(err)
	}
}

func TestInfoListsFeatures(t *testing.T) {
	res := newServer(t).send(anonymous("GET", "/api", ""))
	run := `"memoryBytes":268435456,"outputBytes":1048576,"diskBytes":104857600,"processes":64`
	want := `{"name":"Pyth-On API","version":"1.2.3","documentation":"/docs","openapi":"/openapi.json",` +
		`"languages":[{"name":"python","version":"3.14.6","runtimes":[{"name":"python","version":"3.14.6"}]}],` +
		`"limits":{"maxCodeBytes":1048576,"maxStdinBytes":1048576,"maxFilesBytes":10485760,"maxFiles":64,"maxArgs":64,` +
		`"defaultTimeoutMs":30000,"maxTimeoutMs":300000,"default":{` + run + `},` +
		`"max":{"memoryBytes":1073741824,"cpuMs":300000,"outputBytes":1048576,"diskBytes":104857600,"processes":64}},` +
		`"features":["execute"]}`
	if diff := cmp.Diff(want, res.body); res.StatusCode != 200 || diff != "" {
		t.Errorf("status %d (-want +got):\n%s", res.StatusCode, diff)
	}
}

func TestVerifyPrefersTokenInBody(t *testing.T) {
	s := newServer(t)
	for _, header := range []http.Header{
		{"X-Api-Key": {"pyapi_bad"}}, {"Authorization": {"Bearer bad"}}, {"Authorization": {"Basic x"}}, {"X-Api-Key": {"a", "b"}},
	} {
		for token, status := range map[string]int{goodToken: 200, goodKey: 200, "bad": 401, "pyapi_bad": 401} {
			r := anonymous("POST", "/api/verify", `{"token":"`+token+`"}`)
			for name, values := range header {
				r.Header[name] = values
			}
			if res := s.send(r); res.StatusCode != status {
				t.Errorf("%s with %v: status %d: %s", token, header, res.StatusCode, res.body)
			}
		}
	}
}

func TestLogInOmitsDeletedKey(t *testing.T) {
	s := newServer(t)
	s.accounts.grant.APIKey = ""
	if res := s.send(anonymous("POST", "/api/login", loginJSON)); res.StatusCode != 200 || strings.Contains(res.body, "apiKey") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestPageLimitsAreChecked(t *testing.T) {
	s := newServer(t)
	for query, limit := range map[string]int{"": 50, "?limit=1": 1, "?limit=200": 200} {
		if res := s.send(request("GET", "/api/v1/keys"+query, "")); res.StatusCode != 200 || s.accounts.lastPage.limit != limit {
			t.Errorf("%q: status %d, limit %d: %s", query, res.StatusCode, s.accounts.lastPage.limit, res.body)
		}
	}
}

// TestKeysRefuseZeroExpiry sends Go's zero time as the expiry. The zero time is in year
// 1. For the services, a zero time means "no expiry", so the API must reject a zero time
// in a request.
func TestKeysRefuseZeroExpiry(t *testing.T) {
	s := newServer(t)
	res := s.send(request("POST", "/api/v1/keys", `{"name":"ci","expiresAt":"0001-01-01T00:00:00Z"}`))
	if res.StatusCode != 400 || s.accounts.calls != nil {
		t.Errorf("status %d: %s, %v", res.StatusCode, res.body, s.accounts.calls)
	}
	if res := s.send(request("POST", "/api/v1/keys", `{"name":"ci"}`)); res.StatusCode != 201 || s.accounts.expires != (time.Time{}) {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

// notAudited contains operations that change data but create no entry in the audit log
// (docs/audit.md).
var notAudited = []string{
	"DELETE /api/v1/sessions/{id}/files/{path}", "PUT /api/v1/sessions/{id}/files/{path}", "POST /api/v1/sessions/{id}/interrupt",
	"DELETE /api/v1/sessions/{id}/directories/{path}", "POST /api/v1/sessions/{id}/directories/{path}", "PUT /api/v1/sessions/{id}/archive",
	"POST /api/v1/sessions/{id}/files:move", "POST /api/v1/sessions/{id}/files:copy",
	"POST /api/v1/sessions/{id}/processes/{pid}/stdin", "POST /api/v1/sessions/{id}/processes/{pid}/signal", "PUT /api/v1/sessions/{id}/processes/{pid}/tty",
	"POST /api/logout", "POST /api/verify", "POST /api/v1/zk/encrypt", "POST /api/v1/zk/sandboxes",
}

// TestDeniedChangesAreRecorded sends each operation that changes data with an invalid
// key. The audit log must contain an entry for each refusal, except for the operations in
// notAudited.
func TestDeniedChangesAreRecorded(t *testing.T) {
	changes := 0
	newFullServer(t).document().each(func(name string, op operation, ask func(string) *http.Request) {
		if strings.HasPrefix(name, "GET ") || len(op.Security) == 0 {
			return
		}
		changes++
		s := newFullServer(t)
		r := ask("")
		r.Header.Set("x-api-key", "pyapi_bad")
		res := s.send(r)
		want := 1
		if slices.Contains(notAudited, name) {
			want = 0
		}
		if res.StatusCode != 401 || len(s.audit.noted) != want || want == 1 && (s.audit.noted[0].Action == "" || s.audit.noted[0].Outcome != pyth.AuditDenied) {
			t.Errorf("%s: status %d, recorded %+v", name, res.StatusCode, s.audit.noted)
		}
	})
	if changes < 20 {
		t.Errorf("only %d operations that change data were checked", changes)
	}
}
