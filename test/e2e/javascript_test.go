package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExecuteJavaScriptBehavesAsOnHost and TestExecuteTypeScriptBehavesAsOnHost run
// programs in the sandbox and on the host, with the same Node binary. Both results must
// be equal.
func TestExecuteJavaScriptBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	compareNodePrograms(t, language{name: "javascript", file: "main.js"}, 150)
}

func TestExecuteTypeScriptBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	compareNodePrograms(t, language{name: "typescript", file: "main.ts"}, 30)
}

func compareNodePrograms(t *testing.T, l language, least int) {
	archives := must(filepath.Glob("testdata/" + l.name + "/*.txtar"))(t)
	if len(archives) < least {
		t.Fatalf("only %d programs were found", len(archives))
	}
	compareWithHost(t, archives, nodeOnHost(t, l))
}

// nodeOnHost returns a copy of the language l that uses the Node binary on the host.
func nodeOnHost(t *testing.T, l language) language {
	l.argv0, l.bin = "node", filepath.Join(t.TempDir(), "node")
	if err := os.Symlink(nodeBinary(t), l.bin); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExecuteJavaScriptReportsErrors(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for code, want := range map[string]struct {
		name, message string
		line          int
	}{
		"\n\nthrow new RangeError('far')":     {"RangeError", "far", 3},
		"import 'fs';\nnull.x":                {"TypeError", "Cannot read properties of null (reading 'x')", 2},
		"let a = 1;\nlet b = ;":               {"SyntaxError", "Unexpected token ';'", 2},
		"\nPromise.reject(new Error('late'))": {"Error", "late", 2},
		"throw 'text'":                        {"string", "text", 0},
		"class E extends Error {} \nsetTimeout(() => {\n throw new E('x') })": {"Error", "x", 3},
	} {
		x := a.execute(t, javaScriptRequest(code, nil)).ends(t, "failed")
		if x.Error == nil || x.Error.Name != want.name || x.Error.Message != want.message || x.Error.Line != want.line {
			t.Errorf("%q is reported as %+v", code, x.Error)
		} else if strings.Contains(x.Error.Traceback, "pyth-on") {
			t.Errorf("%q shows a stack frame of the hook: %s", code, x.Error.Traceback)
		}
	}
	x := a.execute(t, javaScriptRequest("process.on('uncaughtException', () => process.exit(3)); throw new Error('x')", nil)).ends(t, "failed")
	if x.Error != nil || *x.ExitCode != 3 {
		t.Errorf("a caught error: got %v, %+v, want exit code 3 and no error", x, x.Error)
	}
}

func TestExecuteJavaScriptWithoutNodeIsRefused(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--node=off")
	var info struct{ Languages []struct{ Name string } }
	s.call(t, nil, "GET", "/api", nil).want(t, 200, &info)
	if len(info.Languages) != 2 || info.Languages[0].Name != "python" || info.Languages[1].Name != "bash" {
		t.Errorf("the offered languages are %v", info.Languages)
	}
	a := s.register(t)
	for _, language := range []string{"javascript", "typescript"} {
		var problem struct{ Code, Detail string }
		s.call(t, a, "POST", "/api/v1/execute", object{"language": language, "code": "1"}).want(t, 503, &problem)
		if problem.Code != "runtime_unavailable" || !strings.Contains(problem.Detail, "doctor") {
			t.Errorf("%s: %+v", language, problem)
		}
	}
	a.run(t, "print(42)").prints(t, "42\n")
	var health struct{ Status string }
	s.call(t, nil, "GET", "/api/health", nil).want(t, 200, &health)
	if !strings.Contains(s.log.String(), "Node.js is unavailable") {
		t.Error("no message in the log")
	}
	if out, err := runBinary(t, "doctor", "--cache-dir", imageDir, "--node=off"); err != nil || !strings.Contains(out, "--node=off") {
		t.Errorf("doctor: %v: %s", err, out)
	}
}

// nodeBinary returns the path of the Node binary that sandboxes use. This is the value
// of the environment variable PYTH_ON_NODE, or the downloaded binary if the variable is
// not set.
func nodeBinary(t testing.TB) string {
	t.Helper()
	if own := os.Getenv("PYTH_ON_NODE"); own != "" {
		return own
	}
	fetched := downloadedNode(t)
	if len(fetched) != 1 {
		t.Fatalf("there are %d binaries of Node in %s", len(fetched), imageDir)
	}
	return fetched[0]
}

// downloadedNode returns the paths of the Node binaries that TestMain has
// downloaded.
func downloadedNode(t testing.TB) []string {
	t.Helper()
	return must(filepath.Glob(filepath.Join(imageDir, "node-*")))(t)
}
