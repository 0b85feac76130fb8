package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ordinaryUser returns process attributes and a data directory. With these, a test can
// start a server as an ordinary user. If the tests do not run as root, this user is the
// user that runs the tests.
func ordinaryUser(t *testing.T) (*syscall.SysProcAttr, string) {
	t.Helper()
	data := newDataDir(t)
	if os.Getuid() != 0 {
		return nil, data
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUID, Gid: ordinaryUID}}
	giveTo(t, attr, data)
	return attr, data
}

// ordinaryUID is the user ID and the group ID of the user in the result of
// ordinaryUser.
const ordinaryUID = 61234

// giveTo changes the owner of the data directory to the user in the process attributes.
// It does nothing if the attributes are nil.
func giveTo(t testing.TB, attr *syscall.SysProcAttr, data string) {
	t.Helper()
	if attr == nil || attr.Credential == nil {
		return
	}
	uid := int(attr.Credential.Uid)
	for dir := data; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(data, func(path string, _ os.DirEntry, err error) error {
		// Do not change the owner of the executable for sandboxes. It is a hard link
		// that all tests share. A server of root refuses an executable that belongs to
		// another user.
		if err != nil || strings.HasPrefix(filepath.Base(path), "sandbox-") {
			return err
		}
		return os.Chown(path, uid, uid)
	}); err != nil {
		t.Fatal(err)
	}
}

func TestServeAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	s := startServerIn(t, data, attr, defaultStock...)
	a := s.register(t)
	a.run(t, "import subprocess\nprint(subprocess.run(['id', '-u'], capture_output=True, text=True).stdout)").prints(t, "1000\n\n")
	s.waitUntilPoolFull(t)
	before := s.footprint(t)
	for _, c := range []struct {
		name, status string
		request      object
	}{
		{"memory is bounded", "out_of_memory", object{
			"code": "x = []\nwhile True: x.append(b'x' * (1 << 20))", "limits": object{"memoryBytes": 64 * mib},
		}},
		{"time is bounded", "timed_out", object{"code": "while True: pass", "timeoutMs": 500}},
		{"output is bounded", "output_limit", object{"code": "while True: print('x' * 1000)"}},
		{"processor time is bounded", "timed_out", object{"code": "while True: pass", "limits": object{"cpuMs": 300}}},
		{"processes are bounded", "failed", object{"code": "import os, signal\nwhile True:\n    if os.fork() == 0: signal.pause()", "limits": object{"processes": 32}}},
		{"disk is bounded", "failed", object{"code": fillDiskProgram("f") + "raise SystemExit(1)", "limits": object{"diskBytes": 8 * mib}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.execute(t, c.request).ends(t, c.status)
			s.waitForFootprint(t, before)
		})
	}
}

func TestDoctorReportsEnforcementAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	cmd := exec.CommandContext(t.Context(), binary, "doctor", "--cache-dir="+data)
	cmd.SysProcAttr = attr
	out := string(must(cmd.CombinedOutput())(t))
	for _, want := range []string{
		fmt.Sprintf("user %d, as root of a separate user namespace", uidOf(attr)),
		"warning  memory     enforced by the server",
		"warning  cgroup ",
		"systemd-run --user --scope -p Delegate=yes",
		"ok       processes",
		"ok       disk ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	s := startServerIn(t, data, attr)
	var health struct {
		Status string
		Checks map[string]struct{ Status, Detail string }
	}
	s.call(t, nil, "GET", "/api/health", nil).want(t, 200, &health)
	if health.Status != "degraded" || health.Checks["limits"].Status != "degraded" || health.Checks["sandbox"].Status != "ok" {
		t.Errorf("got %+v", health)
	}
}

func uidOf(attr *syscall.SysProcAttr) int {
	if attr == nil {
		return os.Getuid()
	}
	return int(attr.Credential.Uid)
}

func TestServeAsOrdinaryUserLeavesNothingWhenKilled(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	killAndRestart(t, data, attr)
}
