package e2e_test

import (
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestRunCluster starts a small cluster with the script of `make run-cluster`, runs a
// program in it, and stops it.
func TestRunCluster(t *testing.T) {
	t.Parallel()
	// Servers with the port 0 get ports above 32767, so these ports are free.
	port := strconv.Itoa(20_000 + 100*rand.IntN(100))
	cmd := exec.Command("bash", "../../scripts/run-cluster", "--once", "--no-namespaces", "--servers=1", "--workers=1",
		"--port="+port, "--data-dir="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, line := range []string{"==> A program printed 42\n", "==> Stopping the cluster\n"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("the output has no line %q:\n%s", line, out)
		}
	}
}
