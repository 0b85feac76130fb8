package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

type migrateCommand struct {
	From         string `required:"" env:"-" placeholder:"sqlite:PATH" help:"The SQLite database, or its data directory. Stop the server first. The command does not change this database."`
	To           string `env:"-" placeholder:"URL" help:"URL of an empty PostgreSQL database. If the URL has a password, use PYTH_ON_DATABASE or --database-file instead of this flag."`
	DatabaseFile string `type:"existingfile" help:"File with the URL of the PostgreSQL database."`

	rootKeyFlags
}

func (*migrateCommand) Help() string {
	return "The command copies all accounts, keys, secrets, programs, lockfiles and the audit log. It compares the number and a hash of the rows of each table, " +
		"and verifies the audit log before and after the copy. The copy is one transaction: after an error the PostgreSQL database is empty, and you can run the command again."
}

func (c *migrateCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	path, err := c.source()
	if err != nil {
		return err
	}
	target := databaseFlags{Database: c.To, DatabaseFile: c.DatabaseFile, flag: "--to"}
	url, err := target.url()
	if err != nil {
		return err
	}
	if url == "" {
		return fmt.Errorf("no PostgreSQL database is given; set --to, --database-file or %s to its URL", databaseVariable)
	}
	data, free, err := app.OpenDirectory(filepath.Dir(path), app.LockWait)
	if err != nil {
		return err
	}
	if !free {
		return fmt.Errorf("a server uses the data directory %s; stop it first, so that it writes nothing more to the SQLite database", filepath.Dir(path))
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	from, err := sqlite.OpenToRead(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := postgres.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return c.migrate(ctx, data.Path, from, to)
}

// source returns the path of the SQLite database in the flag --from.
func (c *migrateCommand) source() (string, error) {
	path, ok := strings.CutPrefix(c.From, "sqlite:")
	if !ok || path == "" {
		return "", errors.New("--from must be sqlite: followed by the path of an SQLite database, for example sqlite:data/pyth-on.db")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, databaseName)
		_, err = os.Stat(path)
	}
	return path, err
}

func (c *migrateCommand) migrate(ctx context.Context, dataDir string, from *sqlite.Store, to *postgres.Store) (err error) {
	key, err := c.verifierKey(ctx, dataDir, from)
	if err != nil {
		return err
	}
	progress := newProgress(os.Stderr)
	before, err := verifyLog(ctx, log.Verification{Store: from, Key: key}, progress, "Verifying the audit log")
	if err != nil {
		return fmt.Errorf("verify the SQLite database: %w; run `pyth-on audit verify` for details", err)
	}
	snapshot, err := from.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	copied, err := to.Import(ctx, snapshot, func(table string, done, total int64) {
		progress.step("Copying "+table, int(done), int(total))
	})
	if errors.Is(err, postgres.ErrNotEmpty) {
		return fmt.Errorf("%w; choose an empty database", err)
	}
	if err != nil {
		return fmt.Errorf("%w; the PostgreSQL database is unchanged, run the command again", err)
	}
	after, err := verifyLog(ctx, log.Verification{Store: to, Key: key, Kept: before.Checkpoint}, progress, "Verifying the copy of the audit log")
	if err != nil {
		return fmt.Errorf("verify the copy in PostgreSQL: %w", err)
	}
	if after.Root != before.Root || after.Size != before.Size || !bytes.Equal(after.Checkpoint, before.Checkpoint) {
		return errors.New("the audit log in PostgreSQL differs from the audit log in SQLite")
	}
	return printCopied(copied, after)
}

// verifyLog verifies an audit log. It returns an error if the log is damaged.
func verifyLog(ctx context.Context, v log.Verification, p *progress, step string) (*log.Report, error) {
	v.Progress = func(done, total int64) { p.step(step, int(done), int(total)) }
	report, err := log.Verify(ctx, v)
	if err == nil && !report.Whole() {
		err = fmt.Errorf("the audit log is damaged: %s", report.Findings[0])
	}
	return report, err
}

func printCopied(copied []postgres.Copied, audit *log.Report) error {
	for _, c := range copied {
		if _, err := fmt.Fprintf(os.Stdout, "%-20s %10d rows  sha256:%x\n", c.Table, c.Rows, c.Hash); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(os.Stdout, "The audit log is intact: %d entries, root %v\n"+
		"The copy is complete and verified. Start the servers with the URL of the PostgreSQL database and the same root key.\n", audit.Size, audit.Root)
	return err
}
