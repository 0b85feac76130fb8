package e2e_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/pyth-on/pyth-on/internal/rootfs/oci"
)

// unpackImage unpacks a container image to a directory. All users can read this
// directory.
func unpackImage(t *testing.T, file string) string {
	t.Helper()
	root := t.TempDir()
	image := must(oci.Open(file, t.TempDir()))(t)
	defer func() { _ = image.Close() }()
	err := image.Layers(func(layer io.Reader) error {
		cmd := exec.CommandContext(t.Context(), "tar", "-x", "--no-same-owner", "-C", root)
		cmd.Stdin, cmd.Stderr = layer, os.Stderr
		return cmd.Run()
	}, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// container returns a command that runs in a container of an ordinary user, without
// capabilities. As in compose.yaml and in the Helm chart, the root is read-only and
// /tmp is empty. Parts of /proc are hidden or read-only, as by default in Docker and
// Kubernetes. The parameter "bwrap" contains further arguments of bwrap, which can
// restrict the container more.
func container(t *testing.T, root, data string, attr *syscall.SysProcAttr, bwrap []string, args ...string) *exec.Cmd {
	t.Helper()
	bwrap = append([]string{
		"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--uid", "10001", "--gid", "10001", "--die-with-parent",
		"--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", data, "/var/lib/pyth-on",
		"--ro-bind", "/proc/sys", "/proc/sys", "--ro-bind", "/proc/bus", "/proc/bus", "--tmpfs", "/proc/irq", "--ro-bind", "/dev/null", "/proc/interrupts",
	}, bwrap...)
	bwrap = append(bwrap, "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--chdir", "/var/lib/pyth-on", "--", "/usr/bin/pyth-on")
	cmd := exec.CommandContext(t.Context(), "bwrap", append(bwrap, args...)...)
	cmd.SysProcAttr = attr
	return cmd
}

// TestContainerImage starts the server in the container image as an ordinary user, as
// docs/installation.md describes. Then it runs programs on this server.
func TestContainerImage(t *testing.T) {
	onlyDeep(t, "it writes and starts a container image")
	t.Parallel()
	attr, data := ordinaryUser(t)
	root := unpackImage(t, filepath.Join(must(makeRelease())(t), "pyth-on_1.2.3_amd64.oci.tar"))
	out, err := container(t, root, data, attr, nil, "doctor", "--cache-dir=/var/lib/pyth-on", "--node=off").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ok       sandbox ") || strings.Contains(string(out), "commands missing") {
		t.Errorf("%v: %s", err, out)
	}

	s := newServer(data)
	s.cmd = container(t, root, data, attr, nil, "serve", "--addr=127.0.0.1:0", "--data-dir=/var/lib/pyth-on", "--node=off", "--rate-limit=off")
	stderr := must(s.cmd.StderrPipe())(t)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.log.copyFrom(stderr)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	eventually(t, "the server serves", func() bool {
		log := s.log.String()
		m := regexp.MustCompile(`msg=serving .*?url=(http://\S+)`).FindStringSubmatch(log)
		if m != nil {
			s.URL = m[1]
		}
		return m != nil
	})
	s.http = http.DefaultClient
	a := s.register(t)
	a.run(t, "print(6 * 7)").prints(t, "42\n")
	a.run(t, "import subprocess\nprint(subprocess.run(['bash', '-c', 'echo hello | sed s/h/j/'], capture_output=True, text=True).stdout)").prints(t, "jello\n\n")
}

// TestDoctorInContainerWithoutNamespaces runs the command `doctor` in a container that
// forbids user namespaces.
func TestDoctorInContainerWithoutNamespaces(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	cmd := exec.CommandContext(t.Context(), "bwrap", "--bind", "/", "/", "--dev", "/dev", "--unshare-user", "--disable-userns", "--uid", "10001", "--gid", "10001",
		binary, "doctor", "--cache-dir="+data)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "failure  identity   this user cannot start sandboxes") ||
		!strings.Contains(string(out), "user.max_user_namespaces") {
		t.Errorf("%v: %s", err, out)
	}
}
