package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const unitFile = "../../deploy/systemd/pyth-on.service"

// TestServeNotifiesServiceManager starts the server as an ordinary user, like the
// systemd unit. The notifications then come from a child process of the process that
// the test starts.
func TestServeNotifiesServiceManager(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	path := filepath.Join(filepath.Dir(data), "notify")
	c := must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}))(t)
	defer func() { _ = c.Close() }()
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	s := newServer(data)
	s.env = []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=60000000", "WATCHDOG_PID=1"}
	args := append([]string{"serve", "--addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0", "--data-dir=" + data}, noStock...)
	if err := s.begin(attr, append(args, npmRegistry()...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	next := func() string {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("%v: %s", err, s.log)
		}
		return string(b[:n])
	}
	if got := next(); !strings.HasPrefix(got, "READY=1\nSTATUS=Serving on 127.0.0.1:") {
		t.Errorf("got %q", got)
	}
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	if err := s.waitUntilServing(); err != nil {
		t.Fatal(err)
	}
	s.terminate(t, s.cmd.Process.Pid)
	if got := next(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("got %q", got)
	}
	s.requireCleanExit(t)
}

// TestUnitIsValid checks the systemd unit with systemd-analyze. The deep test
// TestDebianPackage starts the unit.
func TestUnitIsValid(t *testing.T) {
	t.Parallel()
	// systemd-analyze checks that the executable of the unit exists. So use the path of
	// the tested binary.
	unit := strings.ReplaceAll(readFile(t, unitFile), "/usr/bin/pyth-on", binary)
	path := filepath.Join(t.TempDir(), "pyth-on.service")
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), path) {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level for \S+: (\d+\.\d+)`).FindSubmatch(out)
	if level == nil {
		t.Fatalf("no exposure level in %s", out)
	}
	if got := must(strconv.ParseFloat(string(level[1]), 64))(t); got >= 4 {
		t.Errorf("the exposure level is %v, want less than 4: %s", got, out)
	}
}
