package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite/sqlitetest"
)

func newTestBackups(t *testing.T, keep int) *backups {
	t.Helper()
	store, v := sqlitetest.Open(t, filepath.Join(t.TempDir(), "db"), "usr_ada")
	seed, err := log.Seed(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	l, err := log.Open(t.Context(), log.Config{Store: store, Seed: seed, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	config := BackupConfig{BackupDir: filepath.Join(t.TempDir(), "backups"), BackupInterval: 24 * time.Hour, BackupKeep: keep}
	return newBackups(config, t.TempDir(), store, v.Keeper(), "v1", slog.New(slog.DiscardHandler))
}

// place creates empty backup files with the names for the given times.
func (b *backups) place(t *testing.T, times ...time.Time) {
	t.Helper()
	if err := os.MkdirAll(b.config.BackupDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, at := range times {
		if err := os.WriteFile(filepath.Join(b.config.BackupDir, at.UTC().Format(backupName)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttack109BackupsSurviveAClockJump(t *testing.T) {
	at := time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		existing []time.Time
		want     bool
	}{
		"no backup":                          {nil, true},
		"a fresh backup":                     {[]time.Time{at.Add(-day / 2)}, false},
		"an old backup":                      {[]time.Time{at.Add(-day)}, true},
		"only a backup of tomorrow":          {[]time.Time{at.Add(day)}, true},
		"backups of today and of tomorrow":   {[]time.Time{at.Add(-time.Hour), at.Add(day)}, false},
		"backups of last week and tomorrow":  {[]time.Time{at.Add(-7 * day), at.Add(day)}, true},
		"a backup of this very second":       {[]time.Time{at}, false},
		"a backup of a second in the future": {[]time.Time{at.Add(time.Second)}, true},
	} {
		b := newTestBackups(t, 7)
		b.place(t, c.existing...)
		if got := b.due(at); got != c.want {
			t.Errorf("%s: due is %v", name, got)
		}
	}
	b := newTestBackups(t, 7)
	for jump, want := range map[time.Duration]bool{0: false, time.Minute: false, backupRetry: true, day: true, -day: true} {
		b.failed = at
		if got := b.due(at.Add(jump)); got != want {
			t.Errorf("%v after a failure: due is %v", jump, got)
		}
	}
}

func TestBackupsKeepTheNewest(t *testing.T) {
	b := newTestBackups(t, 2)
	b.place(t, time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0))
	other := filepath.Join(b.config.BackupDir, "notes.tar")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.attempt(t.Context())
	if b.err != nil {
		t.Fatal(b.err)
	}
	existing, err := b.existing()
	if err != nil || len(existing) != 2 || !existing[0].Equal(time.Unix(3, 0)) {
		t.Errorf("%v, %v", existing, err)
	}
	m, err := backup.Verify(t.Context(), filepath.Join(b.config.BackupDir, existing[1].Format(backupName)), func(string, int64, int64) {})
	if err != nil || m.Rows["users"] != 1 || len(m.RootKeys) != 1 || m.HasRootKey() {
		t.Errorf("%+v, %v", m, err)
	}
	if last := b.LastBackup(); now().Sub(last) > time.Hour {
		t.Errorf("the last backup was made at %v", last)
	}
	if check := b.health(t.Context()); check.Status != pyth.CheckOK {
		t.Errorf("%+v", check)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a foreign file was removed")
	}
}

func TestBackupsReportFailure(t *testing.T) {
	b := newTestBackups(t, 2)
	if err := os.WriteFile(b.config.BackupDir, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.attempt(t.Context())
	if check := b.health(t.Context()); check.Status != pyth.CheckDegraded || b.due(now()) {
		t.Errorf("%+v, due %v", check, b.due(now()))
	}
	if err := os.Remove(b.config.BackupDir); err != nil {
		t.Fatal(err)
	}
	b.attempt(t.Context())
	if check := b.health(t.Context()); check.Status != pyth.CheckOK {
		t.Errorf("%+v", check)
	}
}

func TestBackupWithWrongRootKeyLeavesNothing(t *testing.T) {
	b := newTestBackups(t, 2)
	other, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	b.backup.Keeper = other
	// The name of this directory would be an invalid pattern for filepath.Glob.
	dir := filepath.Join(t.TempDir(), "[backups")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// This directory simulates the remains of a killed process.
	if err := os.Mkdir(filepath.Join(dir, BackupPrefix+"left"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "backup.tar")
	if err := os.WriteFile(path, []byte("the last good backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.backup.Write(t.Context(), path); err == nil || errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "the last good backup" {
		t.Errorf("%s, %v", content, err)
	}
}
