package e2e_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// debianPython is the path of the Python interpreter that can import Debian's Python
// packages.
const debianPython = "/usr/bin/python3"

// clientPackages contains the directory with the built packages of the client
// libraries. The tests build these packages only once.
var clientPackages struct {
	once sync.Once
	dir  string
}

// clientPackage returns the path of a built package of a client library. Exactly one
// package must match the pattern.
func clientPackage(t *testing.T, pattern string) string {
	t.Helper()
	clientPackages.once.Do(func() {
		dir := clientsDir(t, "packages")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		npmMutex.Lock()
		defer npmMutex.Unlock()
		mustRun(t, commandIn("../..", "bash", "scripts/clients", dir))
		clientPackages.dir = dir
	})
	found, err := filepath.Glob(filepath.Join(clientPackages.dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got %q, %v", pattern, found, err)
	}
	return found[0]
}

// pythonWheel returns the path of the wheel of the Python client library. Python can
// import the library from the wheel without an installation.
func pythonWheel(t *testing.T) string {
	t.Helper()
	return clientPackage(t, "*.whl")
}

// javascriptLibrary returns a directory in which the JavaScript client library and its
// dependencies are installed.
func javascriptLibrary(t *testing.T) string {
	t.Helper()
	installedLibrary.once.Do(func() {
		dir := installNPMPackage(t, "library", "../../clients/javascript")
		target := filepath.Join(dir, "node_modules/pyth-on")
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		mustRun(t, commandIn(target, "tar", "-xzf", clientPackage(t, "*.tgz"), "--strip-components=1"))
		installedLibrary.dir = dir
	})
	if installedLibrary.dir == "" {
		t.Fatal("the JavaScript library was not installed")
	}
	return installedLibrary.dir
}

// installedLibrary contains the directory that javascriptLibrary returns.
var installedLibrary struct {
	once sync.Once
	dir  string
}

// TestPythonLibraryPassesChecks tests the wheel of the Python client library. It runs
// only the library's tests that need no server.
func TestPythonLibraryPassesChecks(t *testing.T) {
	t.Parallel()
	cmd := commandIn("../../clients/python/tests", debianPython, "check.py")
	cmd.Env = append(cmd.Env, "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+pythonWheel(t), "VECTORS=../../../docs/zero-knowledge-vectors.json")
	mustRun(t, cmd)
}

// TestJavaScriptLibraryPassesChecks runs the tests of the JavaScript client library
// that need no server. It also compiles a TypeScript program that uses the types of the
// library.
func TestJavaScriptLibraryPassesChecks(t *testing.T) {
	t.Parallel()
	dir := javascriptLibrary(t)
	cmd := commandIn(dir, nodeBinary(t), "--test", "tests/check.js")
	cmd.Env = append(cmd.Env, "VECTORS="+must(filepath.Abs("../../docs/zero-knowledge-vectors.json"))(t))
	mustRun(t, cmd)
	mustRun(t, commandIn(dir, nodeBinary(t), "node_modules/typescript/bin/tsc", "-p", "tsconfig.json"))
}
