package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandTimeout is the maximum time of a command that should end. If a server starts
// although it must refuse to start, the test fails after this time.
const commandTimeout = 5 * time.Minute

func TestCommandLineScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script/*.txtar", func(t *testing.T) testscript.Params {
		return testscript.Params{Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+":"+env.Getenv("PATH"))
			env.Setenv("PYTH_ON_CACHE_DIR", imageDir)
			env.Setenv("PYTH_ON_NODE", nodeBinary(t))
			return nil
		}}
	})
}

// runScripts runs each script that matches the pattern in a parallel subtest. The
// function "params" returns the parameters of a script, but not its file and deadline.
func runScripts(t *testing.T, pattern string, params func(*testing.T) testscript.Params) {
	t.Helper()
	scripts, err := filepath.Glob(pattern)
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			t.Parallel()
			p := params(t)
			p.Files = []string{script}
			p.RequireExplicitExec = true
			p.Deadline = time.Now().Add(commandTimeout)
			testscript.RunT(startedScript{t}, p)
		})
	}
}

// startedScript runs a script immediately in the current test. Otherwise the script
// would first wait for other parallel tests. Its deadline is already set, so the
// deadline could pass while the script waits.
type startedScript struct{ *testing.T }

func (s startedScript) Parallel()                            {}
func (s startedScript) Run(_ string, f func(t testscript.T)) { f(s) }
func (s startedScript) Verbose() bool                        { return testing.Verbose() }

func runBinary(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = databases.environ(dataDirOf(args))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
