package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestCommandLineOnServer runs the scripts for the commands of users. All scripts use
// the same server. Each script has its own account. The files "password" and "key"
// contain the password and the API key of this account.
func TestCommandLineOnServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, newIndex(t).add(t, wheel{Name: "greeting", Version: "1.2", Files: map[string]string{
		"greeting.py": "text = 'hello from the package'\n",
	}}).Flag())
	runScripts(t, "testdata/script/server/*.txtar", func(t *testing.T) testscript.Params {
		a := s.register(t)
		return testscript.Params{
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"golden": golden(s, a)},
			Setup: func(env *testscript.Env) error {
				env.Setenv("PATH", filepath.Dir(binary)+":"+env.Getenv("PATH"))
				env.Setenv("HOME", env.WorkDir)
				env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
				env.Setenv("URL", s.URL)
				env.Setenv("DATA", s.data)
				env.Setenv("EMAIL", a.email)
				env.Setenv("PYTH_ON_SERVER", s.URL)
				env.Setenv("PYTH_ON_API_KEY", a.APIKey)
				for name, content := range map[string]string{"password": password, "key": a.APIKey} {
					if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content+"\n"), 0o600); err != nil {
						return err
					}
				}
				return nil
			},
		}
	})
}

// changing contains patterns for the parts of an output that differ between two runs of
// a script.
var changing = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`\b(\d+m)?\d+(\.\d+)?m?s\b`), "DURATION"},
	{regexp.MustCompile(`"(\w+(?:Ms|Bytes|hash|salt|nonce))": ("[^"]*"|\d+)`), `"$1": VALUE`},
	{regexp.MustCompile(`\d+(\.\d+)? ([KMG]i)?B\b`), "SIZE"},
	{regexp.MustCompile(`(\S)  +`), "$1  "},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// golden returns a command for the scripts. The command compares the last standard
// output with a file. Before the comparison, it replaces the parts that differ between
// two runs.
func golden(s *server, a *account) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: golden FILE")
		}
		got := strings.NewReplacer(s.URL, "URL", a.email, "EMAIL").Replace(ts.ReadFile("stdout"))
		for _, c := range changing {
			got = c.pattern.ReplaceAllString(got, c.text)
		}
		if diff := cmp.Diff(ts.ReadFile(args[0]), got); diff != "" {
			ts.Fatalf("%s: %s\noutput:\n%s", args[0], diff, got)
		}
	}
}
