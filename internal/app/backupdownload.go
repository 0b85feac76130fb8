package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// backupDownloads makes backups for administrators who read them over the API. It
// implements pyth.BackupService.
type backupDownloads struct {
	backup  *Backup
	dataDir string
	logger  *slog.Logger
	// mu is locked while a backup exists, because each backup needs disk space for two
	// copies of the database.
	mu sync.Mutex
}

var _ pyth.BackupService = (*backupDownloads)(nil)

// MakeBackup makes a backup in the data directory. No directory contains the file. So the
// system deletes the file when the caller closes it, or when the server ends.
func (d *backupDownloads) MakeBackup(ctx context.Context, _ pyth.UserID) (*pyth.BackupFile, error) {
	if !d.mu.TryLock() {
		return nil, pyth.Errorf(pyth.CodeConflict, "The server is making another backup. Try again when this backup is complete.")
	}
	file, err := d.make(ctx)
	if err != nil {
		d.mu.Unlock()
		return nil, &pyth.Error{Code: pyth.CodeUnavailable, Message: "The server could not make a backup. The log of the server contains the reason.", Err: err}
	}
	return file, nil
}

func (d *backupDownloads) make(ctx context.Context) (_ *pyth.BackupFile, err error) {
	dir, remove, err := temporaryDirectory(d.dataDir, BackupPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	path := filepath.Join(dir, "backup")
	m, err := d.backup.write(ctx, path, dir)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	read := func() {
		if err := NoteBackup(d.dataDir, m.CreatedAt); err != nil {
			d.logger.ErrorContext(ctx, "could not store the time of the backup", "error", err)
		}
	}
	return &pyth.BackupFile{
		ReadCloser: &backupReader{file: f, read: read, closed: d.mu.Unlock}, Name: m.CreatedAt.Format(backupName), SizeBytes: info.Size(),
	}, nil
}

// backupReader reads a backup. It calls the function "read" when the whole backup was
// read, and the function "closed" when it is closed.
type backupReader struct {
	file         *os.File
	read, closed func()
}

func (r *backupReader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if errors.Is(err, io.EOF) {
		r.read()
	}
	return n, err
}

// Close closes the file. The caller calls it once.
func (r *backupReader) Close() error {
	defer r.closed()
	return r.file.Close()
}
