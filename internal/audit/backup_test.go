package audit_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit"
)

// backupService is a fake pyth.BackupService that counts open backups.
type backupService struct {
	open int
	err  error
}

func (b *backupService) Close() error { b.open--; return nil }

func (b *backupService) MakeBackup(context.Context, pyth.UserID) (*pyth.BackupFile, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.open++
	return &pyth.BackupFile{ReadCloser: struct {
		io.Reader
		io.Closer
	}{strings.NewReader("tar"), b}, Name: "backup.tar", SizeBytes: 3}, nil
}

// TestBackupsNeedAnEntry checks that nobody receives a backup if the log cannot write the
// entry for it.
func TestBackupsNeedAnEntry(t *testing.T) {
	log, next := new(recorder), new(backupService)
	b := audit.Backups(next, log)
	log.err = errors.New("the disk is full")
	if file, err := b.MakeBackup(t.Context(), "usr_ada"); file != nil || err == nil || next.open != 0 {
		t.Errorf("without an entry: got %v, %v; %d backups are open", file, err, next.open)
	}
	log.err, next.err = nil, pyth.Errorf(pyth.CodeConflict, "another backup")
	if file, err := b.MakeBackup(t.Context(), "usr_ada"); file != nil || pyth.ErrorCode(err) != pyth.CodeConflict {
		t.Errorf("after a failure: got %v, %v", file, err)
	}
	next.err = nil
	file, err := b.MakeBackup(t.Context(), "usr_ada")
	if err != nil || file == nil || next.open != 1 || len(log.events) != 2 {
		t.Fatalf("got %v, %v and the entries %+v", file, err, log.events)
	}
	if e := log.events[1]; e.User != "usr_ada" || e.Action != pyth.ActionBackupMade || e.Outcome != pyth.AuditSuccess || e.Details["sizeBytes"] != int64(3) {
		t.Errorf("got %+v", e)
	}
}
