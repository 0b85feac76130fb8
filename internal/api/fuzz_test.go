package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/pyth-on/pyth-on/internal/api"
)

// FuzzExecute sends arbitrary bodies. The response must never be a server error. If the
// server accepts a body, a strict JSON decoder must find the same code in the body. A
// response that refuses a body must list errors.
func FuzzExecute(f *testing.F) {
	for _, seed := range []string{
		`{"code":"print(42)"}`, `{"code":"x","files":[{"path":"a","content":"AP8=","encoding":"base64"}]}`,
		`{"code":"x","limits":{"memoryBytes":1e9},"env":{"A":"b"}}`, `{"code":"x","code":"y"}`, `{"Code":"x"}`, `[]`, `null`, `"`, ``,
		`{"code":"\ud800"}`, "{\"code\":\"\xff\"}", `{"code":"x","args":[null]}`, `{"code":"x","timeoutMs":1e400}`,
		strings.Repeat("[", 100), `{"code":"x"}{}`, `{"a~1b":{"~0":1}}`, `{"":{"0":{"-1":[]}}}`,
	} {
		f.Add([]byte(seed))
	}
	e := &executions{}
	h, err := api.New(config(newAccounts(), e))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e.program = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("POST", "/api/v1/execute", string(body)))
		if len(body) == 0 {
			return
		}
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !utf8.Valid(w.Body.Bytes()) {
			t.Fatalf("the answer is no JSON: %v\n%s", err, w.Body)
		}
		switch w.Code {
		case http.StatusOK:
			var sent map[string]any
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Fatalf("the server accepted a body that is not strict JSON: %v", err)
			}
			if e.program == nil || e.program.Code != sent["code"] {
				t.Fatalf("the program is %+v", e.program)
			}
		case http.StatusBadRequest:
			if errs, _ := answer["errors"].([]any); len(errs) == 0 || len(errs) > 50 {
				t.Fatalf("the errors are %v", answer["errors"])
			}
		case http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	})
}

// FuzzHandler sends arbitrary requests. The answer must never be a server error and
// must have a request ID.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "/api", "", "", "", "")
	f.Add("POST", "/api/login", "", "application/json", loginJSON, "")
	f.Add("POST", "/api/register", "", "application/json; charset=utf-8", loginJSON, "")
	f.Add("GET", "/api/v1/keys", "limit=2&cursor=%zz", "", "", "Bearer "+goodToken)
	f.Add("DELETE", "/api/v1/keys/%2e%2e", "", "", "", "Bearer "+goodToken)
	f.Add("PUT", "/api/password", "a;b", "text/plain", "{}", "Basic x")
	f.Add("POST", "/api/refresh", "pyapi_", "application/json", `{"refreshToken":"a"}`, "")
	f.Add("POST", "/api/verify", "", "application/json", `{"token":"pyapi_good"}`, "Bearer")
	f.Add("POST", "/api/v1/execute", "", "application/json", `{"code":"x"}`, "Bearer "+goodToken)
	h, err := api.New(config(newAccounts(), &executions{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, query, mediaType, body, authorization string) {
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("Content-Type", mediaType)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("status %d with %q", w.Code, w.Header().Get("Content-Type"))
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Fatal("there is no request id")
		}
	})
}
