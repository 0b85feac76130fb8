package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// backupFrom runs `pyth-on backup` for the server with the API key of the account.
func backupFrom(t *testing.T, as *account, file string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"backup", file, "--server=" + as.server.URL}, args...)...)
	cmd.Env = append(os.Environ(), "PYTH_ON_API_KEY="+as.APIKey)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestBackupOverTheAPI(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	admin, user := s.createAdmin(t), s.register(t)
	user.storeSecret(t, "TOKEN", "canary of the secret")
	dir := t.TempDir()
	file := filepath.Join(dir, "backup.tar")

	// Only administrators can read backups.
	if out, err := backupFrom(t, user, file); err == nil || !strings.Contains(out, "missing_scope") || !strings.Contains(out, "no backup was made") {
		t.Errorf("a user: %v, %s", err, out)
	}
	if out, err := backupFrom(t, admin, file, "--with-root-key"); err == nil || !strings.Contains(out, "--with-root-key does not work with --server") {
		t.Errorf("with the root key: %v, %s", err, out)
	}
	out, err := backupFrom(t, admin, file)
	if err != nil || !strings.Contains(out, "backup.tar: 2 accounts, ") || !strings.Contains(out, "does not contain the root key") {
		t.Fatalf("%v: %s", err, out)
	}
	info := must(os.Stat(file))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v", info.Mode())
	}
	content := string(must(os.ReadFile(file))(t))
	key := string(must(os.ReadFile(filepath.Join(s.data, "root.key")))(t))
	if strings.Contains(content, key) || strings.Contains(content, "canary of the secret") {
		t.Error("the backup contains the root key or a secret")
	}
	if out, err := backupFrom(t, admin, file); err == nil || !strings.Contains(out, "exists; choose another name") {
		t.Errorf("an existing file: %v, %s", err, out)
	}
	for _, path := range []string{dir, s.data} {
		for _, e := range must(os.ReadDir(path))(t) {
			if strings.HasPrefix(e.Name(), ".pyth-on-backup-") {
				t.Errorf("%s is left in %s", e.Name(), path)
			}
		}
	}
	if audit := string(s.call(t, admin, "GET", "/api/v1/audit?action=backup.made", nil).want(t, 200, nil).body); !strings.Contains(audit, "sizeBytes") {
		t.Errorf("the audit log has no entry: %s", audit)
	}
	if overview := string(s.call(t, admin, "GET", "/api/v1/admin/overview", nil).want(t, 200, nil).body); !strings.Contains(overview, "lastBackupAt") {
		t.Errorf("the overview has no backup: %s", overview)
	}

	// A restored server has the accounts and the secrets.
	restored := filepath.Join(dir, "restored")
	if err := os.Mkdir(restored, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(restored, "root.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, exec.CommandContext(t.Context(), binary, "restore", file, "--data-dir="+restored))
	s.stop(t)
	second, err := launch(restored, nil, "--backup-download=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.stop(t) })
	user.on(second).execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, "canary of the secret\n")
	second.call(t, admin, "GET", "/api/v1/admin/backup", nil).refused(t, 400, "not_implemented")
}
