package e2e_test

import (
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestRunCluster starts a small cluster with the script of `make run-cluster`. It runs
// a program in the cluster and then stops the cluster.
func TestRunCluster(t *testing.T) {
	t.Parallel()
	// Other servers listen on port 0, so the kernel gives them ports above 32767. The
	// ports of this cluster are lower, so they are free.
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
