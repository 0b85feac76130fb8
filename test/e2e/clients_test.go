package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestOpenAPIClientsWork generates clients from the OpenAPI document with several
// generators in their default settings. It compiles the clients and runs the programs
// of test/clients against a server. With -short, it omits the generator Hey API.
func TestOpenAPIClientsWork(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	document := s.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, nil).body
	clients := map[string]func(*testing.T, *server, []byte){
		"oapi-codegen": testGoClient("oapi", "oapi-codegen", "-generate", "types,client", "-package", "api", "-o", "oapi/api/api.gen.go", "openapi.json"),
		"ogen":         testGoClient("ogen", "ogen", "--target", "ogen/api", "--package", "api", "--clean", "openapi.json"),
		"openapi-typescript": testTypeScriptClient("fetch",
			"openapi-typescript/bin/cli.js", "openapi.json", "-o", "gen/schema.ts"),
	}
	if !testing.Short() {
		clients["hey-api"] = testTypeScriptClient("hey", "@hey-api/openapi-ts/bin/run.js", "-i", "openapi.json", "-o", "gen/hey")
	}
	for name, run := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s, document)
		})
	}
}

// TestOpenAPIPassesLinters checks the OpenAPI document with two linters: Redocly (rule
// set "recommended") and Spectral (rule set "spectral:oas"). The linters must report no
// problem.
func TestOpenAPIPassesLinters(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	dir := installNPMPackage(t, "lint", "../../tools/openapi")
	document := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(document, s.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, nil).body, 0o600); err != nil {
		t.Fatal(err)
	}
	redocly := commandIn(dir, "node", "node_modules/@redocly/cli/bin/cli.js", "lint", "--config", "redocly.yaml", "--format", "json", document)
	redocly.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	out, err := redocly.Output()
	var report struct {
		Totals   struct{ Errors, Warnings, Ignored int }
		Problems []any
	}
	if jsonErr := json.Unmarshal(out, &report); err != nil || jsonErr != nil || len(report.Problems) > 0 || report.Totals.Ignored > 0 {
		t.Errorf("redocly: %v, %v: %s", err, jsonErr, out)
	}
	if out, err := commandIn(dir, "node", "node_modules/@stoplight/spectral-cli/dist/index.js", "lint", "-r", "spectral.yaml", "-F", "hint", document).CombinedOutput(); err != nil {
		t.Errorf("spectral: %v: %s", err, out)
	}
}

// clientsDir returns a directory below bin/clients. The directory remains after the
// test, so later test runs can reuse its content.
func clientsDir(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("../../bin/clients", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func commandIn(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-trimpath")
	return c
}

func mustRun(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
	return string(out)
}

// runOnce calls the given function. It does not call the function again if an earlier
// call with the same marker and content succeeded. "marker" is the path of a file. The
// file contains a hash of the content of the last successful call.
func runOnce(t *testing.T, marker string, content [][]byte, do func()) {
	t.Helper()
	sum := sha256.Sum256(bytes.Join(content, []byte{0}))
	key := hex.EncodeToString(sum[:])
	if done, err := os.ReadFile(marker); err == nil && string(done) == key {
		return
	}
	do()
	if err := os.WriteFile(marker, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
}

// copySources copies all files below one directory to another directory. It returns the
// contents of the files in a fixed order. It does not write files that are already
// equal, because other tests may read these files.
func copySources(t *testing.T, from, to string) [][]byte {
	t.Helper()
	var content [][]byte
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != from && slices.Contains([]string{"node_modules", "gen", "out", "typescript"}, e.Name()) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		content = append(content, []byte(name), text)
		target := filepath.Join(to, name)
		if old, err := os.ReadFile(target); err == nil && bytes.Equal(old, text) {
			return nil
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// testGoClient returns a test of a Go client. The test generates the client with a
// tool of the module test/clients. Then it builds and runs the program with the
// given name.
func testGoClient(name string, generate ...string) func(*testing.T, *server, []byte) {
	return func(t *testing.T, s *server, document []byte) {
		dir := clientsDir(t, name)
		content := append(copySources(t, "../clients", dir), document, []byte(fmt.Sprint(generate)))
		runOnce(t, filepath.Join(dir, "done"), content, func() {
			if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, name, "api"), 0o755); err != nil {
				t.Fatal(err)
			}
			mustRun(t, commandIn(dir, "go", append([]string{"tool"}, generate...)...))
			mustRun(t, commandIn(dir, "go", "build", "-o", "client", "./"+name))
		})
		if out := mustRun(t, commandIn(dir, "./client", s.URL)); out != "ok\n" {
			t.Errorf("the client printed %q", out)
		}
	}
}

// npmMutex is locked while npm runs, because two npm processes must not write to npm's
// cache at the same time. The lock also prevents two tests from installing the same
// package at the same time.
var npmMutex sync.Mutex

// installNPMPackage copies an npm package to bin/clients and installs the dependencies
// in the package's lockfile. It returns the path of the copy.
func installNPMPackage(t *testing.T, name, source string) string {
	t.Helper()
	npmMutex.Lock()
	defer npmMutex.Unlock()
	dir := clientsDir(t, name)
	copySources(t, source, dir)
	lockfile, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	runOnce(t, filepath.Join(dir, "installed"), [][]byte{lockfile}, func() {
		mustRun(t, commandIn(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"))
	})
	return dir
}

// testTypeScriptClient returns a test of a TypeScript client. The test generates the
// client with a tool from npm. Then it compiles and runs the program with the given
// name.
func testTypeScriptClient(name string, generate ...string) func(*testing.T, *server, []byte) {
	return func(t *testing.T, s *server, document []byte) {
		const source = "../clients/typescript"
		dir := installNPMPackage(t, "typescript-"+name, source)
		content := append(copySources(t, source, dir), document, []byte(fmt.Sprint(generate)))
		runOnce(t, filepath.Join(dir, "done"), content, func() {
			if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
				t.Fatal(err)
			}
			mustRun(t, commandIn(dir, "node", append([]string{"node_modules/" + generate[0]}, generate[1:]...)...))
			mustRun(t, commandIn(dir, "node", "node_modules/typescript/bin/tsc", "-p", "tsconfig."+name+".json"))
		})
		if out := mustRun(t, commandIn(dir, "node", "out/"+name+".js", s.URL)); out != "ok\n" {
			t.Errorf("the client printed %q", out)
		}
	}
}
