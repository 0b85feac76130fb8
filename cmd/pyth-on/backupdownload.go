package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// downloadTimeout is the maximum time in which the server makes a backup and sends it. It
// is longer than the time-out of the server for this request.
const downloadTimeout = 65 * time.Minute

// download reads a backup from the server and verifies it. The file gets its final name
// only after the verification.
func (c *backupCommand) download(ctx context.Context) (err error) {
	if c.WithRootKey {
		return errors.New("--with-root-key does not work with --server, because a server never sends its root key")
	}
	client, err := c.remote("pyth-on backup")
	if err != nil {
		return err
	}
	client.http.Timeout = downloadTimeout
	temporary, err := os.CreateTemp(filepath.Dir(c.File), app.BackupPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; no backup was made", errors.Join(err, os.Remove(temporary.Name())))
		}
	}()
	progress := delaySteps(newProgress(os.Stderr))
	if err := errors.Join(client.readBackup(ctx, temporary, progress), temporary.Close()); err != nil {
		return err
	}
	m, err := backup.Verify(ctx, temporary.Name(), progress)
	if err != nil {
		return err
	}
	if err := disk.Rename(temporary.Name(), c.File); err != nil {
		return err
	}
	return c.report(m)
}

// readBackup writes a backup of the server to the file, and syncs the file.
func (c *adminClient) readBackup(ctx context.Context, to *os.File, progress backup.Progress) error {
	res, err := c.send(ctx, http.MethodGet, "/api/v1/admin/backup", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
		return errors.Join(app.Explain(problem(res.Status, b)), err)
	}
	counted := &countedReader{reader: res.Body, total: res.ContentLength, progress: progress}
	if _, err := io.Copy(to, counted); err != nil {
		return fmt.Errorf("read the backup from the server: %w", err)
	}
	return to.Sync()
}

// countedReader reports how much of a backup it has read.
type countedReader struct {
	reader      io.Reader
	done, total int64
	progress    backup.Progress
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	r.done += int64(n)
	r.progress("Reading the backup", r.done, max(r.done, r.total))
	return n, err
}
