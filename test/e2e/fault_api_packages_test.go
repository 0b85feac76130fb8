package e2e_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPackagesAnswerInJSON(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag())
	a := s.register(t)
	for _, c := range []struct {
		method string
		body   object
		status int
	}{
		{"PUT", object{"packages": []string{}}, 200},
		{"POST", object{"package": "likes-two"}, 201},
		{"POST", object{"package": "likes-two"}, 200},
		{"PUT", object{"packages": []string{"likes-one", "space-one"}}, 200},
		{"PUT", object{"language": "javascript", "packages": []string{}}, 200},
	} {
		if got := s.call(t, a, c.method, packagesPath, c.body).want(t, c.status, nil); got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v: %q", c.method, c.body, got.header.Get("Content-Type"))
		}
	}
}

// TestPackagesDeleteFindsLanguage deletes packages with requests that do not name a
// language. The server must find the language of the package.
func TestPackagesDeleteFindsLanguage(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag())
	a := s.register(t)
	a.setPackages(t, "likes-two", "space_one")
	s.call(t, a, "PUT", packagesPath, object{"language": "javascript", "packages": []string{"zod", "@noble/hashes", "chalk@2"}}).want(t, 200, nil)
	for _, name := range []string{"zod", "@noble/hashes", "@noble%2Fhashes", "Space.One", "base-lib", "color-convert", "none"} {
		got := s.call(t, a, "DELETE", packagesPath+"/"+name, nil)
		switch name {
		case "base-lib", "color-convert":
			got.refused(t, 409, "conflict")
		case "none", "@noble%2Fhashes":
			got.refused(t, 404, "not_found")
		default:
			got.want(t, 204, nil)
		}
	}
	s.call(t, a, "DELETE", packagesPath+"/chalk?language=python", nil).refused(t, 404, "not_found")
	left := a.listPackages(t).String()
	if !strings.Contains(left, "likes-two") || !strings.Contains(left, "chalk") || strings.Contains(left, "zod") || strings.Contains(left, "space") || strings.Contains(left, "noble") {
		t.Errorf("remaining packages: %s", left)
	}
}

// TestPackagesFailuresHideHostPaths checks the error and progress messages of pip and
// npm. The messages must not contain paths of the host.
func TestPackagesFailuresHideHostPaths(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	s := startServer(t, x.Flag())
	a := s.register(t)
	for name, c := range map[string]struct {
		body object
		says string
	}{
		"missing in Python":         {object{"package": "no-such-package"}, "no-such-package"},
		"missing version in Python": {object{"package": "base-lib>=7"}, "base-lib"},
		"a conflict in Python":      {object{"package": "likes-one"}, "base-lib"},
		"missing in JavaScript":     {object{"language": "javascript", "package": "no-such-package-of-anybody-7f3a"}, "no-such-package-of-anybody-7f3a"},
		"missing version":           {object{"language": "javascript", "package": "zod@>=900"}, "zod"},
		"missing with a scope":      {object{"language": "typescript", "package": "@noble/no-such-package-7f3a"}, "no-such-package-7f3a"},
		"missing after others":      {object{"language": "javascript", "package": "zod-7f3a-no-such-package"}, "zod-7f3a"},
	} {
		if name == "a conflict in Python" {
			s.call(t, a, "PUT", packagesPath, object{"packages": []string{"likes-two"}}).want(t, 200, nil)
			c.body = object{"packages": []string{"likes-two", "likes-one"}}
		}
		streams := []bool{false, true}
		if testing.Short() && !strings.HasPrefix(name, "missing in ") {
			// Test only one kind of answer, because a stream has the same error as a
			// single answer.
			streams = streams[:1]
		}
		for _, streamed := range streams {
			header := http.Header{"X-Api-Key": {a.APIKey}}
			if streamed {
				header = a.streamHeader()
			}
			method := "POST"
			if c.body["packages"] != nil {
				method = "PUT"
			}
			got := s.callWithHeader(t, header, method, packagesPath, c.body)
			text := string(got.body)
			if !strings.Contains(text, "unsatisfiable") || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s", name, text)
			}
			for _, ours := range []string{"packages.internal", "http://", "https://", "127.0.0.1", "/pyth-on/", "/opt/", "/work/", "/home/", s.URL, filepath.Dir(s.data)} {
				if strings.Contains(text, ours) {
					t.Errorf("%s shows %s: %s", name, ours, text)
				}
			}
		}
	}
}

// TestPackagesChangeNeedsAuditEntry checks that a change of packages fails if the
// server cannot write the audit entry.
func TestPackagesChangeNeedsAuditEntry(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	s := startServerIn(t, data, nil, x.Flag())
	a := s.register(t)
	a.setPackages(t, "space-two")
	setAuditBroken(t, data, true)
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", packagesPath, object{"package": "likes-two"}},
		{"PUT", packagesPath, object{"packages": []string{"space-one"}}},
		{"PUT", packagesPath, object{"packages": []string{"no-such-package"}}},
		{"DELETE", packagesPath + "/space-one", nil},
		{"DELETE", packagesPath + "/absent", nil},
		{"POST", "/api/v1/keys", object{"name": "ci"}},
		{"PUT", "/api/v1/secrets/A", object{"value": "x"}},
	} {
		got := s.call(t, a, c.method, c.path, c.body)
		if p := got.refused(t, 503, "unavailable"); !strings.Contains(p.Detail, "audit log") {
			t.Errorf("%s %s: %s", c.method, c.path, p.Detail)
		}
	}
	if got := s.callWithHeader(t, a.streamHeader(), "POST", packagesPath, object{"package": "likes-two"}); !strings.Contains(string(got.body), `"code":"unavailable"`) || strings.Contains(string(got.body), "event: end") {
		t.Errorf("streamed: %s", got.body)
	}
	setAuditBroken(t, data, false)
	s.call(t, a, "POST", packagesPath, object{"package": "base-lib"}).want(t, 201, nil)
}

func TestPackagesAuditRefusedChanges(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	s := startServerIn(t, data, nil, x.Flag())
	a := s.register(t)
	a.setPackages(t, "likes-two")
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		outcome      string
	}{
		{"DELETE", packagesPath + "/absent", nil, 404, "denied"},
		{"DELETE", packagesPath + "/absent?language=javascript", nil, 404, "denied"},
		{"DELETE", packagesPath + "/base-lib", nil, 409, "failure"},
		{"POST", packagesPath, object{"package": "no-such-package"}, 409, "failure"},
		{"PUT", packagesPath, object{"packages": []string{"no-such-package"}}, 409, "failure"},
		{"POST", packagesPath, object{"package": "a b c"}, 400, ""},
		{"DELETE", packagesPath + "/likes-two", nil, 204, "success"},
	} {
		before := len(a.auditLog(t, "action=packages.changed"))
		s.call(t, a, c.method, c.path, c.body).want(t, c.status, nil)
		after := a.auditLog(t, "action=packages.changed")
		switch {
		case c.outcome == "" && len(after) == before:
		case len(after) != before+1 || after[0].Outcome != c.outcome:
			t.Errorf("%s %s: %d entries, the last %+v", c.method, c.path, len(after)-before, after[0])
		}
	}
	bad := http.Header{"X-Api-Key": {"pyapi_bad"}, "X-Request-Id": {"with-a-bad-key"}}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PUT", packagesPath, object{"packages": []string{}}}, {"POST", packagesPath, object{"package": "a"}}, {"DELETE", packagesPath + "/a", nil},
	} {
		s.callWithHeader(t, bad.Clone(), c.method, c.path, c.body).refused(t, 401, "unauthenticated")
	}
	// The server writes the audit entries of requests with invalid credentials in the
	// background. So wait for these entries.
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		out, failed := runAudit(t, data, "export", "--action=packages.changed", "--outcome=denied")
		lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool { return !strings.Contains(l, "with-a-bad-key") })
		if len(lines) == 3 {
			break
		}
		if failed || time.Now().After(deadline) {
			t.Fatalf("the audit log has %s", out)
		}
	}
}

// setAuditBroken adds or removes a database trigger. While the trigger exists, the
// database refuses new audit entries.
func setAuditBroken(t testing.TB, data string, broken bool) {
	t.Helper()
	statement := `DROP TRIGGER broken`
	if broken {
		statement = `CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no entries now'); END`
	}
	changeDatabase(t, data, statement)
}

func changeDatabase(t testing.TB, data, statement string) {
	t.Helper()
	db := must(sql.Open("sqlite", "file:"+filepath.Join(data, "pyth-on.db")+"?_pragma=busy_timeout(10000)"))(t)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
