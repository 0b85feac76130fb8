package audit

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
)

// Backups returns a service that passes all calls to "next" and records in the log which
// administrators received a backup. The entry is durable before the administrator
// receives the first byte.
func Backups(next pyth.BackupService, log Recorder) pyth.BackupService {
	return &backups{next, log}
}

type backups struct {
	pyth.BackupService
	log Recorder
}

func (b *backups) MakeBackup(ctx context.Context, actor pyth.UserID) (*pyth.BackupFile, error) {
	file, err := b.BackupService.MakeBackup(ctx, actor)
	details := map[string]any{}
	if err == nil {
		details["sizeBytes"] = file.SizeBytes
	}
	if failed := recordAdmin(ctx, b.log, pyth.ActionBackupMade, actor, "", "", details, err); failed != nil {
		if err == nil {
			failed = errors.Join(failed, file.Close())
		}
		return nil, failed
	}
	return file, nil
}
