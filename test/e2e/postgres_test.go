package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
)

// TestPostgres runs tests of all parts of the API again, with a PostgreSQL database.
func TestPostgres(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"accounts":           TestLogoutEndsLogins,
		"execute":            TestExecuteReturnsAllFields,
		"restart":            TestServeKeepsAccountsAcrossRestarts,
		"rate limits":        TestLoginLimitsRate,
		"secrets":            TestSecretsReachOnlyRuns,
		"audit log":          TestAuditListsActionsOfAccount,
		"audit proofs":       TestAuditProofIsCheckedByExample,
		"audit retention":    TestAuditRetentionKeepsTree,
		"sessions":           TestSessionKeepsState,
		"packages":           TestPackagesReinstallFromLockfile,
		"encrypted programs": TestEncryptedProgramsRun,
	} {
		t.Run(name, test)
	}
}

func newCluster(t *testing.T) *postgrestest.Cluster {
	t.Helper()
	c := must(postgrestest.New())(t)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// startServers starts several servers that share one PostgreSQL database. All servers
// have the same root key.
func startServers(t *testing.T, n int, url string, flags ...string) []*server {
	t.Helper()
	key := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*server
	for range n {
		data := newDataDir(t)
		databases.set(data, url)
		all = append(all, startServerIn(t, data, nil, slices.Concat(flags, []string{"--root-key-file=" + key})...))
	}
	return all
}

// The method "on" returns a copy of the account. This copy sends its requests to the
// server s.
func (a *account) on(s *server) *account {
	other := *a
	other.server = s
	return &other
}

func TestServersShareOneDatabase(t *testing.T) {
	t.Parallel()
	x := newIndex(t).add(t, dependentWheels()...)
	servers := startServers(t, 2, must(sharedCluster())(t).Database(t), "--rate-limit=on", x.Flag())
	a := servers[0].register(t)
	b := a.on(servers[1])

	a.storeSecret(t, "TOKEN", "of both")
	b.execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, "of both\n")
	b.storeSecret(t, "TOKEN", "again")
	a.execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, "again\n")

	// If a user installs packages through one server, runs on the other server must use
	// these packages at once.
	show := "import base_lib\nprint(base_lib.VALUE)"
	a.setPackages(t, "base-lib==1.0")
	b.run(t, show).prints(t, "one\n")
	a.run(t, show).prints(t, "one\n")
	b.setPackages(t, "base-lib==2.0")
	a.run(t, show).prints(t, "two\n")
	a.setPackages(t)
	b.run(t, "import importlib.util as u\nprint(u.find_spec('base_lib'))").prints(t, "None\n")

	// Each server must return proofs for all audit log entries, even for entries of the
	// other server.
	entries := a.auditLog(t, "")
	if len(entries) < 10 {
		t.Errorf("%d entries", len(entries))
	}
	for _, e := range entries {
		for _, s := range servers {
			s.call(t, a, "GET", "/api/v1/audit/"+e.ID+"/proof", nil).want(t, 200, nil)
		}
	}
	requireWholeLog(t, servers[0])

	// The limit of ten login attempts per minute must apply to the two servers
	// together.
	refused := 0
	for i := range 20 {
		if servers[i%2].call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password + "x"}).status == 429 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("each server allowed ten attempts")
	}

	foreign := newDataDir(t)
	databases.set(foreign, must(databases.assign(servers[0].data))(t))
	if out := requireServeFails(t, foreign); !strings.Contains(out, "the root key") || !strings.Contains(out, "copy root.key") {
		t.Errorf("without the root key: %s", out)
	}
	wrong := filepath.Join(foreign, "root.key")
	if err := os.WriteFile(wrong, []byte(strings.Repeat("w", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := requireServeFails(t, foreign); !strings.Contains(out, "is not the root key") || !strings.Contains(out, "all servers of a database need the same root key") {
		t.Errorf("with another root key: %s", out)
	}
}

// rootKeyFlag returns the flag with the root key of the servers that startServers has
// started.
func (s *server) rootKeyFlag() string {
	for _, arg := range s.cmd.Args {
		if strings.HasPrefix(arg, "--root-key-file=") {
			return arg
		}
	}
	return ""
}

func requireWholeLog(t *testing.T, s *server) {
	t.Helper()
	if out, failed := runAudit(t, s.data, "verify", s.rootKeyFlag()); failed || !strings.HasPrefix(out, "intact: ") {
		t.Error(out)
	}
}

// TestServeHidesDatabasePassword searches the processes, logs and errors of servers for
// the database password.
func TestServeHidesDatabasePassword(t *testing.T) {
	t.Parallel()
	url := must(sharedCluster())(t).Database(t)
	s := startServers(t, 1, url)[0]
	s.register(t).run(t, "import os\nprint([k for k in os.environ if 'DATABASE' in k])").prints(t, "[]\n")
	hidden := []string{url, postgrestest.Password, "canary%3A"}
	for _, pid := range append(s.sandboxPIDs(), s.servingPid(), s.cmd.Process.Pid) {
		for _, file := range []string{"environ", "cmdline"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			requireHidden(t, string(b), hidden)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	}
	s.stop(t)
	requireHidden(t, s.log.String(), hidden)
	if !strings.Contains(s.log.String(), "database=postgres://") {
		t.Error("the log does not name the database")
	}
	for name, args := range map[string][]string{
		"flag":    {"serve", "--database=" + url, "--data-dir=" + t.TempDir()},
		"migrate": {"migrate", "--from=sqlite:" + s.data, "--to=" + url},
		"twice":   {"serve", "--database=" + url, "--database-file=/dev/null", "--data-dir=" + t.TempDir()},
		"faulty":  {"serve", "--database=" + strings.Replace(url, "canary", "canary:%zz@", 1), "--data-dir=" + t.TempDir()},
	} {
		out, err := runBinary(t, args...)
		if err == nil {
			t.Errorf("%s: the command succeeded", name)
		}
		requireHidden(t, out, hidden)
		if name == "flag" && !strings.Contains(out, "set PYTH_ON_DATABASE or --database-file") {
			t.Error(out)
		}
	}
}

func requireHidden(t *testing.T, text string, hidden []string) {
	t.Helper()
	for _, h := range hidden {
		if strings.Contains(text, h) {
			t.Errorf("%s is in %s", h, text)
		}
	}
}

// TestServeSurvivesRestartsOfPostgres crashes, stops and suspends PostgreSQL under
// load. No acknowledged write may be lost. The servers must work again without a
// restart.
func TestServeSurvivesRestartsOfPostgres(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	servers := startServers(t, 2, c.Database(t))
	const writers = 4
	stored := make([]map[string]int, writers)
	accounts := make([]*account, writers)
	requests := make([][]string, writers)
	for i := range writers {
		accounts[i], stored[i] = servers[i%2].register(t), map[string]int{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged, refused := 0, 0
	for i, a := range accounts {
		wg.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				s := servers[n%2]
				name := fmt.Sprintf("S%d", n%7)
				answer, err := s.tryCall(t.Context(), http.Header{"X-Api-Key": {a.APIKey}}, "PUT", "/api/v1/secrets/"+name, object{"value": fmt.Sprintf("value %d", n)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				switch answer.status {
				case 200, 201:
					acknowledged++
					stored[i][name] = n
					requests[i] = append(requests[i], answer.header.Get("X-Request-Id"))
				case 503:
					refused++
					stored[i][name] = -n
					if answer.header.Get("Retry-After") == "" {
						t.Errorf("no Retry-After: %s", answer.body)
					}
				default:
					t.Errorf("status %d: %s", answer.status, answer.body)
				}
				mu.Unlock()
			}
		})
	}
	counts := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return acknowledged, refused
	}
	// The function "progress" waits until a counter has grown by more than 5. The
	// parameter "of" is a function that returns the value of this counter: the number
	// of acknowledged or of refused writes.
	progress := func(what string, of func() int) {
		t.Helper()
		before := of()
		eventually(t, what, func() bool { return of() > before+5 })
	}
	accepted := func() int { n, _ := counts(); return n }
	failures := func() int { _, n := counts(); return n }
	for _, crash := range []bool{true, false, true} {
		progress("writes are acknowledged", accepted)
		c.Stop(crash)
		progress("writes are refused", failures)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	progress("writes are acknowledged after the restarts", accepted)
	if err := c.Suspend(); err != nil {
		t.Fatal(err)
	}
	// While the database is suspended, each request must end with an error when its
	// time-out has passed.
	before := failures()
	eventually(t, "a write is refused during the pause", func() bool { return failures() > before })
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	progress("writes are acknowledged after the pause", accepted)
	cancel()
	wg.Wait()
	requireAllStored(t, accounts, stored, requests)
	requireWholeLog(t, servers[0])
	t.Logf("%d writes acknowledged, %d refused", acknowledged, refused)
}

// TestMigrateMovesEverything moves the data of a server from SQLite to PostgreSQL.
func TestMigrateMovesEverything(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	a, b := s.register(t), s.register(t)
	a.storeSecret(t, "TOKEN", "kept")
	b.storeSecret(t, "TOKEN", "other")
	var key struct{ Key string }
	s.call(t, a, "POST", "/api/v1/keys", object{"name": "ci"}).want(t, 201, &key)
	a.run(t, "print(42)").prints(t, "42\n")
	entries := a.auditLog(t, "")
	kept := filepath.Join(t.TempDir(), "checkpoint")
	if out, failed := runAudit(t, data, "verify", "--save="+kept); failed {
		t.Fatal(out)
	}
	url := must(sharedCluster())(t).Database(t)
	migrate := func(from string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "migrate", "--from=sqlite:"+from, "--root-key-file="+filepath.Join(data, "root.key"))
		cmd.Env = append(os.Environ(), "PYTH_ON_DATABASE="+url)
		out, err := cmd.CombinedOutput()
		requireHidden(t, string(out), []string{url, postgrestest.Password})
		return string(out), err
	}
	if out, err := migrate(data); err == nil || !strings.Contains(out, "stop it first") {
		t.Errorf("while the server runs: %v: %s", err, out)
	}
	s.stop(t)
	if out, err := migrate(filepath.Join(data, "absent.db")); err == nil || !strings.Contains(out, "absent.db") {
		t.Errorf("without a database: %v: %s", err, out)
	}

	// Before the migration, the server must refuse to start with an empty PostgreSQL
	// database, because this database does not contain the accounts.
	databases.set(data, url)
	if out := requireServeFails(t, data); !strings.Contains(out, "pyth-on migrate --from sqlite:") {
		t.Errorf("before the migration: %s", out)
	}
	out, err := migrate(data)
	if err != nil || !strings.Contains(out, "The copy is complete and verified") || !strings.Contains(out, "The audit log is intact: ") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, table := range []string{"users", "api_keys", "secrets", "audit"} {
		if !strings.Contains(out, table) {
			t.Errorf("table %s is missing: %s", table, out)
		}
	}
	if out, err := migrate(filepath.Join(data, "pyth-on.db")); err == nil || !strings.Contains(out, "not empty") {
		t.Errorf("a second migration: %v: %s", err, out)
	}

	moved := startServerIn(t, data, nil)
	a.server, b.server = moved, moved
	requireSecretOf := func(a *account, value string) {
		t.Helper()
		a.execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, value+"\n")
	}
	requireSecretOf(a, "kept")
	requireSecretOf(b, "other")
	moved.callWithHeader(t, http.Header{"X-Api-Key": {key.Key}}, "GET", "/api/v1/secrets", nil).want(t, 200, nil)
	moved.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	for _, e := range entries {
		moved.call(t, a, "GET", "/api/v1/audit/"+e.ID+"/proof", nil).want(t, 200, nil)
	}
	if out, failed := runAudit(t, data, "verify", "--checkpoint="+kept); failed {
		t.Error(out)
	}
	if out, err := runBinary(t, "keys", "verify", "--data-dir="+data); err != nil || !strings.Contains(out, ": 0 damaged") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestKeysRotateOfSeveralServers rotates the root key that two running servers share.
func TestKeysRotateOfSeveralServers(t *testing.T) {
	t.Parallel()
	url := must(sharedCluster())(t).Database(t)
	servers := startServers(t, 2, url)
	a := servers[0].register(t)
	a.storeSecret(t, "TOKEN", "kept")
	file := strings.TrimPrefix(servers[0].rootKeyFlag(), "--root-key-file=")
	rotate := func() (string, error) {
		return runBinary(t, "keys", "rotate", "--data-dir="+servers[0].data, "--root-key-file="+file)
	}
	if out, err := rotate(); err == nil || !strings.Contains(out, "give the new root key to all servers") {
		t.Errorf("with one root key: %v: %s", err, out)
	}
	before, next := strings.Repeat("k", 32), strings.Repeat("n", 32)
	for _, keys := range []string{before + next, next + before} {
		if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, s := range servers {
			s.register(t).storeSecret(t, "TOKEN", base64.StdEncoding.EncodeToString([]byte(keys)))
		}
	}
	if out, err := rotate(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for _, s := range servers {
		a.on(s).execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, "kept\n")
		s.register(t)
	}
	if got := must(os.ReadFile(file))(t); string(got) != next {
		t.Errorf("the file contains %q", got)
	}
}
