package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// TestOpenAPIScopesAreEnforced reads the scopes from the OpenAPI document. So the test
// automatically includes new operations.
func TestOpenAPIScopesAreEnforced(t *testing.T) {
	s := newFullServer(t)
	used := map[pyth.Scope]bool{pyth.ScopeAdmin: true}
	eachOperation(openAPI(t), func(name string, op node) {
		method, path, _ := strings.Cut(name, " ")
		scope := pyth.Scope("")
		if v, ok := op["x-scope"].(string); ok {
			scope = pyth.Scope(v)
		}
		if required := requiresCredentials(op); required != slices.Contains(pyth.Scopes(), scope) {
			t.Errorf("%s: requires credentials: %v, scope: %q", name, required, scope)
			return
		}
		if scope == "" {
			return
		}
		used[scope] = true
		call := func(scopes []pyth.Scope) problem {
			s.accounts.scopes = scopes
			body := ""
			if op["requestBody"] != nil {
				body = "{}"
			}
			a := s.send(request(method, pathParameter.ReplaceAllString(path, "x"), body))
			if a.StatusCode < 400 {
				return problem{}
			}
			return a.problem(t)
		}
		others := slices.DeleteFunc(pyth.Scopes(), func(s pyth.Scope) bool { return s == scope })
		if p := call(others); p.Status != http.StatusForbidden || p.Code != "missing_scope" || !strings.Contains(p.Detail, string(scope)) {
			t.Errorf("%s without the scope %s: got %+v", name, scope, p)
		}
		granted := []pyth.Scope{scope}
		if strings.Contains(path, "/processes") {
			// A process is also a run of a program.
			granted = append(granted, pyth.ScopeExecute)
		}
		if p := call(granted); p.Code == "missing_scope" {
			t.Errorf("%s with the scope %s: got %+v", name, scope, p)
		}
	})
	for _, scope := range pyth.Scopes() {
		if !used[scope] {
			t.Errorf("no operation needs the scope %s", scope)
		}
	}
}

// requiresCredentials reports whether the operation has security requirements and none of
// them is empty. With an empty alternative, the operation needs no credentials.
func requiresCredentials(op node) bool {
	alternatives := list(op["security"])
	return len(alternatives) > 0 && !slices.ContainsFunc(alternatives, func(a any) bool { return len(a.(node)) == 0 })
}

func TestExecuteNeedsScopesForItsOptions(t *testing.T) {
	s := newFullServer(t)
	for name, c := range map[string]struct {
		scopes  []pyth.Scope
		body    string
		missing string
		all     bool
	}{
		"all secrets with the scope":       {[]pyth.Scope{"execute", "secrets:read"}, `{"code": "1"}`, "", true},
		"no secrets without the scope":     {[]pyth.Scope{"execute"}, `{"code": "1"}`, "", false},
		"an empty list without the scope":  {[]pyth.Scope{"execute"}, `{"code": "1", "secrets": []}`, "", false},
		"named secrets without the scope":  {[]pyth.Scope{"execute"}, `{"code": "1", "secrets": ["A"]}`, "secrets:read", false},
		"a session without its scope":      {[]pyth.Scope{"execute", "secrets:read"}, `{"code": "1", "sessionId": "x"}`, "sessions", false},
		"a session with its scope":         {[]pyth.Scope{"execute", "sessions"}, `{"code": "1", "sessionId": "x"}`, "", false},
		"the scope of sessions only":       {[]pyth.Scope{"sessions", "secrets:read"}, `{"code": "1"}`, "execute", false},
		"named secrets with the scope":     {[]pyth.Scope{"execute", "secrets:read"}, `{"code": "1", "secrets": ["A"]}`, "", false},
		"writing secrets is another scope": {[]pyth.Scope{"execute", "secrets:write"}, `{"code": "1", "secrets": ["A"]}`, "secrets:read", false},
	} {
		t.Run(name, func(t *testing.T) {
			s.accounts.scopes, s.executions.program = c.scopes, nil
			a := s.execute(c.body)
			if c.missing != "" {
				if p := a.problem(t); p.Code != "missing_scope" || !strings.Contains(p.Detail, c.missing) || s.executions.program != nil {
					t.Errorf("got %+v", p)
				}
				return
			}
			if a.StatusCode != http.StatusOK || s.executions.program.AllSecrets != c.all {
				t.Errorf("got status %d, program %+v", a.StatusCode, s.executions.program)
			}
		})
	}
}
