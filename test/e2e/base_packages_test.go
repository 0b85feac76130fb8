package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBasePackagesReachAllUsers starts a server with base packages: packages that the
// operator installs for all users.
func TestBasePackagesReachAllUsers(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	data := newDataDir(t)
	flags := []string{x.Flag(), "--base-packages=likes-one,space-one", "--warm=1"}
	s := startServerIn(t, data, nil, flags...)
	if !strings.Contains(s.log.String(), "Base packages (install): likes-one 1.0") {
		t.Errorf("no progress in the log: %s", s.log)
	}
	a, b := s.register(t), s.register(t)
	const program = "import likes_one, base_lib, single\nprint(likes_one.VALUE, base_lib.VALUE, single.VALUE)"
	b.run(t, program).prints(t, "1 one and a half 0\n")
	b.listPackages(t).want(t, "")
	b.run(t, "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'import likes_one; print(likes_one.VALUE)'], text=True), end='')").prints(t, "1\n")
	b.openSession(t, object{"language": "python"}).runCode(t, program).prints(t, "1 one and a half 0\n")
	b.execute(t, object{"code": program, "isolation": "execution"}).prints(t, "1 one and a half 0\n")

	// The user installs another version of a base package. Programs of this user must
	// get the user's version of this package. The other base packages must not change.
	a.setPackages(t, "base-lib>=2", "space-two").want(t, "base-lib 2.0, space-two 1")
	a.run(t, program).prints(t, "1 two 0\n")
	a.run(t, "import space.two\nprint(space.two.VALUE)").prints(t, "2\n")
	b.run(t, program).prints(t, "1 one and a half 0\n")
	a.setPackages(t).want(t, "")
	a.run(t, program).prints(t, "1 one and a half 0\n")
	a.setPackages(t, "base-lib>=2").want(t, "base-lib 2.0")
	s.stop(t)

	// After a restart, the server must keep the versions of the packages, and must not
	// need the package index.
	x.Close()
	a.server = startServerIn(t, data, nil, flags...)
	a.run(t, program).prints(t, "1 two 0\n")
	a.on(a.server).server.call(t, nil, "GET", "/readyz", nil).want(t, 200, nil)
	a.server.stop(t)

	a.server = startServerIn(t, data, nil, x.Flag())
	a.run(t, "import base_lib, importlib.util as u\nprint(base_lib.VALUE, u.find_spec('likes_one'))").prints(t, "two None\n")
	a.server.stop(t)

	if err := os.WriteFile(filepath.Join(data, "base-packages.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := runServeUntilExit(t, "--addr=127.0.0.1:0", "--data-dir="+data, x.Flag(), "--base-packages=likes-one")
	if code != 1 || !strings.Contains(out, "base-packages.json of the base packages is damaged: it has no list; remove the file") {
		t.Errorf("%d: %s", code, out)
	}
	if err := os.Remove(filepath.Join(data, "base-packages.json")); err != nil {
		t.Fatal(err)
	}
	code, out = runServeUntilExit(t, "--addr=127.0.0.1:0", "--data-dir="+data, x.Flag(), "--base-packages=likes-one,absent")
	if code != 1 || !strings.Contains(out, "install the base packages likes-one, absent") || !strings.Contains(out, "change --base-packages") {
		t.Errorf("%d: %s", code, out)
	}
}
