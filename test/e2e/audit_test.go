package e2e_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

type auditEntry struct {
	ID                                             string
	Sequence                                       int
	Action, Resource, Outcome, IP, UserAgent, Hash string
	Actor                                          struct{ UserID, Credential, KeyPrefix string }
	RequestID                                      string
	Details                                        map[string]any
}

// auditLog returns the entries of the account's audit log that match the query. The
// newest entry is first.
func (a *account) auditLog(t testing.TB, query string) (entries []auditEntry) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Entries    []auditEntry
			NextCursor string
		}
		a.server.call(t, a, "GET", "/api/v1/audit?"+query+"&cursor="+url.QueryEscape(cursor), nil).want(t, 200, &page)
		entries = append(entries, page.Entries...)
		if cursor = page.NextCursor; cursor == "" {
			return entries
		}
	}
}

func TestAuditListsActionsOfAccount(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, b := s.register(t), s.register(t)
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password + "x"}).refused(t, 401, "invalid_credentials")
	var key struct{ ID string }
	s.call(t, a, "POST", "/api/v1/keys", object{"name": "ci"}).want(t, 201, &key)
	s.call(t, b, "DELETE", "/api/v1/keys/"+key.ID, nil).refused(t, 404, "not_found")
	s.call(t, a, "DELETE", "/api/v1/keys/"+key.ID, nil).want(t, 204, nil)
	header := http.Header{"X-Api-Key": {a.APIKey}, "User-Agent": {"e2e"}, "X-Request-Id": {"of-the-run"}}
	s.callWithHeader(t, header, "POST", "/api/v1/execute", object{"code": "exit(3)"}).want(t, 200, nil)
	s.call(t, a, "POST", "/api/v1/execute", object{"code": "1", "sessionId": "ses_of_another"}).refused(t, 404, "not_found")

	var got []string
	entries := a.auditLog(t, "limit=2")
	for _, e := range entries {
		if e.Actor.UserID != a.User.ID || e.IP != "127.0.0.1" {
			t.Errorf("%+v", e)
		}
		got = append(got, e.Action+" "+e.Outcome)
	}
	want := "code.executed denied, code.executed success, key.revoked success, key.created success, user.login denied, user.registered success"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %q", got)
	}
	run := entries[1]
	if d := run.Details; d["status"] != "failed" || d["exitCode"] != 3.0 || d["language"] != "python" || len(fmt.Sprint(d["codeSha256"])) != 64 ||
		run.UserAgent != "e2e" || run.RequestID != "of-the-run" || run.Actor.Credential != "api_key" || run.Actor.KeyPrefix != a.APIKey[:10] {
		t.Errorf("%+v", run)
	}
	for _, e := range b.auditLog(t, "outcome=denied") {
		if e.Action != "key.revoked" || e.Resource != key.ID {
			t.Errorf("%+v", e)
		}
	}
	if n := len(b.auditLog(t, "")); n != 2 {
		t.Errorf("the other account has %d entries", n)
	}
}

// TestAuditProofIsCheckedByExample verifies the proof of an audit log entry with the
// program examples/audit-proof.
func TestAuditProofIsCheckedByExample(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	for i := range 5 {
		s.call(t, a, "POST", "/api/v1/keys", object{"name": fmt.Sprint(i)}).want(t, 201, nil)
	}
	checker := filepath.Join(t.TempDir(), "audit-proof")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", checker, "../../examples/audit-proof").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key := strings.TrimSpace(must(runBinary(t, "audit", "key", "--data-dir="+s.data))(t))
	check := func(proof []byte, key string) (string, error) {
		cmd := exec.CommandContext(t.Context(), checker, key)
		cmd.Stdin = bytes.NewReader(proof)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, e := range a.auditLog(t, "") {
		proof := s.call(t, a, "GET", "/api/v1/audit/"+e.ID+"/proof", nil).want(t, 200, nil).body
		if out, err := check(proof, key); err != nil || !strings.Contains(out, e.ID) {
			t.Errorf("%v: %s", err, out)
		}
		var p map[string]any
		if err := json.Unmarshal(proof, &p); err != nil {
			t.Fatal(err)
		}
		for name, forge := range map[string]func(){
			"record":     func() { p["record"] = "e30=" },
			"index":      func() { p["index"] = p["index"].(float64) + 1 },
			"treeSize":   func() { p["treeSize"] = p["treeSize"].(float64) + 1 },
			"hashes":     func() { p["hashes"] = p["hashes"].([]any)[1:] },
			"checkpoint": func() { p["checkpoint"] = strings.Replace(p["checkpoint"].(string), "\n6\n", "\n7\n", 1) },
		} {
			if err := json.Unmarshal(proof, &p); err != nil {
				t.Fatal(err)
			}
			forge()
			if out, err := check(must(json.Marshal(p))(t), key); err == nil {
				t.Errorf("with another %s: %s", name, out)
			}
		}
		if out, err := check(proof, "pyth-on+001230cf+AWyyl/jFL7Lv5ktS+SuyGoxUAgYeezZcQgbV8rnHdMMp"); err == nil {
			t.Errorf("with another key: %s", out)
		}
	}
}

// runAudit runs `pyth-on audit` on a data directory and returns the output. The result
// "failed" is true if the exit code is 1.
func runAudit(t *testing.T, data string, args ...string) (out string, failed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"audit", args[0], "--data-dir=" + data}, args[1:]...)...)
	cmd.Env = databases.environ(data)
	b, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code > 1 || err != nil && code != 1 || bytes.Contains(b, []byte("goroutine")) {
		t.Fatalf("%v: %s", err, b)
	}
	return string(b), err != nil
}

func TestAuditVerifyAndExportWhileServing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	kept := filepath.Join(t.TempDir(), "checkpoint")
	if out, failed := runAudit(t, s.data, "verify", "--save="+kept); failed || !strings.HasPrefix(out, "intact: 1 entries, 0 of them pruned, root ") {
		t.Errorf("%s", out)
	}
	a.run(t, "print(42)")
	key := strings.TrimSpace(must(runBinary(t, "audit", "key", "--data-dir="+s.data))(t))
	if out, failed := runAudit(t, s.data, "verify", "--checkpoint="+kept, "--save="+kept, "--key="+key); failed || !strings.HasPrefix(out, "intact: 2 entries") {
		t.Errorf("%s", out)
	}
	var checkpoint struct{ Checkpoint, Key string }
	s.call(t, a, "GET", "/api/v1/audit/checkpoint", nil).want(t, 200, &checkpoint)
	if saved := must(os.ReadFile(kept))(t); string(saved) != checkpoint.Checkpoint || checkpoint.Key != key {
		t.Errorf("saved %s with key %s, but the API returned %+v", saved, key, checkpoint)
	}
	if out, failed := runAudit(t, s.data, "export"); failed || strings.Count(out, "\n") != 2 || !json.Valid([]byte(strings.SplitAfter(out, "\n")[1])) {
		t.Errorf("%s", out)
	}
	if out, _ := runAudit(t, s.data, "export", "--action=code.executed", "--user="+a.User.ID, "--outcome=success", "--since=2020-01-01T00:00:00Z"); strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
	if out, _ := runAudit(t, s.data, "export", "--until=2020-01-01T00:00:00Z"); out != "" {
		t.Errorf("%s", out)
	}
	s.stop(t)
	if out, failed := runAudit(t, s.data, "verify", "--checkpoint="+kept); failed {
		t.Errorf("after the server has ended: %s", out)
	}
	if out, failed := runAudit(t, t.TempDir(), "verify", "--key="+key); !failed || !strings.Contains(out, "does not exist") {
		t.Errorf("without a database: %s", out)
	}
	lone := t.TempDir()
	if err := os.WriteFile(filepath.Join(lone, "pyth-on.db"), must(os.ReadFile(filepath.Join(s.data, "pyth-on.db")))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, failed := runAudit(t, lone, "verify"); !failed || !strings.Contains(out, "--root-key-file") {
		t.Errorf("without a key: %s", out)
	}
}

func TestAuditRetentionKeepsTree(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	s.register(t)
	s.stop(t)
	kept := filepath.Join(t.TempDir(), "checkpoint")
	runAudit(t, data, "verify", "--save="+kept)
	s = startServerIn(t, data, nil, "--audit-retention=1ns")
	eventually(t, "the entry is pruned", func() bool { return strings.Contains(s.log.String(), "audit log pruned") })
	if out, failed := runAudit(t, data, "verify", "--checkpoint="+kept); failed || !strings.HasPrefix(out, "intact: 2 entries, 1 of them pruned") {
		t.Errorf("%s", out)
	}
	if out, _ := runAudit(t, data, "export"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"action":"audit.pruned"`) {
		t.Errorf("%s", out)
	}
}

// TestAttack104AuditDetectsChangedDatabase changes audit log entries in the
// database. `pyth-on audit verify` must report each change.
func TestAttack104AuditDetectsChangedDatabase(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	a := s.register(t)
	for i := range 4 {
		s.call(t, a, "POST", "/api/v1/keys", object{"name": fmt.Sprint("key", i)}).want(t, 201, nil)
	}
	kept := filepath.Join(t.TempDir(), "checkpoint")
	if out, failed := runAudit(t, data, "verify", "--save="+kept); failed {
		t.Fatal(out)
	}
	for i := range 2 {
		s.call(t, a, "POST", "/api/v1/keys", object{"name": fmt.Sprint("more", i)}).want(t, 201, nil)
	}
	s.stop(t)
	// Simulate an attacker who knows the signing key. A second server with the same key
	// writes a complete new audit log.
	forged := newDataDir(t)
	if err := os.WriteFile(filepath.Join(forged, "root.key"), must(os.ReadFile(filepath.Join(data, "root.key")))(t), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startServerIn(t, forged, nil, "--new-database")
	f.stop(t)
	changeStoppedDatabase(t, forged, `ATTACH '`+filepath.Join(data, "pyth-on.db")+`' AS real; DELETE FROM audit; DELETE FROM audit_checkpoint; DELETE FROM server_keys;`+
		`INSERT INTO server_keys SELECT * FROM real.server_keys`)
	f = startServerIn(t, forged, nil)
	b := f.register(t)
	for i := range 6 {
		f.call(t, b, "POST", "/api/v1/keys", object{"name": fmt.Sprint("key", i)}).want(t, 201, nil)
	}
	f.stop(t)

	rewrite := `ATTACH '` + filepath.Join(forged, "pyth-on.db") + `' AS forged; DELETE FROM audit; INSERT INTO audit SELECT * FROM forged.audit;`
	for _, c := range []struct{ name, sql, says, keptSays string }{
		{"edit", `UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), 'key1', 'keyX') AS BLOB) WHERE sequence = 2`, "entry 2 was changed", "the first 5 entries differ from the entries that the earlier checkpoint covers"},
		{"remove", `DELETE FROM audit WHERE sequence = 2`, "entry 2 is missing", "entry 2 is missing"},
		{"reorder", `UPDATE audit SET sequence = -1 WHERE sequence = 2; UPDATE audit SET sequence = 2 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = -1`, "entry 2 was replaced", "the first 5 entries"},
		{"truncate", `DELETE FROM audit WHERE sequence >= 4`, "the last 3 entries are missing", "the last 1 entries are missing: the earlier checkpoint covers 5"},
		{"rewrite_all", rewrite, "differ from the entries that the stored checkpoint covers", "the first 5 entries"},
		{"rewrite_all_with_the_key", rewrite + `DELETE FROM audit_checkpoint; INSERT INTO audit_checkpoint SELECT * FROM forged.audit_checkpoint`, "", "the first 5 entries differ from the entries that the earlier checkpoint covers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := newDataDir(t)
			for _, name := range []string{"pyth-on.db", "root.key"} {
				if err := os.WriteFile(filepath.Join(copied, name), must(os.ReadFile(filepath.Join(data, name)))(t), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db := must(sql.Open("sqlite", filepath.Join(copied, "pyth-on.db")))(t)
			_, err := db.ExecContext(t.Context(), c.sql)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if out, failed := runAudit(t, copied, "verify"); failed != (c.says != "") || !strings.Contains(out, c.says) {
				t.Errorf("without a checkpoint: %s", out)
			}
			saved := filepath.Join(t.TempDir(), "saved")
			if out, failed := runAudit(t, copied, "verify", "--checkpoint="+kept, "--save="+saved); !failed || !strings.Contains(out, c.keptSays) {
				t.Errorf("with a checkpoint: %s", out)
			}
			if _, err := os.Stat(saved); err == nil {
				t.Error("a checkpoint of an incomplete log was saved")
			}
		})
	}
	t.Run("a_server_does_not_continue_from_it", func(t *testing.T) {
		db := must(sql.Open("sqlite", filepath.Join(data, "pyth-on.db")))(t)
		_, err := db.ExecContext(t.Context(), "DELETE FROM audit WHERE sequence >= 4")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if out := requireServeFails(t, data); !strings.Contains(out, "pyth-on audit verify") {
			t.Errorf("%s", out)
		}
	})
}
