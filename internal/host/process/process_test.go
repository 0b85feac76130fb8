package process_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/host/process"
)

// parent is the name of an environment variable. If the variable is set, the test binary
// acts as a parent process. The test kills this parent process.
const parent = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parent) != "" {
		// The child process prints its process ID. Without process.Run, it would continue
		// after the end of its parent process.
		cmd := exec.CommandContext(context.Background(), "sh", "-c", "echo $$; exec sleep 600")
		cmd.Stdout = os.Stdout
		fmt.Fprintln(os.Stderr, process.Run(cmd))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestChildDiesWithParent(t *testing.T) {
	t.Parallel()
	for range 5 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
		cmd.Env = append(os.Environ(), parent+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for deadline := time.Now().Add(time.Minute); alive(child); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				_ = syscall.Kill(child, syscall.SIGKILL)
				t.Fatalf("process %d still runs", child)
			}
		}
	}
}

// The function "alive" reports whether the process exists and is not a zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func TestCommandReturnsOutputAndFailure(t *testing.T) {
	t.Parallel()
	out, err := process.Output(exec.CommandContext(t.Context(), "sh", "-c", "echo said; exit 3"))
	if string(out) != "said\n" || err == nil || err.Error() != "exit status 3" {
		t.Errorf("%q, %v", out, err)
	}
	if err := process.Run(exec.CommandContext(t.Context(), "true")); err != nil {
		t.Error(err)
	}
}
