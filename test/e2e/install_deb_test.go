package e2e_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// machine is a root file system of Debian. Its systemd runs in namespaces.
type machine struct {
	root string
	// init is the process ID of the systemd of the tested machine. It is the ID that
	// the process has on the machine that runs the test.
	init int
}

// bootDebian creates a root file system with the dependencies of the package. Then it
// starts systemd in this file system.
func bootDebian(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("run this test as root: it boots systemd in namespaces")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	mmdebstrap := exec.CommandContext(t.Context(), "mmdebstrap", "--quiet", "--variant=minbase",
		"--include=systemd,systemd-sysv,dbus,adduser,ca-certificates,libstdc++6,procps,curl,jq,openssl", "bookworm", root)
	if out, err := mmdebstrap.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	boot := exec.Command("bash", "testdata/boot-systemd", root)
	var console bytes.Buffer
	boot.Stdout, boot.Stderr = &console, &console
	if err := boot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = boot.Process.Kill()
		_ = boot.Wait()
	})
	m := &machine{root: root}
	eventually(t, "systemd runs", func() bool {
		// The script executes unshare. The only child process of unshare is systemd.
		children, err := os.ReadFile("/proc/" + strconv.Itoa(boot.Process.Pid) + "/task/" + strconv.Itoa(boot.Process.Pid) + "/children")
		if err != nil {
			t.Fatalf("%v: %s", err, &console)
		}
		m.init, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		if m.init == 0 {
			return false
		}
		out, _ := m.command("systemctl", "is-system-running").Output()
		return strings.TrimSpace(string(out)) == "running"
	})
	return m
}

func (m *machine) command(args ...string) *exec.Cmd {
	enter := []string{"-t", strconv.Itoa(m.init), "-m", "-p", "-u", "-i", "-C", "-r", "-w", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	return exec.Command("nsenter", append(enter, args...)...)
}

// run runs a command on the machine and returns its output.
func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.command(args...).CombinedOutput()
	if err != nil {
		log, _ := m.command("journalctl", "-u", "pyth-on", "-n", "50", "--no-pager", "-o", "cat").CombinedOutput()
		t.Fatalf("%q: %v: %s\n%s", args, err, out, log)
	}
	return string(out)
}

// write writes a file on the machine.
func (m *machine) write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, path), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(m.root, path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// property returns the value of a property of the systemd unit.
func (m *machine) property(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "-p", name, "pyth-on.service"))
}

// needsNewMachine is the reason why the test of the documentation does not run the
// commands of the Debian package.
const needsNewMachine = "needs a new machine"

// shellOfPages defines shell functions for commands that a new machine does not have.
const shellOfPages = `set -eu
sudo() {
    [ "$1" = -u ] || { "$@"; return; }
    user=$2; shift 2
    case "$*" in
    # Without a password on standard input, enter one.
    *"users create"*"--json") echo "correct horse battery" | setpriv --reuid="$user" --regid="$user" --clear-groups "$@" ;;
    *) setpriv --reuid="$user" --regid="$user" --clear-groups "$@" ;;
    esac
}
apt() {
    case "$1" in
    install) dpkg -i --force-confold "$2" ;;
    remove) dpkg -r "$2" ;;
    purge) dpkg -P "$2" ;;
    esac
}
cd /opt
`

// TestDebianPackage runs the commands of docs/installation.md on a new machine. These
// commands install the package, start the unit, and run programs. Then they upgrade,
// remove and purge the package.
func TestDebianPackage(t *testing.T) {
	onlyDeep(t, "it installs the package in a new root file system")
	t.Parallel()
	release := must(makeRelease())(t)
	m := bootDebian(t)
	if err := copyFile(filepath.Join(release, "pyth-on_1.2.3_amd64.deb"), filepath.Join(m.root, "opt/pyth-on_1.2.3_amd64.deb"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(nodeBinary(t), filepath.Join(m.root, "opt/node"), 0o755); err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, b := range codeBlocks(t, readFile(t, "../../docs/installation.md")) {
		if b.notRun == needsNewMachine {
			commands = append(commands, shellOfPages+b.text)
		}
	}
	if len(commands) != 7 {
		t.Fatalf("docs/installation.md has %d blocks of commands for a new machine, want 7", len(commands))
	}
	install, check, start, create, upgrade, remove, purge := commands[0], commands[1], commands[2], commands[3], commands[4], commands[5], commands[6]

	out := m.run(t, "sh", "-c", install)
	if !strings.Contains(out, "systemctl enable --now pyth-on") {
		t.Errorf("the package does not name the next step: %s", out)
	}
	if out := m.run(t, "sh", "-c", "export PYTH_ON_NODE=/opt/node\n"+check); !strings.Contains(out, "ok       sandbox ") {
		t.Errorf("doctor found problems: %s", out)
	}
	port := freePort(t)
	m.write(t, "etc/pyth-on/pyth-on.toml",
		"data-dir = \"/var/lib/pyth-on/data\"\naddr = \"127.0.0.1:"+port+"\"\nnode = \"/opt/node\"\nrate-limit = \"off\"\n")
	m.run(t, "sh", "-c", start)
	if got := m.property(t, "StatusText"); got != "Serving on 127.0.0.1:"+port {
		t.Errorf("got status %q", got)
	}
	key := m.command("sh", "-c", create)
	key.Stdin = strings.NewReader(password + "\n")
	printed := regexp.MustCompile(`pyapi_\S+`).FindString(string(must(key.Output())(t)))
	s := &server{URL: "http://127.0.0.1:" + port, data: filepath.Join(m.root, "var/lib/pyth-on/data"), http: http.DefaultClient}
	a := &account{server: s, email: "ada@example.org", authResponse: authResponse{APIKey: printed}}
	answers := func() {
		t.Helper()
		a.run(t, "print(6 * 7)").prints(t, "42\n")
	}
	answers()
	a.execute(t, object{"language": "typescript", "code": "const answer: number = 6 * 7; console.log(answer)"}).prints(t, "42\n")

	// If the server is killed, systemd must start it again.
	before := m.property(t, "MainPID")
	m.run(t, "systemctl", "kill", "--signal=KILL", "--kill-who=main", "pyth-on")
	eventually(t, "systemd has restarted the server", func() bool {
		return m.property(t, "MainPID") != before && m.property(t, "ActiveState") == "active"
	})
	answers()

	// An upgrade must restart the server and keep the settings and accounts.
	before = m.property(t, "MainPID")
	m.run(t, "sh", "-c", upgrade)
	if m.property(t, "MainPID") == before || m.property(t, "ActiveState") != "active" {
		t.Error("the upgrade did not restart the server")
	}
	answers()

	// When the package is removed, the server must stop and the data must stay. When
	// the package is purged, the data must be deleted.
	m.run(t, "sh", "-c", remove)
	if _, err := http.Get(s.URL + "/healthz"); err == nil {
		t.Error("the server still runs")
	}
	if !m.exists(t, "var/lib/pyth-on/data/pyth-on.db") || !m.exists(t, "etc/pyth-on/pyth-on.toml") || m.exists(t, "usr/bin/pyth-on") {
		t.Error("the removal kept the binary, or removed data or settings")
	}
	m.run(t, "sh", "-c", purge)
	for _, path := range []string{"var/lib/pyth-on", "etc/pyth-on", "usr/share/doc/pyth-on"} {
		if m.exists(t, path) {
			t.Errorf("%s is left", path)
		}
	}
	if out, err := m.command("getent", "passwd", "pyth-on").Output(); err == nil {
		t.Errorf("the user is left: %s", out)
	}
	t.Run("first day", m.runOperations)
}

// runOperations runs all commands of docs/operations.md in order, beginning with the
// installation. In these commands, it changes only the address of the server.
func (m *machine) runOperations(t *testing.T) {
	blocks := codeBlocks(t, readFile(t, "../../docs/operations.md"))
	port := freePort(t)
	script := shellOfPages + "curl() { command curl --fail-with-body \"$@\"; }\n"
	for i, b := range blocks {
		if b.language != "sh" {
			continue
		}
		script += b.script() + "echo\n"
		if i == 0 { // The package is installed now.
			m.run(t, "bash", "-c", "export PYTH_ON_NODE=/opt/node\n"+script)
			m.write(t, "etc/pyth-on/pyth-on.toml",
				"data-dir = \"/var/lib/pyth-on/data\"\naddr = \"127.0.0.1:"+port+"\"\nnode = \"/opt/node\"\nrate-limit = \"off\"\n")
			script = shellOfPages + "curl() { command curl --fail-with-body \"$@\"; }\n"
		}
	}
	out := m.run(t, "bash", "-c", strings.ReplaceAll(script, "127.0.0.1:8080", "127.0.0.1:"+port))
	for _, want := range commandPages(t)["docs/operations.md"].want {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in: %s", want, out)
		}
	}
	if state := m.property(t, "ActiveState"); state != "active" {
		t.Errorf("the server is %s", state)
	}
}

func copyFile(from, to string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, mode)
}
