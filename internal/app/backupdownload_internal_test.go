package app

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

func TestBackupDownloadsLeaveNoFiles(t *testing.T) {
	b := newTestBackups(t, 2)
	d := &backupDownloads{backup: &b.backup, dataDir: b.dataDir, logger: slog.New(slog.DiscardHandler)}
	requireFiles := func(want ...string) {
		t.Helper()
		entries, err := os.ReadDir(d.dataDir)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != strings.Join(want, " ") {
			t.Errorf("the data directory contains %s", got)
		}
	}
	download := func() *pyth.BackupFile {
		t.Helper()
		file, err := d.MakeBackup(t.Context(), "usr_ada")
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	first := download()
	requireFiles() // The file is open, but has no name.
	if _, err := d.MakeBackup(t.Context(), "usr_ada"); pyth.ErrorCode(err) != pyth.CodeConflict {
		t.Errorf("a second backup: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	requireFiles() // Nobody has read the backup, so the server has not stored its time.

	second := download()
	if n, err := io.Copy(io.Discard, second); n != second.SizeBytes || err != nil {
		t.Errorf("read %d of %d bytes, %v", n, second.SizeBytes, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	requireFiles(LastBackupName)

	other, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	right := d.backup.Keeper
	d.backup.Keeper = other
	if _, err := d.MakeBackup(t.Context(), "usr_ada"); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("with a wrong root key: %v", err)
	}
	requireFiles(LastBackupName)
	d.backup.Keeper = right
	if err := download().Close(); err != nil {
		t.Error(err)
	}
}

func TestRemoveAbandoned(t *testing.T) {
	dir := t.TempDir()
	used, remove, err := temporaryDirectory(dir, BackupPrefix)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, BackupPrefix+"left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := removeAbandoned(dir, BackupPrefix); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("an abandoned directory remains: %v", err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("a directory in use was removed: %v", err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
}
