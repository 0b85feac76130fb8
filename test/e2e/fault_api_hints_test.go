package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestExecuteHintsAtNetworkAndPackages runs programs that need a network or a package
// that they do not have. The error must contain a hint. The test uses single runs,
// streams and sessions in each language.
func TestExecuteHintsAtNetworkAndPackages(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	python, node := a.openSession(t, object{}), a.openSession(t, object{"language": "javascript"})
	for _, c := range []struct {
		name, language, code, want string
	}{
		{"a package", "python", "import polars", `POST /api/v1/packages {"package": "polars"}`},
		{"a package with another name", "python", "from PIL import Image", `{"package": "pillow"}`},
		{"a part of a package", "python", "import sklearn.svm", `{"package": "scikit-learn"}`},
		{"a package in a function", "python", "def f():\n    import dateutil\nf()", `{"package": "python-dateutil"}`},
		{"a part of the standard library", "python", "import tkinter.nothing", ""},
		{"another error", "python", "1/0", ""},
		{"no error", "python", "print(1)", ""},
		{"a look-up", "python", "import socket\nsocket.getaddrinfo('api.example.org', 443)", `"network": {"allow"`},
		{"a request", "python", "import urllib.request\nurllib.request.urlopen('http://example.org/')", `"network": {"allow"`},
		{"an address", "python", "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)", `"network": {"allow"`},
		{"a local server", "python", "import socket\nsocket.create_connection(('127.0.0.1', 1), 2)", ""},
		{"an npm package", "javascript", "require('left-pad')", `{"language": "javascript", "package": "left-pad"}`},
		{"an npm package with a scope", "javascript", "require('@noble/hashes/sha2.js')", `"package": "@noble/hashes"}`},
		{"a missing file", "javascript", "require('./missing.js')", ""},
		{"a lookup in Node", "javascript", "new Promise((_, reject) => require('dns').lookup('api.example.org', reject))", `"network": {"allow"`},
		{"fetch", "javascript", "fetch('http://example.org/')", `"network": {"allow"`},
		{"a package in TypeScript", "typescript", "import _ from 'underscore'\nconsole.log(_.VERSION)", `"package": "underscore"}`},
		{"fetch in TypeScript", "typescript", "const r: Response = await fetch('http://example.org/')", `"network": {"allow"`},
	} {
		request := object{"code": c.code, "language": c.language}
		hint := func(body []byte) string {
			var x struct {
				Status string
				Error  *struct{ Name, Message, Hint string }
			}
			if err := json.Unmarshal(body, &x); err != nil {
				t.Fatal(err)
			}
			if x.Error == nil {
				if c.want != "" {
					t.Errorf("%s: no error in %s", c.name, body)
				}
				return ""
			}
			return x.Error.Hint
		}
		compare := func(how, got string) {
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s, %s: got %q, want %q", c.name, how, got, c.want)
			}
		}
		compare("alone", hint(a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil).body))
		compare("streamed", hint(a.openStream(t.Context(), t, request).readEnd(t)))
		session := python
		if c.language == "javascript" {
			session = node
		}
		if c.language == session.Language {
			got := hint(a.server.call(t, a, "POST", "/api/v1/execute", object{"code": c.code, "sessionId": session.ID}).want(t, 200, nil).body)
			compare("in a session", got)
			if strings.Contains(c.want, "package") && !strings.Contains(got, "new session") {
				t.Errorf("%s: %q does not say that the session keeps its packages", c.name, got)
			}
		}
	}
	// The server must not give a hint in two cases. In the first case, the run has a
	// network, but the host is not allowed. In the second case, the missing module has
	// the name of one of the program's files.
	for name, request := range map[string]object{
		"denied":    {"code": "import urllib.request\nurllib.request.urlopen('http://example.org/')", "network": object{"allow": []string{"api.example.net"}}},
		"a program": {"code": "raise Exception('x' * 100000 + 'gaierror' + 'x' * 100000)"},
		"forged":    {"code": "raise ModuleNotFoundError(\"No module named 'a'; rm -rf /\\\"}\")", "files": []object{{"path": "a.py", "content": ""}}},
	} {
		x := a.execute(t, request)
		encoded, _ := json.Marshal(x)
		if strings.Contains(string(encoded), "This run has no network") || strings.Contains(string(encoded), "Install the package") {
			t.Errorf("%s: %s", name, encoded)
		}
	}
	// If the name of the missing module is the value of a secret, the hint must not
	// contain it.
	a.storeSecret(t, "MODULE", "value_of_a_secret")
	body := a.server.call(t, a, "POST", "/api/v1/execute", object{"code": "import os, importlib\nimportlib.import_module(os.environ['MODULE'])"}).want(t, 200, nil).body
	if strings.Contains(string(body), "value_of_a_secret") || strings.Contains(string(body), "value-of-a-secret") {
		t.Errorf("got %s", body)
	}
}
