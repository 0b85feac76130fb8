package e2e_test

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite" // The database's driver.
)

func (s *server) rotateCommand(t testing.TB) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(binary, "keys", "rotate", "--data-dir="+s.data)
	cmd.Env = os.Environ()
	return cmd
}

func TestKeysRotateUnderLoadAndKills(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const users = 12
	accounts := make([]*account, users)
	for i := range accounts {
		accounts[i] = s.register(t)
		accounts[i].storeSecret(t, "MINE", fmt.Sprintf("value of %d", i))
	}
	before := must(os.ReadFile(filepath.Join(s.data, "root.key")))(t)
	// During the rotations, users register, store secrets and use these secrets.
	done := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[*account]string{}
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			a := s.register(t)
			value := fmt.Sprintf("late value %d", i)
			a.storeSecret(t, "MINE", value)
			mu.Lock()
			acknowledged[a] = value
			mu.Unlock()
		}
	})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			i %= users
			requireSecret(t, accounts[i], fmt.Sprintf("value of %d", i))
		}
	})
	killed := 0
	// Start and kill several rotations, each after a different time.
	for pause := 5 * time.Millisecond; pause < 400*time.Millisecond; pause += 20 * time.Millisecond {
		cmd := s.rotateCommand(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(pause, func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			killed++
		}
		timer.Stop()
	}
	if out, err := s.rotateCommand(t).CombinedOutput(); err != nil || !strings.Contains(string(out), "keys are encrypted with the new root key") {
		t.Errorf("%v: %s", err, out)
	}
	close(done)
	wg.Wait()
	if killed == 0 {
		t.Error("no rotation was killed")
	}
	after := must(os.ReadFile(filepath.Join(s.data, "root.key")))(t)
	if len(after) != 32 || string(after) == string(before) {
		t.Errorf("the root key has %d bytes, or it is still the old one", len(after))
	}
	check := func() {
		t.Helper()
		for i, a := range accounts {
			requireSecret(t, a, fmt.Sprintf("value of %d", i))
		}
		for a, value := range acknowledged {
			requireSecret(t, a, value)
		}
		// Tokens must still be valid. A login must still return the first API key of
		// the account.
		for _, a := range accounts[:2] {
			s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token}}, "POST", "/api/verify", nil).want(t, 200, nil)
			if g := a.login(t); g.APIKey != a.APIKey {
				t.Error("login returned another API key")
			}
		}
	}
	check()
	out, err := runBinary(t, "keys", "verify", "--data-dir="+s.data)
	if want := fmt.Sprintf("%d users' keys, %d API keys and %d secrets: 0 damaged\n", users+len(acknowledged), users+len(acknowledged), users+len(acknowledged)); err != nil || !strings.HasSuffix(out, want) {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
	s.kill(t)
	s = startServerIn(t, s.data, nil)
	for _, a := range accounts {
		a.server = s
	}
	for a := range acknowledged {
		a.server = s
	}
	check()
	t.Logf("%d rotations were killed, %d users registered meanwhile", killed, len(acknowledged))
}

func requireSecret(t testing.TB, a *account, value string) {
	t.Helper()
	a.execute(t, object{"code": "import os\nprint(os.environ['MINE'])", "redactSecrets": false}).prints(t, value+"\n")
}

// TestKeysRotateRemovesLeftovers creates temporary files like those of a killed
// rotation. Such files contain root keys, so the next rotation must remove them.
func TestKeysRotateRemovesLeftovers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	a.storeSecret(t, "MINE", "value")
	keys := must(os.ReadFile(filepath.Join(s.data, "root.key")))(t)
	elsewhere := filepath.Join(t.TempDir(), "mine.txt")
	leave := func() {
		for _, name := range []string{".root-key-123", ".root-key-"} {
			if err := os.WriteFile(filepath.Join(s.data, name), keys, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_ = os.WriteFile(elsewhere, keys, 0o600)
		_ = os.Symlink(elsewhere, filepath.Join(s.data, ".root-key-link"))
	}
	left := func(by string) {
		t.Helper()
		if got := must(filepath.Glob(filepath.Join(s.data, ".root-key-[0-9]*")))(t); len(got) > 0 || !exists(elsewhere) {
			t.Errorf("%s left %q or removed the target of a link", by, got)
		}
	}
	leave()
	if out, err := s.rotateCommand(t).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left("a rotation")
	leave()
	s.stop(t)
	s = startServerIn(t, s.data, nil)
	left("a start")
	a.server = s
	requireSecret(t, a, "value")
}

func TestServeHidesRootKeyFromEnvironment(t *testing.T) {
	for name, ordinary := range map[string]bool{"as root": false, "as an ordinary user": true} {
		t.Run(name, func(t *testing.T) {
			one := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("1", 32)))
			two := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("2", 32)))
			attr, data := ordinaryUser(t)
			if !ordinary {
				attr, data = nil, newDataDir(t)
			}
			t.Setenv("PYTH_ON_ROOT_KEY", one)
			s := startServerIn(t, data, attr, defaultStock...)
			a := s.register(t)
			a.storeSecret(t, "MINE", "value")
			requireSecret(t, a, "value")
			if _, err := os.Stat(filepath.Join(data, "root.key")); err == nil {
				t.Error("a key file exists as well")
			}
			// No process of the server may have the root key in its environment or arguments.
			for _, pid := range append(s.sandboxPIDs(), s.servingPid(), s.cmd.Process.Pid) {
				for _, file := range []string{"environ", "cmdline"} {
					b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
					if err == nil && strings.Contains(string(b), one) {
						t.Errorf("the key is in %s of process %d", file, pid)
					}
				}
			}
			s.stop(t)
			if strings.Contains(s.log.String(), one) {
				t.Error("the key is in the log")
			}

			t.Setenv("PYTH_ON_ROOT_KEY", two)
			if out := requireServeFails(t, data); !strings.Contains(out, "the value of PYTH_ON_ROOT_KEY is not the root key") {
				t.Error(out)
			}
			t.Setenv("PYTH_ON_ROOT_KEY", two+","+one)
			if out, err := runBinary(t, "keys", "rotate", "--data-dir="+data); err != nil || !strings.Contains(out, "Remove the old key from PYTH_ON_ROOT_KEY") {
				t.Errorf("%v: %s", err, out)
			}
			t.Setenv("PYTH_ON_ROOT_KEY", two)
			a.server = startServerIn(t, data, attr)
			requireSecret(t, a, "value")
		})
	}
}

func TestKeysVerifyFindsDamagedSecret(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	a.storeSecret(t, "GOOD", "value")
	a.storeSecret(t, "BAD", "value")
	s.stop(t)
	// Change the last byte, whatever its value is.
	changeStoppedDatabase(t, s.data, "UPDATE secrets SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || "+
		"CASE WHEN substr(sealed, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE name = 'BAD'")
	out, err := runBinary(t, "keys", "verify", "--data-dir="+s.data)
	if err == nil || !strings.Contains(out, "damaged: secret BAD of user "+a.User.ID) || !strings.Contains(out, "2 secrets: 1 damaged") {
		t.Errorf("%v: %s", err, out)
	}
	s = startServerIn(t, s.data, nil)
	a.server = s
	// If the encrypted value of a secret is damaged, only the runs that use this secret
	// may fail (attack 102).
	s.call(t, a, "POST", "/api/v1/execute", object{"code": "1"}).refused(t, 409, "secret_damaged")
	a.execute(t, object{"code": "import os\nprint('GOOD' in os.environ)", "secrets": []string{"GOOD"}}).prints(t, "True\n")
	a.storeSecret(t, "BAD", "anew")
	a.run(t, "import os\nprint(len(os.environ['BAD']))").prints(t, "4\n")
}

func TestKeysRotateNeedsDatabase(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"rotate", "verify"} {
		out, err := runBinary(t, "keys", command, "--data-dir="+t.TempDir())
		if err == nil || !strings.Contains(out, "does not exist") || !strings.Contains(out, "--data-dir") {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
}

func changeStoppedDatabase(t testing.TB, data, statement string) {
	t.Helper()
	db := must(sql.Open("sqlite", filepath.Join(data, "pyth-on.db")))(t)
	defer func() { _ = db.Close() }()
	if n := must(must(db.Exec(statement))(t).RowsAffected())(t); n == 0 {
		t.Fatalf("the statement %s changed no row", statement)
	}
}
