package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// BackupConfig configures the backups of a server.
type BackupConfig struct {
	// BackupDir is the directory for the archives. If it is "", the server makes no
	// scheduled backups.
	BackupDir string
	// BackupInterval is the time between two backups. BackupKeep is the number of
	// backups that the server keeps. The value 0 means that the server keeps all
	// backups.
	BackupInterval time.Duration
	BackupKeep     int
	// BackupDownload is "on" or "off". With "off", administrators cannot read backups over
	// the API.
	BackupDownload string
}

const (
	// backupName is the format of the name of a scheduled backup. It is a layout for
	// package time.
	backupName = "pyth-on-20060102T150405Z.tar"
	// backupPoll is the interval at which the server checks whether a backup is due.
	// The interval is short, so that a change of the clock does not delay a backup.
	backupPoll = time.Minute
	// backupRetry is the time between a failed backup and the next attempt.
	backupRetry = 10 * time.Minute
)

// LastBackupName is the name of a file in the data directory. The file contains the
// time of the last backup.
const LastBackupName = "last-backup"

// NoteBackup stores the time of the last backup in the data directory. It does nothing
// if the data directory does not exist, because a backup of PostgreSQL does not need a
// data directory.
func NoteBackup(dataDir string, at time.Time) error {
	if _, err := os.Stat(dataDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// With this file mode, the server can read the file even if another user ran the
	// command. Only the server's user can access the directory that contains the file.
	return disk.Replace(filepath.Join(dataDir, LastBackupName), 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, at.UTC().Format(time.RFC3339)+"\n")
		return err
	})
}

// readLastBackup returns the time of the last backup of a data directory. It returns
// the zero time if no backup was made.
func readLastBackup(dataDir string) (time.Time, error) {
	text, err := os.ReadFile(filepath.Join(dataDir, LastBackupName))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
}

// backups makes scheduled backups. In addition, operators can make backups with the
// command `backup`.
type backups struct {
	config  BackupConfig
	dataDir string
	backup  Backup
	logger  *slog.Logger

	failures prometheus.Counter

	mu sync.Mutex
	// If the last attempt failed, the field "failed" is the time of this attempt, and
	// "err" is its error. Otherwise, "failed" is zero.
	failed time.Time
	err    error
}

func newBackups(c BackupConfig, dataDir string, store pyth.Store, keeper vault.KeyKeeper, version string, logger *slog.Logger) *backups {
	return &backups{
		config: c, dataDir: dataDir, logger: logger,
		backup: Backup{Store: store, Keeper: keeper, Version: version, Progress: func(string, int64, int64) {}},
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pyth_on_backup_failures_total", Help: "Scheduled backups that failed.",
		}),
	}
}

// run makes backups until ctx ends.
func (b *backups) run(ctx context.Context) {
	ticker := time.NewTicker(backupPoll)
	defer ticker.Stop()
	for {
		if b.due(now()) {
			b.attempt(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// The method "due" reports whether a backup is due at the given time. It ignores
// backups with a time in the future. Such backups can exist after somebody has set back
// the clock.
func (b *backups) due(at time.Time) bool {
	b.mu.Lock()
	failed := b.failed
	b.mu.Unlock()
	if since := at.Sub(failed); since >= 0 && since < backupRetry {
		return false
	}
	existing, err := b.existing()
	if err != nil {
		return true // Start an attempt, which reports the error.
	}
	for _, made := range slices.Backward(existing) {
		if !made.After(at) {
			return at.Sub(made) >= b.config.BackupInterval
		}
	}
	return true
}

// The method "existing" returns the times of the scheduled backups in the directory,
// oldest first.
func (b *backups) existing() ([]time.Time, error) {
	entries, err := os.ReadDir(b.config.BackupDir)
	if err != nil {
		return nil, err
	}
	var times []time.Time
	for _, e := range entries {
		if at, err := time.Parse(backupName, e.Name()); err == nil {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, nil
}

// attempt makes a backup, removes old backups, and logs the result.
func (b *backups) attempt(ctx context.Context) {
	started := time.Now()
	path, bytes, err := b.write(ctx)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failures.Inc()
		b.failed, b.err = now(), err
		b.logger.ErrorContext(ctx, "backup failed", "error", err, "hint", "the server tries again; check the directory of --backup-dir")
		return
	}
	b.failed, b.err = time.Time{}, nil
	b.logger.InfoContext(ctx, "backup made and verified", "path", path, "size_bytes", bytes, "duration_ms", time.Since(started).Milliseconds())
}

func (b *backups) write(ctx context.Context) (path string, bytes int64, err error) {
	if err := os.MkdirAll(b.config.BackupDir, 0o700); err != nil {
		return "", 0, err
	}
	path = filepath.Join(b.config.BackupDir, now().UTC().Format(backupName))
	m, err := b.backup.Write(ctx, path)
	if err != nil {
		return "", 0, err
	}
	if err := NoteBackup(b.dataDir, m.CreatedAt); err != nil {
		return "", 0, err
	}
	return path, m.SizeBytes(), b.prune()
}

// prune removes the oldest backups if there are more than BackupKeep.
func (b *backups) prune() error {
	if b.config.BackupKeep <= 0 {
		return nil
	}
	existing, err := b.existing()
	if err != nil {
		return err
	}
	for _, at := range existing[:max(0, len(existing)-b.config.BackupKeep)] {
		err = errors.Join(err, os.Remove(filepath.Join(b.config.BackupDir, at.Format(backupName))))
	}
	return err
}

// health returns the state of scheduled backups. The state is degraded if the last
// backup failed, or if the last backup is much older than the interval.
func (b *backups) health(context.Context) pyth.Check {
	b.mu.Lock()
	failed := b.err
	b.mu.Unlock()
	last, err := readLastBackup(b.dataDir)
	switch age := now().Sub(last); {
	case failed != nil:
		return pyth.Check{Status: pyth.CheckDegraded, Detail: "the last backup failed; see the log"}
	case err != nil:
		return pyth.Check{Status: pyth.CheckDegraded, Detail: "the time of the last backup is not known"}
	case last.IsZero():
		return pyth.Check{Status: pyth.CheckOK, Detail: "no backup yet"}
	case age > 2*b.config.BackupInterval+backupRetry:
		return pyth.Check{Status: pyth.CheckDegraded, Detail: fmt.Sprintf("the last backup was made %s", humanize.Time(last))}
	}
	return pyth.Check{Status: pyth.CheckOK, Detail: "the last backup was made at " + last.Format(time.RFC3339)}
}

// LastBackup returns the time of the last backup. Either the server or the command
// `backup` made this backup. LastBackup returns the zero time if there is no backup, or
// if its time is not known.
func (b *backups) LastBackup() time.Time {
	last, _ := readLastBackup(b.dataDir)
	return last
}

// collectors returns the metrics of backups.
func (b *backups) collectors() []prometheus.Collector {
	return []prometheus.Collector{b.failures, gauge("pyth_on_backup_last_success_timestamp_seconds",
		"Time of the last successful backup, in seconds since 1970; 0 if there is none.", func() float64 {
			at := b.LastBackup()
			if at.IsZero() {
				return 0
			}
			return float64(at.Unix()) // Use whole seconds, because the file contains no fractions of seconds.
		})}
}
