package e2e_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// scopedOperation is an operation of the OpenAPI document that needs credentials. It
// also contains the scope that the operation needs.
type scopedOperation struct{ method, path, scope string }

// scopedOperations reads all operations from the OpenAPI document, so the test also
// covers new operations. It also returns all scopes.
func scopedOperations(t *testing.T, s *server) (operations []scopedOperation, scopes []string) {
	t.Helper()
	var document struct {
		Paths      map[string]map[string]map[string]any
		Components struct {
			Schemas map[string]struct{ Enum []string }
		}
	}
	s.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, &document)
	scopes = document.Components.Schemas["Scope"].Enum
	for path, methods := range document.Paths {
		for method, op := range methods {
			scope, _ := op["x-scope"].(string)
			security, _ := op["security"].([]any)
			optional := slices.ContainsFunc(security, func(v any) bool { return len(v.(object)) == 0 })
			if required := len(security) > 0 && !optional; required != slices.Contains(scopes, scope) {
				t.Errorf("%s %s: credentials required: %v, scope: %q", method, path, required, scope)
			}
			if scope != "" {
				operations = append(operations, scopedOperation{strings.ToUpper(method), pathParameter.ReplaceAllString(path, "x"), scope})
			}
		}
	}
	if len(operations) < 50 || len(scopes) != 9 {
		t.Fatalf("found %d operations and the scopes %q", len(operations), scopes)
	}
	return operations, scopes
}

func (a *account) createKey(t *testing.T, request object) string {
	t.Helper()
	var created struct{ Key string }
	a.server.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token}}, "POST", "/api/v1/keys", request).want(t, 201, &created)
	return created.Key
}

func TestScopesAreEnforcedForEveryOperation(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	operations, scopes := scopedOperations(t, s)
	only, without := map[string]string{}, map[string]string{}
	for _, scope := range scopes {
		only[scope] = a.createKey(t, object{"name": "only " + scope, "scopes": []string{scope}})
		others := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == scope })
		without[scope] = a.createKey(t, object{"name": "without " + scope, "scopes": others})
	}
	for _, op := range operations {
		// Send an invalid body, so that an operation changes nothing even if the scope
		// allows the operation.
		var body any
		if op.method != "GET" && op.method != "DELETE" {
			body = object{"unknown": true}
		}
		p := s.callWithHeader(t, http.Header{"X-Api-Key": {without[op.scope]}}, op.method, op.path, body).refused(t, 403, "missing_scope")
		if !strings.Contains(p.Detail, " "+op.scope+".") {
			t.Errorf("%s %s: the error does not name the scope %s: %q", op.method, op.path, op.scope, p.Detail)
		}
		if got := s.callWithHeader(t, http.Header{"X-Api-Key": {only[op.scope]}}, op.method, op.path, body); got.status == 403 && strings.Contains(string(got.body), "missing_scope") {
			t.Errorf("%s %s with the scope %s: got %s", op.method, op.path, op.scope, got.body)
		}
	}
	if len(s.call(t, a, "GET", "/api/v1/audit?outcome=denied", nil).want(t, 200, nil).body) < 100 {
		t.Error("the audit log has no denied requests")
	}
}

func TestScopesLimitProgramsAndNewKeys(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "value of the secret")
	code := object{"code": "import os\nprint('TOKEN' in os.environ)"}
	run := func(scopes ...string) string {
		t.Helper()
		var x execution
		key := a.createKey(t, object{"name": "k", "scopes": scopes})
		s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + key}}, "POST", "/api/v1/execute", code).want(t, 200, &x)
		return x.Stdout
	}
	if got := run("execute"); got != "False\n" {
		t.Errorf("without secrets:read: got %q", got)
	}
	if got := run("execute", "secrets:read"); got != "True\n" {
		t.Errorf("with secrets:read: got %q", got)
	}
	few := http.Header{"X-Api-Key": {a.createKey(t, object{"name": "few", "scopes": []string{"account"}, "format": "e2b"})}}
	if !strings.HasPrefix(few.Get("X-Api-Key"), "e2b_") {
		t.Error("the key does not have the form of E2B")
	}
	s.callWithHeader(t, few, "POST", "/api/v1/keys", object{"name": "more", "scopes": []string{"account", "execute"}}).refused(t, 403, "missing_scope")
	var created struct {
		ID     string
		Scopes []string
	}
	s.callWithHeader(t, few, "POST", "/api/v1/keys", object{"name": "same"}).want(t, 201, &created)
	if !slices.Equal(created.Scopes, []string{"account"}) {
		t.Errorf("got the scopes %q", created.Scopes)
	}
	var changed struct{ Name string }
	s.callWithHeader(t, few, "PATCH", "/api/v1/keys/"+created.ID, object{"name": "renamed"}).want(t, 200, &changed)
	if changed.Name != "renamed" {
		t.Errorf("got the name %q", changed.Name)
	}
	var list struct {
		Keys []struct{ Name, LastUsedAt string }
	}
	s.callWithHeader(t, few, "GET", "/api/v1/keys", nil).want(t, 200, &list)
	for _, k := range list.Keys {
		if used := k.LastUsedAt != ""; k.Name == "few" && !used || k.Name == "renamed" && used {
			t.Errorf("the key %s was last used at %q", k.Name, k.LastUsedAt)
		}
	}
}
