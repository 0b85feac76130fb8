package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFaultsHaveTests checks that each test that testdata/faults.tsv names exists. For
// example, it fails if somebody renames a test but does not change the list.
func TestFaultsHaveTests(t *testing.T) {
	t.Parallel()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	exists := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range function.FindAllSubmatch(source, -1) {
			exists[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	faults := 0
	for line := range strings.Lines(readFile(t, "testdata/faults.tsv")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		faults++
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			t.Errorf("line %q has %d fields; expected a code, a description and tests", line, len(fields))
			continue
		}
		for _, name := range strings.Fields(fields[2]) {
			if !exists[name] {
				t.Errorf("fault %s: there is no test %s", fields[0], name)
			}
		}
	}
	// The list must contain 17 classes of faults, 26 faults in the API and the server,
	// and 28 security faults.
	if want := 17 + 26 + 28; faults != want {
		t.Errorf("the list has %d faults; expected %d", faults, want)
	}
}
