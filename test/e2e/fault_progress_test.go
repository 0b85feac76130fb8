package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testRunner returns one of the two test commands in scripts/test. If binaryTests is
// true, this is the command that tests test/e2e. Otherwise it is the command that tests
// all other packages. The two commands have different output formats.
func testRunner(t *testing.T, binaryTests bool) []string {
	t.Helper()
	script := strings.ReplaceAll(string(must(os.ReadFile("../../scripts/test"))(t)), "\\\n", "")
	for _, m := range regexp.MustCompile(`(?m)bin/tools/gotestsum --format (\S+) -- (.*)$`).FindAllStringSubmatch(script, -1) {
		if strings.Contains(m[2], "./test/e2e/...") == binaryTests {
			return []string{must(filepath.Abs("../../bin/tools/gotestsum"))(t), "--format", m[1], "--", "-count=1", "./..."}
		}
	}
	t.Fatalf("scripts/test does not run gotestsum: %s", script)
	return nil
}

func TestMakeTestShowsProgressAndFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example\n",
		"good/a_test.go": "package good\nimport \"testing\"\nfunc TestGood(t *testing.T) { t.Run(\"part\", func(*testing.T) {}) }\n",
		"bad/b_test.go":  "package bad\nimport \"testing\"\nfunc TestBad(t *testing.T) { t.Error(\"why it failed\") }\nfunc TestNext(*testing.T) {}\n",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		binary bool
		shows  []string
	}{
		"packages": {false, []string{"good", "why it failed"}},
		"binary":   {true, []string{"PASS good.TestGood/part ", "PASS good.TestGood ", "FAIL bad.TestBad ", "PASS bad.TestNext ", "why it failed"}},
	} {
		args := testRunner(t, c.binary)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
			t.Errorf("%s: %v: %s; `make bin/tools/gotestsum` makes the runner", name, err, out)
		}
		for _, want := range c.shows {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in %s", name, want, out)
			}
		}
		// The output is not a terminal, so it must not contain colours. The last line
		// must contain the totals.
		if strings.Contains(string(out), "\033") || !regexp.MustCompile(`\nDONE [0-9]+ tests, 1 failure in [0-9.]+s\n$`).Match(out) {
			t.Errorf("%s: %q", name, out)
		}
	}
}
