package e2e_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var updateClients = flag.Bool("update-clients", false, "write the types of the client libraries")

// generatedTypes lists the files with the types of the client libraries. The command
// clients/generate writes these files from the OpenAPI document.
var generatedTypes = []string{"client/types.gen.go", "clients/javascript/types.d.ts", "clients/python/src/pyth_on_client/_types.py"}

// comments is a pattern that matches the comments in generated files.
var comments = regexp.MustCompile(`(?m)^\s*(//|#|\*|/\*\*).*\n`)

// TestLibraryTypesMatchTheDocument generates the types of the client libraries from the
// OpenAPI document of a real server. The files in the repository must be equal. The
// test ignores comments, so that a better description in the API breaks no test.
func TestLibraryTypesMatchTheDocument(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	dir := t.TempDir()
	for _, name := range generatedTypes {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	document := filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(document, s.call(t, nil, "GET", "/openapi.json", nil).want(t, 200, nil).body, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, exec.CommandContext(t.Context(), "go", "run", "../../clients/generate", document, dir))
	for _, name := range generatedTypes {
		path := filepath.Join("../..", name)
		generated := readFile(t, filepath.Join(dir, name))
		if *updateClients {
			if err := os.WriteFile(path, []byte(generated), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if comments.ReplaceAllString(generated, "") != comments.ReplaceAllString(readFile(t, path), "") {
			t.Errorf("%s does not match the OpenAPI document: run `go test ./test/e2e -run TestLibraryTypes -update-clients`", name)
		}
	}
}

// TestGoLibraryExamplesRun runs the examples of the Go package client against a real
// server.
func TestGoLibraryExamplesRun(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-tags", "live", "-run", "^Example", "-v", "../../client")
	cmd.Env = append(os.Environ(), "PYTH_ON_URL="+s.URL, "PYTH_ON_API_KEY="+a.APIKey)
	out := mustRun(t, cmd)
	if n := strings.Count(out, "--- PASS: Example"); n < 7 {
		t.Errorf("only %d examples ran: %s", n, out)
	}
}
