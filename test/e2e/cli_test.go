package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandTimeout is the maximum time of a command that should end. Otherwise a test
// would wait forever for a server that starts although it should refuse.
const commandTimeout = 5 * time.Minute

func TestCommandLineScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(2 * commandTimeout),
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
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = databases.environ(dataDirOf(args))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
