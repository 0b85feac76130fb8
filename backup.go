package pyth

import (
	"context"
	"io"
)

// BackupFile is a complete and verified backup without the root key. The caller closes
// it.
type BackupFile struct {
	io.ReadCloser
	// Name is the suggested file name.
	Name string
	// SizeBytes is the size of the file.
	SizeBytes int64
}

// BackupService makes backups of the data of a server. It is safe for concurrent use.
type BackupService interface {
	// MakeBackup makes a backup and verifies it. It fails with CodeConflict while an
	// earlier backup is not closed yet. The parameter "actor" is the administrator who
	// receives the backup.
	MakeBackup(ctx context.Context, actor UserID) (*BackupFile, error)
}
