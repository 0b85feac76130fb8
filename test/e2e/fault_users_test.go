package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// runUsersCreate runs `pyth-on users create` with the password on standard input. The
// result "ok" is true if the command succeeds.
func runUsersCreate(t *testing.T, password string, args ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"users", "create"}, args...)...)
	cmd.Stdin = strings.NewReader(password)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if strings.Contains(out.String()+errs.String(), strings.TrimSpace(password)) && password != "" {
		t.Errorf("the password is shown: %s%s", &out, &errs)
	}
	return out.String(), errs.String(), err == nil
}

type createdUser struct{ ID, Email, CreatedAt, APIKey string }

// requireCreatedAccountWorks checks that the user of a new account can log in and run
// programs. The audit log must show that the command `users create` has created the
// account.
func (s *server) requireCreatedAccountWorks(t *testing.T, c createdUser, password string) {
	t.Helper()
	a := &account{server: s, email: c.Email, authResponse: authResponse{APIKey: c.APIKey}}
	a.run(t, "print(42)").prints(t, "42\n")
	var login authResponse
	s.call(t, nil, "POST", "/api/login", object{"email": c.Email, "password": password}).want(t, 200, &login)
	if login.APIKey != c.APIKey || login.User.ID != c.ID {
		t.Errorf("%+v differs from %+v", login, c)
	}
	var audit struct {
		Entries []struct{ Action, Outcome, UserAgent string }
	}
	s.call(t, a, "GET", "/api/v1/audit?action=user.registered", nil).want(t, 200, &audit)
	if len(audit.Entries) != 1 || audit.Entries[0].Outcome != "success" || audit.Entries[0].UserAgent != "pyth-on users create" {
		t.Errorf("%+v", audit)
	}
}

func TestUsersCreateWithAndWithoutServer(t *testing.T) {
	t.Parallel()
	// The path of this data directory is too long for the address of a Unix socket.
	data := filepath.Join(newDataDir(t), strings.Repeat("long", 20), strings.Repeat("path", 20))
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := linkImages(data); err != nil {
		t.Fatal(err)
	}
	create := func(email, password string) (c createdUser) {
		t.Helper()
		out, errs, ok := runUsersCreate(t, password+"\n", email, "--json", "--data-dir="+data)
		if err := json.Unmarshal([]byte(out), &c); err != nil || !ok || errs != "" {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		if !strings.HasPrefix(c.APIKey, "pyapi_") || !strings.HasPrefix(c.ID, "usr_") || c.CreatedAt == "" {
			t.Errorf("%+v", c)
		}
		return c
	}
	// Create an account before the server starts for the first time.
	first := create("first@example.org", "pässwörd of the first")
	s := startServerIn(t, data, nil, "--registration=closed")
	if strings.Contains(s.log.String(), "nobody can use this server") {
		t.Errorf("the log says that there is no account: %s", s.log)
	}
	s.requireCreatedAccountWorks(t, first, "pässwörd of the first")
	// Create several accounts in parallel. At the same time, the server runs and writes
	// to the audit log.
	all := make([]createdUser, 4)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = create(fmt.Sprintf("U%d@EXAMPLE.org", i), "a password of some length") })
	}
	owner := &account{server: s, authResponse: authResponse{APIKey: first.APIKey}}
	for range 5 {
		owner.run(t, "print(1)").prints(t, "1\n")
	}
	wg.Wait()
	for i, c := range all {
		if c.Email != fmt.Sprintf("U%d@example.org", i) {
			t.Errorf("the e-mail is %s", c.Email)
		}
		s.requireCreatedAccountWorks(t, c, "a password of some length")
	}
	s.call(t, nil, "POST", "/api/register", object{"email": "x@example.org", "password": password}).refused(t, 403, "registration_closed")
	if log := s.log.String(); strings.Contains(log, "a password of some length") || strings.Contains(log, all[0].APIKey) {
		t.Error("the log contains a password or a key")
	}
	// A killed server cannot remove its socket. The command and the next server must
	// still work.
	s.kill(t)
	last := create("last@example.org", "password of the last")
	s = startServerIn(t, data, nil, "--registration=closed")
	s.requireCreatedAccountWorks(t, last, "password of the last")
	s.requireCreatedAccountWorks(t, first, "pässwörd of the first")
	s.stop(t)
	if out, err := runBinary(t, "audit", "verify", "--data-dir="+data); err != nil || !strings.Contains(out, "intact") {
		t.Errorf("%v: %s", err, out)
	}
	if exists(filepath.Join(data, "control.sock")) {
		t.Error("the socket still exists")
	}
}

func TestUsersCreateRefusesInvalidAccounts(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--registration=closed")
	if !strings.Contains(s.log.String(), "nobody can use this server") || !strings.Contains(s.log.String(), "pyth-on users create EMAIL --admin --data-dir="+s.data) {
		t.Errorf("the log does not say what to do: %s", s.log)
	}
	stopped := t.TempDir()
	for _, data := range []string{s.data, stopped} {
		if out, errs, ok := runUsersCreate(t, "correct horse battery\r\n", "taken@example.org", "--data-dir="+data); !ok || !strings.Contains(out, "taken@example.org (usr_") || !strings.Contains(out, "API key: pyapi_") {
			t.Errorf("%s%s", out, errs)
		}
		for name, c := range map[string]struct{ email, password, says string }{
			"taken":               {"TAKEN@example.org", "correct horse battery", "already"},
			"no address":          {"nobody", "correct horse battery", "email"},
			"a short password":    {"b@example.org", "short", "password"},
			"a common password":   {"b@example.org", "password123", "password"},
			"the e-mail address":  {"bbbbbb@example.org", "bbbbbb@example.org", "password"},
			"no password at all":  {"b@example.org", "", "password is empty"},
			"an address with TAB": {"a\tb@example.org", "correct horse battery", "email"},
		} {
			out, errs, ok := runUsersCreate(t, c.password, c.email, "--json", "--data-dir="+data)
			if ok || out != "" || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: %s%s", name, out, errs)
			}
		}
	}
	if out, errs, ok := runUsersCreate(t, "", "b@example.org", "a password of some length", "--data-dir="+stopped); ok {
		t.Errorf("%s%s", out, errs)
	}
	// If registration is closed but an account exists, the server must not log that
	// accounts are missing.
	s.stop(t)
	if again := startServerIn(t, s.data, nil, "--registration=closed"); strings.Contains(again.log.String(), "nobody can use") {
		t.Errorf("%s", again.log)
	}
}

// TestUsersCreateForServerOfOrdinaryUser creates accounts for a server that runs in a
// user namespace. The command runs outside this namespace.
func TestUsersCreateForServerOfOrdinaryUser(t *testing.T) {
	t.Parallel()
	attr, data := ordinaryUser(t)
	s := startServerIn(t, data, attr, "--registration=closed")
	for name, as := range map[string]*syscall.SysProcAttr{"its user": attr, "root": nil} {
		cmd := exec.CommandContext(t.Context(), binary, "users", "create", strings.ReplaceAll(name, " ", "")+"@example.org", "--json", "--data-dir="+data)
		cmd.SysProcAttr, cmd.Stdin = as, strings.NewReader("correct horse battery\n")
		out := must(cmd.Output())(t)
		var c createdUser
		if err := json.Unmarshal(out, &c); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s.requireCreatedAccountWorks(t, c, "correct horse battery")
	}
	s.stop(t)
	if os.Getuid() == 0 {
		// The server of an ordinary user is stopped. Now root must not be able to
		// create an account. The new files would belong to root, and the server could
		// not use them.
		if out, errs, ok := runUsersCreate(t, "correct horse battery", "late@example.org", "--data-dir="+data); ok || !strings.Contains(errs, "run the command as this user") {
			t.Errorf("%s%s", out, errs)
		}
	}
}

// TestUsersCreatePromptsOnTerminal checks the password prompt. The command must ask
// twice for the password, and the terminal must not show the password.
func TestUsersCreatePromptsOnTerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed []string
		ok    bool
		says  string
	}{
		"equal passwords":     {[]string{"correct horse battery", "correct horse battery"}, true, "API key"},
		"different passwords": {[]string{"correct horse battery", "correct horse batterx"}, false, "the two passwords differ"},
	} {
		terminal, device := pseudoTerminal(t)
		cmd := exec.CommandContext(t.Context(), binary, "users", "create", "a@example.org", "--data-dir="+t.TempDir())
		cmd.Stdin, cmd.Stdout, cmd.Stderr = device, device, device
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = device.Close()
		var shown strings.Builder
		read := make(chan struct{})
		asked := make(chan struct{}, 8)
		go func() {
			defer close(read)
			b := make([]byte, 4096)
			for {
				n, err := terminal.Read(b)
				shown.Write(b[:n])
				for range strings.Count(string(b[:n]), ": ") {
					select {
					case asked <- struct{}{}:
					default:
					}
				}
				if err != nil {
					return
				}
			}
		}()
		for _, line := range c.typed {
			<-asked
			must(terminal.WriteString(line + "\n"))(t)
		}
		err := cmd.Wait()
		<-read
		if (err == nil) != c.ok || !strings.Contains(shown.String(), c.says) || strings.Contains(shown.String(), "horse") {
			t.Errorf("%s: %v: %q", name, err, shown.String())
		}
	}
}

// pseudoTerminal opens a pseudo-terminal. The command uses the result "device". The
// test types into the result "terminal" and reads from it.
func pseudoTerminal(t *testing.T) (terminal, device *os.File) {
	t.Helper()
	terminal = must(os.OpenFile("/dev/ptmx", os.O_RDWR, 0))(t)
	t.Cleanup(func() { _ = terminal.Close() })
	if err := unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number := must(unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPTN))(t)
	return terminal, must(os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0))(t)
}

// TestUsersCreateSocketIsPrivate checks that only the server's user can enter the
// directory that contains the control socket.
func TestUsersCreateSocketIsPrivate(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	if info := must(os.Stat(s.data))(t); info.Mode().Perm() != 0o700 {
		t.Errorf("%v", info.Mode())
	}
	if info := must(os.Stat(filepath.Join(s.data, "control.sock")))(t); info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Errorf("%v", info.Mode())
	}
	// Only the control socket has an operation that creates users without credentials.
	// Over the network, its path must not exist.
	s.callWithHeader(t, http.Header{}, "POST", "/users", object{"email": "x@example.org", "password": password}).refused(t, 404, "not_found")
}
