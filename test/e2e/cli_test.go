package e2e_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestCommandLineScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+":"+env.Getenv("PATH"))
			env.Setenv("PYTH_ON_CACHE_DIR", imageDir)
			env.Setenv("PYTH_ON_NODE", nodeBinary(t))
			return nil
		},
	})
}

func runBinary(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = databases.environ(dataDirOf(args))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
