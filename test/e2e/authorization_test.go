package e2e_test

import (
	"archive/tar"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/oidc/oidctest"
)

// documentedOperation is an operation of the OpenAPI document that needs credentials.
type documentedOperation struct {
	method, path string
	// statuses contains the documented status codes of the operation. fields contains
	// the names of all fields in the request body, including nested fields.
	statuses, fields []string
	query            []string
	mediaType        string
	example          any
	// json is true if all answers of the operation are JSON.
	json bool
	// The field "endless" is true if the answer is a stream of events or a WebSocket.
	// Such an answer ends when the client disconnects, or when a process ends.
	endless bool
}

// The method "deletes" returns 1 if the operation deletes an object, and otherwise 0.
// It is a sort key.
func (op *documentedOperation) deletes() int {
	if op.method == http.MethodDelete {
		return 1
	}
	return 0
}

// authorizationTest contains two users of one server. The owner has one object of each
// kind. The other user has no objects. Some objects, for example secrets, have names
// that both users can use.
type authorizationTest struct {
	server       *server
	owner, other *account
	admin        *account
	receiver     *hookReceiver
	provider     *oidctest.Provider
	operations   []documentedOperation
}

// TestOperationsRefuseObjectsOfOtherUsers tests all operations of the OpenAPI document,
// so it also tests new operations. The other user calls each operation for an object of
// the owner. The answer must be the same as for an absent object, and the owner's
// object must not change.
func TestOperationsRefuseObjectsOfOtherUsers(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	provider, flags := startProvider(t)
	s := startServer(t, modelFlags(t, startModel(t), append(flags, x.Flag(), "--egress-allow-range=127.0.0.1/32", "--preview-domain=localhost")...)...)
	s.http.CheckRedirect = keepRedirect
	a := &authorizationTest{server: s, provider: provider, owner: s.register(t), other: s.register(t), receiver: startReceiver(t)}
	a.admin = s.createAdmin(t)
	a.readDocument(t)
	paths := a.ownersPaths(t)
	before := a.lists(t, a.owner)

	t.Run("paths", func(t *testing.T) {
		for _, op := range a.operations {
			if strings.Contains(op.path, "{") {
				a.requireRefused(t, op, paths[op.path])
			}
		}
	})
	t.Run("lists", func(t *testing.T) { a.requireNotListed(t, paths) })
	t.Run("fields of bodies", func(t *testing.T) { a.requireBodiesRefused(t, paths) })
	t.Run("filters", func(t *testing.T) { a.requireFiltersRefused(t, paths) })
	t.Run("the owner's objects are unchanged", func(t *testing.T) {
		after := a.lists(t, a.owner)
		for path, want := range before {
			if !reflect.DeepEqual(after[path], want) {
				t.Errorf("GET %s: got %v, want %v", path, after[path], want)
			}
		}
	})
	t.Run("the objects are real", func(t *testing.T) { a.requireReal(t, paths) })
}

// createAdmin creates the account of an administrator. The result has an API key, but
// no token.
func (s *server) createAdmin(t *testing.T) *account {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "users", "create", "admin@example.org", "--admin", "--json", "--data-dir="+s.data)
	cmd.Env, cmd.Stdin = databases.environ(s.data), strings.NewReader(password)
	a := &account{server: s}
	if out := must(cmd.Output())(t); json.Unmarshal(out, a) != nil || a.APIKey == "" {
		t.Fatalf("got %s", out)
	}
	return a
}

// readDocument reads all operations that need credentials from the OpenAPI document. It
// sorts operations that delete objects to the end. Among these operations, longer paths
// come first.
func (a *authorizationTest) readDocument(t *testing.T) {
	t.Helper()
	var document object
	a.server.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, &document)
	for path, item := range document["paths"].(object) {
		for method, v := range item.(object) {
			op := v.(object)
			if op["x-scope"] == nil {
				continue
			}
			d := documentedOperation{method: strings.ToUpper(method), path: path, json: true}
			for status, v := range op["responses"].(object) {
				d.statuses = append(d.statuses, status)
				content, _ := resolveIn(document, v.(object))["content"].(object)
				if strings.HasPrefix(status, "2") && len(content) > 0 && content["application/json"] == nil {
					d.json = false
				}
				d.endless = d.endless || status == "101" || strings.HasPrefix(status, "2") && len(content) == 1 && content["text/event-stream"] != nil
			}
			parameters, _ := op["parameters"].([]any)
			for _, v := range parameters {
				if p := resolveIn(document, v.(object)); p["in"] == "query" {
					d.query = append(d.query, p["name"].(string))
				}
			}
			if body, ok := op["requestBody"].(object); ok {
				for mediaType, v := range body["content"].(object) {
					d.mediaType, d.example = mediaType, v.(object)["example"]
					schema, _ := v.(object)["schema"].(object)
					d.fields = fieldsOf(document, schema)
				}
			}
			a.operations = append(a.operations, d)
		}
	}
	slices.SortFunc(a.operations, func(x, y documentedOperation) int {
		return cmp.Or(x.deletes()-y.deletes(), x.deletes()*(len(y.path)-len(x.path)), strings.Compare(x.path, y.path), strings.Compare(x.method, y.method))
	})
	if len(a.operations) < 50 {
		t.Fatalf("the document has %d operations with credentials", len(a.operations))
	}
}

// resolveIn follows the $ref of the object n in the OpenAPI document and returns the
// target. If n has no $ref, resolveIn returns n.
func resolveIn(document, n object) object {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	found := document
	for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		found = found[key].(object)
	}
	return found
}

// fieldsOf returns the names of the properties of a schema and of all nested schemas.
func fieldsOf(document object, schema any) (names []string) {
	switch n := schema.(type) {
	case object:
		n = resolveIn(document, n)
		if properties, ok := n["properties"].(object); ok {
			names = slices.AppendSeq(names, maps.Keys(properties))
		}
		for _, v := range n {
			names = append(names, fieldsOf(document, v)...)
		}
	case []any:
		for _, v := range n {
			names = append(names, fieldsOf(document, v)...)
		}
	}
	return names
}

// ownersPaths creates the owner's objects. It returns a map from each path with
// parameters to the path of the owner's object.
func (a *authorizationTest) ownersPaths(t *testing.T) map[string]string {
	t.Helper()
	paths := map[string]string{}
	objects := map[string]string{}
	for _, op := range a.operations {
		if strings.Contains(op.path, "{") {
			paths[op.path] = a.fill(t, op.path, objects)
		}
	}
	if len(paths) < 20 {
		t.Fatalf("the document has only the paths %v", paths)
	}
	return paths
}

// The method "fill" replaces the parameters of a path by IDs or names of the owner's
// objects. The map "objects" contains the objects that already exist.
func (a *authorizationTest) fill(t *testing.T, path string, objects map[string]string) string {
	t.Helper()
	var filled strings.Builder
	for rest := path; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		filled.WriteString(before)
		if !found {
			break
		}
		_, rest, _ = strings.Cut(after, "}")
		prefix := strings.TrimSuffix(path, rest)
		if objects[prefix] == "" {
			create := a.producers()[prefix]
			if create == nil {
				t.Fatalf("%s has no function in authorizationTest.producers that creates an object", prefix)
			}
			objects[prefix] = create(t, a.owner, filled.String())
		}
		filled.WriteString(objects[prefix])
	}
	return filled.String()
}

// producers returns functions that create objects. The key of the map is a path that
// ends with a parameter. The function gets the user and the part of the path before
// this parameter. It creates the object and returns its ID or name.
func (a *authorizationTest) producers() map[string]func(t *testing.T, as *account, before string) string {
	s := a.server
	idOf := func(t *testing.T, answer *answer, status int) string {
		t.Helper()
		var created struct{ ID string }
		answer.want(t, status, &created)
		if created.ID == "" {
			t.Fatalf("no ID in %s", answer.body)
		}
		return created.ID
	}
	execution := func(t *testing.T, as *account, _ string) string {
		id := as.enqueue(t, object{"code": sleepForever}).ID
		eventually(t, "the program runs", func() bool { return as.record(t, id).State == "running" })
		return id
	}
	return map[string]func(t *testing.T, as *account, before string) string{
		"/api/v1/executions/{id}":       execution,
		"/api/v1/admin/executions/{id}": execution,
		"/api/v1/admin/users/{id}":      func(_ *testing.T, as *account, _ string) string { return as.User.ID },
		"/api/v1/admin/invites/{id}": func(t *testing.T, _ *account, _ string) string {
			return idOf(t, s.call(t, a.admin, "POST", "/api/v1/admin/invites", object{"email": "invited@example.org"}), 201)
		},
		"/api/v1/audit/{id}": func(t *testing.T, as *account, _ string) string {
			return as.auditLog(t, "")[0].ID
		},
		"/api/v1/keys/{id}": func(t *testing.T, as *account, _ string) string {
			return idOf(t, s.call(t, as, "POST", "/api/v1/keys", object{"name": "a key"}), 201)
		},
		"/api/v1/logins/{id}": func(t *testing.T, as *account, _ string) string {
			as.login(t)
			var list struct{ Logins []struct{ ID string } }
			s.call(t, as, "GET", "/api/v1/logins", nil).want(t, 200, &list)
			return list.Logins[0].ID
		},
		"/api/v1/packages/{package}": func(t *testing.T, as *account, _ string) string {
			as.setPackages(t, "extra-lib")
			return "extra-lib"
		},
		"/api/v1/secrets/{name}": func(t *testing.T, as *account, _ string) string {
			as.storeSecret(t, "SECRET_OF_THE_OWNER", "value of the secret")
			return "SECRET_OF_THE_OWNER"
		},
		"/api/v1/sessions/{id}": func(t *testing.T, as *account, _ string) string {
			return as.openSession(t, object{"language": "python"}).ID
		},
		"/api/v1/sessions/{id}/files/{path}": func(t *testing.T, as *account, before string) string {
			s.callWithHeader(t, http.Header{"X-Api-Key": {as.APIKey}, "Content-Type": {"application/octet-stream"}}, "PUT", before+"a/file.txt", "content").want(t, 201, nil)
			return "a/file.txt"
		},
		"/api/v1/sessions/{id}/directories/{path}": func(t *testing.T, as *account, before string) string {
			s.call(t, as, "POST", before+"a-directory", nil).want(t, 201, nil)
			return "a-directory"
		},
		"/api/v1/sessions/{id}/ports/{port}": func(*testing.T, *account, string) string { return "8000" },
		"/api/v1/sessions/{id}/processes/{pid}": func(t *testing.T, as *account, before string) string {
			var p process
			s.call(t, as, "POST", strings.TrimSuffix(before, "/"), object{"command": "sleep 1000000"}).want(t, 201, &p)
			return strconv.Itoa(p.PID)
		},
		"/api/v1/me/identities/{id}": func(t *testing.T, as *account, _ string) string {
			a.provider.SetPerson(object{"sub": as.email, "email": as.email, "email_verified": true})
			var linked struct{ ID string }
			s.call(t, as, "POST", "/api/v1/me/identities", object{
				"currentPassword": password, "signIn": s.signInAt(t, "/account").Get("signin"), "verifier": oidcVerifier,
			}).want(t, 201, &linked)
			return linked.ID
		},
		"/api/v1/webhooks/{id}": func(t *testing.T, as *account, _ string) string {
			return as.createHook(t, object{"url": a.receiver.URL}).ID
		},
		"/api/v1/zk/code/{name}": func(t *testing.T, as *account, _ string) string {
			as.storeEncrypted(t, "program-of-the-owner", encryptedProgram{code: "print(6 * 7)", password: password})
			return "program-of-the-owner"
		},
		"/api/v1/zk/execute/{name}": func(t *testing.T, as *account, _ string) string {
			as.storeEncrypted(t, "program-to-execute", encryptedProgram{code: "print(6 * 7)", password: password})
			return "program-to-execute"
		},
	}
}

// send calls an operation with the body of the documented example. The fields in "more"
// replace fields of the example.
func (a *authorizationTest) send(t *testing.T, as *account, op documentedOperation, path string, more object) *answer {
	t.Helper()
	// Use the token instead of the API key, because each use of an API key changes the
	// time at which the key was last used.
	header := bearerHeader(as.Token)
	if as.Token == "" {
		header = http.Header{"X-Api-Key": {as.APIKey}}
	}
	body := op.example
	if op.mediaType != "" {
		header.Set("Content-Type", op.mediaType)
		if op.mediaType != "application/json" {
			body = "content"
		}
		if strings.HasSuffix(op.path, "/archive") {
			body = tarArchive(t, tar.Header{Typeflag: tar.TypeReg, Name: "of-the-archive.txt"})
		}
	}
	if strings.HasSuffix(op.path, "/attach") {
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "websocket")
		header.Set("Sec-WebSocket-Version", "13")
		header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	if len(more) > 0 {
		fields := maps.Clone(body.(object))
		maps.Copy(fields, more)
		body = fields
	}
	return a.server.callWithHeader(t, header, op.method, path, body)
}

// The function "absent" returns an ID or a name that no object has. The result looks
// like the given value.
func absent(value string) string {
	// Change the digits of the value. Digits are valid in all IDs and names, and long
	// IDs are never equal by chance.
	digits := strings.Map(func(r rune) rune {
		if '1' <= r && r <= '8' {
			return r + 1
		}
		return r
	}, value)
	if digits != value {
		return digits
	}
	return value + "2"
}

// sameRefusal reports whether two error answers are equal, except for the value that
// the caller has sent.
func sameRefusal(x *answer, sentX string, y *answer, sentY string) bool {
	normalized := func(a *answer, sent string) (object, []string) {
		var p object
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(a.body), sent, "VALUE")), &p); err != nil {
			p = object{"body": string(a.body)}
		}
		delete(p, "requestId")
		delete(p, "instance")
		return p, slices.Sorted(maps.Keys(a.header))
	}
	px, hx := normalized(x, sentX)
	py, hy := normalized(y, sentY)
	return x.status == y.status && reflect.DeepEqual(px, py) && slices.Equal(hx, hy)
}

// requireRefused calls an operation as the other user, for an object of the owner. The
// server must refuse the call.
func (a *authorizationTest) requireRefused(t *testing.T, op documentedOperation, path string) {
	t.Helper()
	got := a.send(t, a.other, op, path, nil)
	switch {
	case strings.HasPrefix(path, "/api/v1/admin/"):
		got.refused(t, 403, "forbidden")
	case !slices.Contains(op.statuses, "404"):
		// This operation has no status 404, because it creates the object if the caller
		// has none with this name.
		if got.status != 201 {
			t.Errorf("%s %s: got %d, want a new object: %s", op.method, op.path, got.status, got.body)
		}
		a.server.callWithHeader(t, bearerHeader(a.other.Token), "DELETE", path, nil).want(t, 204, nil)
		return
	case got.status != 404:
		t.Errorf("%s %s: got %d: %s", op.method, op.path, got.status, got.body)
	default:
		got.refused(t, 404, "not_found")
	}
	before, _, _ := strings.Cut(op.path, "{")
	value, _, _ := strings.Cut(strings.TrimPrefix(path, before), "/")
	without := a.send(t, a.other, op, strings.Replace(path, value, absent(value), 1), nil)
	if !sameRefusal(got, value, without, absent(value)) {
		t.Errorf("%s %s: got for an object of another user:\n%d %s\nfor an absent object:\n%d %s",
			op.method, op.path, got.status, got.body, without.status, without.body)
	}
}

// The method "values" returns the IDs and names of the owner's objects.
func (a *authorizationTest) values(t *testing.T, paths map[string]string) []string {
	t.Helper()
	values := []string{a.owner.User.ID, a.owner.email}
	for pattern, path := range paths {
		before, after, _ := strings.Cut(pattern, "{")
		_, after, _ = strings.Cut(after, "}")
		value := strings.TrimPrefix(path, before)
		if !strings.Contains(after, "{") {
			value = strings.TrimSuffix(value, after)
		}
		values = append(values, value)
	}
	return values
}

// The method "lists" calls all GET operations that return JSON and have no path
// parameters. It returns their answers.
func (a *authorizationTest) lists(t *testing.T, as *account) map[string]any {
	t.Helper()
	answers := map[string]any{}
	for _, op := range a.operations {
		// Ignore the usage, because it counts sandboxes that the test reserves. Ignore
		// the audit tree, because it contains entries of all users.
		ignored := strings.HasPrefix(op.path, "/api/v1/admin/") || strings.HasPrefix(op.path, "/api/v1/audit/") || op.path == "/api/v1/usage"
		if op.method != "GET" || strings.Contains(op.path, "{") || !op.json || ignored {
			continue
		}
		var list any
		a.send(t, as, op, op.path, nil).want(t, 200, &list)
		answers[op.path] = list
	}
	return answers
}

// requireNotListed checks that no list of the other user contains the owner's objects.
func (a *authorizationTest) requireNotListed(t *testing.T, paths map[string]string) {
	t.Helper()
	lists := a.lists(t, a.other)
	if len(lists) < 9 {
		t.Errorf("the document has only the lists %v", slices.Sorted(maps.Keys(lists)))
	}
	for path, list := range lists {
		if path == "/api/v1/audit" {
			continue // Skip the log, because it contains the paths of the refused requests.
		}
		text := string(must(json.Marshal(list))(t))
		for _, value := range a.values(t, paths) {
			if strings.Contains(text, value) {
				t.Errorf("GET %s contains %s of the owner: %s", path, value, text)
			}
		}
	}
	for _, op := range a.operations {
		if strings.HasPrefix(op.path, "/api/v1/admin/") && !strings.Contains(op.path, "{") {
			a.send(t, a.other, op, op.path, nil).refused(t, 403, "forbidden")
		}
	}
}

// requireBodiesRefused tests each operation that accepts an ID or a name in its body.
// The other user sends the ID or name of an object of the owner.
func (a *authorizationTest) requireBodiesRefused(t *testing.T, paths map[string]string) {
	t.Helper()
	session := strings.TrimPrefix(paths["/api/v1/sessions/{id}"], "/api/v1/sessions/")
	sealed := a.owner.sealPassword(t, password)
	fields := map[string]object{
		"sessionId": {"sessionId": session},
		"sandboxId": sealed,
		"secrets":   {"secrets": []string{"SECRET_OF_THE_OWNER"}},
	}
	name := a.producers()["/api/v1/zk/execute/{name}"](t, a.other, "")
	tested := map[string]int{}
	for _, op := range a.operations {
		for _, field := range op.fields {
			more := fields[field]
			if more == nil {
				if strings.HasSuffix(field, "Id") {
					t.Errorf("%s %s: the test has no object for the field %s", op.method, op.path, field)
				}
				continue
			}
			example := op
			// Leave out the example, because a request must not contain both kinds of
			// password.
			if field == "sandboxId" {
				example.example = object{}
			}
			path := strings.Replace(op.path, "{name}", name, 1)
			got := a.send(t, a.other, example, path, more)
			value, changed := "SECRET_OF_THE_OWNER", object{"secrets": []string{absent("SECRET_OF_THE_OWNER")}}
			if id, ok := more[field].(string); ok {
				value, changed = id, maps.Clone(more)
				changed[field] = absent(id)
			}
			without := a.send(t, a.other, example, path, changed)
			if got.status < 400 || got.status >= 500 || !sameRefusal(got, value, without, absent(value)) {
				t.Errorf("%s %s: got for %s of another user:\n%d %s\nfor an absent one:\n%d %s",
					op.method, op.path, field, got.status, got.body, without.status, without.body)
			}
			tested[field]++
		}
	}
	if tested["sessionId"] < 4 || tested["sandboxId"] < 1 || tested["secrets"] < 4 {
		t.Errorf("the test has called the operations with the fields %v", tested)
	}
}

// requireFiltersRefused tests each list that can be filtered by an object. The other
// user filters by an object of the owner.
func (a *authorizationTest) requireFiltersRefused(t *testing.T, paths map[string]string) {
	t.Helper()
	last := func(path string) string { return path[strings.LastIndex(path, "/")+1:] }
	filters := map[string]string{"sessionId": last(paths["/api/v1/sessions/{id}"]), "key": last(paths["/api/v1/keys/{id}"])}
	// These query parameters do not name objects. A cursor contains the ID of an
	// object, but the ID is only a position in the list.
	others := []string{
		"action", "after", "by", "close", "cursor", "depth", "format", "label", "language", "limit", "outcome", "path", "q",
		"recursive", "since", "snapshot", "split", "state", "status", "until", "wait",
	}
	for _, op := range a.operations {
		for _, name := range op.query {
			value, ok := filters[name]
			if !ok {
				if !slices.Contains(others, name) {
					t.Errorf("%s %s: the test does not know the query parameter %s", op.method, op.path, name)
				}
				continue
			}
			got := a.send(t, a.other, op, op.path+"?"+name+"="+value, nil)
			without := a.send(t, a.other, op, op.path+"?"+name+"="+absent(value), nil)
			if got.status != without.status || string(got.body) != string(without.body) {
				t.Errorf("%s %s: got for %s of another user %s, for an absent one %s", op.method, op.path, name, got.body, without.body)
			}
		}
	}
}

// filesOfTest contains request fields for the operations that copy and move files.
var filesOfTest = map[string]object{
	"/api/v1/sessions/{id}/files:copy": {"from": "a/file.txt", "to": "copy.txt"},
	"/api/v1/sessions/{id}/files:move": {"from": "copy.txt", "to": "moved.txt"},
}

// requireReal calls all operations as a user who may call them. If the status is not
// 404, the objects of the test really exist. It does not call operations that answer with
// an endless stream.
func (a *authorizationTest) requireReal(t *testing.T, paths map[string]string) {
	t.Helper()
	for _, op := range a.operations {
		path := paths[op.path]
		// Skip operations without a path in the map. For example, the operation that
		// deletes the owner's account would end the test.
		if path == "" || op.endless {
			continue
		}
		as := a.owner
		if strings.HasPrefix(path, "/api/v1/admin/") {
			as = a.admin
			if strings.HasPrefix(path, "/api/v1/admin/users/") && op.method != "GET" {
				continue // Skip this operation, because the test still needs the owner's account.
			}
		}
		if got := a.send(t, as, op, path, filesOfTest[op.path]); got.status >= 300 && got.status != 409 {
			t.Errorf("%s %s: the object does not exist: %d %s", op.method, op.path, got.status, got.body)
		}
	}
}
