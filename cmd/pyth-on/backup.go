package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

type backupCommand struct {
	File        string `arg:"" type:"path" help:"File to write. The file must not exist."`
	WithRootKey bool   `help:"Add the root key to the backup. A person who has such a backup can read all secrets."`

	serverFlags
	rootKeyFlags
	adminServerFlags
}

func (*backupCommand) Help() string {
	return "The command copies the database to one file, even while the server runs. With --server, the command reads the file from a server on another machine. The copy contains all accounts, keys, secrets, records, lockfiles and the audit log. " +
		"The command checks the copy of the database, verifies its audit log and compares all hashes. The command gives the file its name only after these checks succeed. " +
		"The backup does not contain the root key, unless you pass --with-root-key. Without the root key, a restored database is useless."
}

func (c *backupCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("the file %s exists; choose another name", c.File)
	}
	if c.Server != "" {
		return c.download(ctx)
	}
	if err := c.requireLocal(); err != nil {
		return err
	}
	store, err := c.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keeper, err := c.keeper(ctx, c.DataDir, store)
	if err != nil {
		return err
	}
	b := &app.Backup{Store: store, Keeper: keeper, Version: version, Progress: delaySteps(newProgress(os.Stderr))}
	if c.WithRootKey {
		if _, ok := keeper.(*vault.FileKeeper); !ok {
			return fmt.Errorf("--with-root-key can add only a root key from a file, but the root key is in the variable %s; store the value of the variable yourself, and make the backup without --with-root-key", rootKeyVariable)
		}
		b.RootKeyFile = c.path(c.DataDir)
	}
	m, err := b.Write(ctx, c.File)
	if err != nil {
		return fmt.Errorf("%w; no backup was made", err)
	}
	if err := app.NoteBackup(c.DataDir, m.CreatedAt); err != nil {
		return fmt.Errorf("the backup %s is complete, but its time was not stored: %w", c.File, err)
	}
	return c.report(m)
}

// The method "report" prints the result of a backup.
func (c *backupCommand) report(m *backup.Manifest) error {
	fmt.Fprintf(os.Stdout, "%s: %d accounts, %d entries in the audit log, %s; verified\n",
		c.File, m.Rows["users"], m.Audit.Size, humanize.IBytes(uint64(m.SizeBytes())))
	if m.HasRootKey() {
		fmt.Fprintln(os.Stdout, "The backup contains the root key. Keep it as safe as the root key itself.")
	} else {
		fmt.Fprintln(os.Stdout, "The backup does not contain the root key. Keep the root key in another place, because a restore needs it.")
	}
	return nil
}

type restoreCommand struct {
	File string `arg:"" type:"existingfile" help:"The backup to restore."`

	serverFlags
	rootKeyFlags
}

func (*restoreCommand) Help() string {
	return "The command restores a backup to a new data directory, or to an empty PostgreSQL database. The data directory must be empty, or contain only the root key. " +
		"The command verifies the backup first. After an error, nothing is restored."
}

func (c *restoreCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	url, err := c.url()
	if err != nil {
		return err
	}
	r := &app.Restore{Dir: c.DataDir, Progress: delaySteps(newProgress(os.Stderr))}
	if r.Keeper, err = c.givenKeeper(c.DataDir); err != nil {
		return err
	}
	if url != "" {
		to, err := postgres.Open(ctx, url)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, to.Close()) }()
		r.Postgres = to
	}
	m, err := r.Run(ctx, c.File)
	if err != nil {
		return fmt.Errorf("%w; nothing was restored", err)
	}
	return c.report(m, r.Keeper != nil || m.HasRootKey())
}

// The method "report" prints the result of a restore. It also prints what the operator
// must do before the server can start.
func (c *restoreCommand) report(m *backup.Manifest, hasKey bool) error {
	fmt.Fprintf(os.Stdout, "Restored the backup of %s (pyth-on %s): %d accounts, %d entries in the audit log\n",
		m.CreatedAt.Format(time.RFC3339), m.Version, m.Rows["users"], m.Audit.Size)
	if hasKey {
		_, err := fmt.Fprintln(os.Stdout, "The root key is correct. You can start the server.")
		return err
	}
	_, err := fmt.Fprintf(os.Stdout, "The backup does not contain the root key. Before you start the server, copy the root key to %s (mode 0600), "+
		"or set --root-key-file or %s. ID of the root key: %v\n", filepath.Join(c.DataDir, backup.RootKeyName), rootKeyVariable, m.RootKeys)
	return err
}

// givenKeeper opens the root key that the settings select. It returns nil if no setting
// selects a root key and the default key file does not exist.
func (f *rootKeyFlags) givenKeeper(dataDir string) (vault.KeyKeeper, error) {
	if _, given := hiddenDescriptor(rootKeyVariable); !given && f.RootKeyFile == "" {
		if _, err := os.Stat(f.path(dataDir)); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	keeper, _, err := f.open(dataDir, nil, vault.OpenFileKeeper)
	if err != nil {
		return nil, err
	}
	return keeper, nil
}

// stepInterval is the minimum time between two progress reports of delaySteps.
const stepInterval = 100 * time.Millisecond

// delaySteps returns a function that reports progress to p. The function reports
// nothing until the time progressDelay has passed, so short commands print no progress.
func delaySteps(p *progress) backup.Progress {
	started, last := time.Now(), time.Time{}
	return func(step string, done, total int64) {
		if time.Since(started) < progressDelay || done != total && time.Since(last) < stepInterval {
			return
		}
		last = time.Now()
		p.step(step, int(done), int(total))
	}
}
