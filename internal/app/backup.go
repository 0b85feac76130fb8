package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// Backup makes archives of a server's data.
type Backup struct {
	// Store is the open database of the server. A backup also works while the server
	// runs.
	Store pyth.Store
	// Keeper decrypts the keys in the database. These keys are encrypted with root
	// keys.
	Keeper vault.KeyKeeper
	// RootKeyFile is the path of the root key if the archive must contain the root key.
	// Otherwise it is "".
	RootKeyFile string
	// Version is the version of this pyth-on program.
	Version  string
	Progress backup.Progress
}

// BackupPrefix is the prefix of the names of temporary directories for backups.
const BackupPrefix = ".pyth-on-backup-"

// Write makes an archive, verifies it, and moves it to the given path. If Write fails,
// it does not replace an existing file.
func (b *Backup) Write(ctx context.Context, path string) (*backup.Manifest, error) {
	dir, remove, err := temporaryDirectory(filepath.Dir(path), BackupPrefix)
	if err != nil {
		return nil, err
	}
	m, err := b.write(ctx, path, dir)
	return m, errors.Join(err, remove())
}

func (b *Backup) write(ctx context.Context, path, dir string) (*backup.Manifest, error) {
	if err := b.requireRoom(ctx, dir); err != nil {
		return nil, err
	}
	files := map[string]string{backup.DatabaseName: filepath.Join(dir, backup.DatabaseName)}
	if b.RootKeyFile != "" {
		files[backup.RootKeyName] = filepath.Join(dir, backup.RootKeyName)
		if err := copyRootKey(b.RootKeyFile, files[backup.RootKeyName]); err != nil {
			return nil, err
		}
	}
	m := &backup.Manifest{CreatedAt: now().UTC(), Version: b.Version}
	if err := b.copyDatabase(ctx, files[backup.DatabaseName], m); err != nil {
		return nil, err
	}
	keeper := b.Keeper
	if key := files[backup.RootKeyName]; key != "" {
		// Verify that the root key in the archive decrypts the copied database. The
		// check is necessary, because a rotation during the backup could have replaced
		// the root key.
		var err error
		if keeper, err = vault.OpenFileKeeper(key); err != nil {
			return nil, err
		}
	}
	if err := examine(ctx, files[backup.DatabaseName], keeper, m, b.Progress); err != nil {
		return nil, err
	}
	archive := filepath.Join(dir, "archive")
	if err := backup.Write(ctx, archive, m, files, b.Progress); err != nil {
		return nil, err
	}
	if _, err := backup.Verify(ctx, archive, b.Progress); err != nil {
		return nil, err
	}
	return m, disk.Rename(archive, path)
}

// requireRoom returns an error if the disk has too little free space for a copy of the
// database and for the archive.
func (b *Backup) requireRoom(ctx context.Context, dir string) error {
	sized, ok := b.Store.(interface {
		Size(ctx context.Context) (int64, error)
	})
	if !ok {
		return nil
	}
	size, err := sized.Size(ctx)
	if err != nil {
		return err
	}
	return disk.Need(dir, 2*size, "the backup")
}

// copyDatabase copies the database to an SQLite file. The copy contains one consistent
// state.
func (b *Backup) copyDatabase(ctx context.Context, path string, m *backup.Manifest) (err error) {
	const step = "Copying the database"
	if m.Schema, err = sqlite.Schema(); err != nil {
		return err
	}
	switch store := b.Store.(type) {
	case *sqlite.Store:
		m.Source = "sqlite"
		return store.CopyTo(ctx, path, func(done, total int64) { b.Progress(step, done, total) })
	case *postgres.Store:
		m.Source = "postgresql"
		target, err := sqlite.Create(ctx, path)
		if err != nil {
			return err
		}
		_, err = store.Export(ctx, target, func(table string, done, total int64) { b.Progress(step+": "+table, done, total) })
		if err == nil {
			err = target.Commit()
		}
		return errors.Join(err, target.Close())
	}
	return fmt.Errorf("a database of the type %T cannot be copied", b.Store)
}

// examine checks a copy of a database: its pages, foreign keys, encryption keys and
// audit log. It sets the fields of the manifest that describe the database. Without a
// keeper, it verifies the audit log with the key in the manifest.
func examine(ctx context.Context, path string, keeper vault.KeyKeeper, m *backup.Manifest, progress backup.Progress) (err error) {
	store, err := sqlite.OpenCopy(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	progress("Checking the database", 0, 1)
	if err := store.CheckIntegrity(ctx); err != nil {
		return err
	}
	if keeper != nil {
		if m.Audit.Key, err = verifierKey(ctx, store, keeper); err != nil {
			return err
		}
	}
	report, err := log.Verify(ctx, log.Verification{
		Store: store, Key: m.Audit.Key, Progress: func(done, total int64) { progress("Verifying the audit log", done, total) },
	})
	if err != nil {
		return err
	}
	if !report.Whole() {
		return fmt.Errorf("the audit log is damaged: %s; run `pyth-on audit verify` for details", report.Findings[0])
	}
	m.Audit.Size, m.Audit.Root = report.Size, report.Root.String()
	if m.RootKeys, err = rootKeyIDs(ctx, store); err != nil {
		return err
	}
	m.Rows, err = countRows(ctx, store)
	return err
}

// verifierKey returns the public key for the verification of the audit log. It returns
// an error if the keeper does not have the root key of the database.
func verifierKey(ctx context.Context, store pyth.KeyStore, keeper vault.KeyKeeper) (string, error) {
	v := vault.New(keeper, store)
	if err := v.Check(ctx); errors.Is(err, vault.ErrDamaged) {
		return "", errors.New("the root key is not the root key of the accounts in the database; give the right key with --root-key-file, or try again if the root key was just rotated")
	} else if err != nil {
		return "", err
	}
	if _, err := store.ServerKey(ctx, "audit"); pyth.ErrorCode(err) == pyth.CodeNotFound {
		return "", errors.New("the database has no audit log; start the server once")
	} else if err != nil {
		return "", err
	}
	seed, err := log.Seed(ctx, v)
	if err != nil {
		return "", err
	}
	defer clear(seed)
	return log.VerifierKey(seed)
}

// rootKeyIDs returns the IDs of the root keys that encrypt keys in the database.
func rootKeyIDs(ctx context.Context, store pyth.KeyStore) ([]string, error) {
	const page = 500
	ids := map[string]bool{}
	server, err := store.ServerKeys(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range server {
		ids[k.Wrapped.RootKey] = true
	}
	for after := pyth.UserID(""); ; {
		keys, err := store.DataKeys(ctx, after, page)
		if err != nil || len(keys) == 0 {
			delete(ids, "") // Ignore old keys, which do not contain the ID of their root key.
			return slices.Sorted(maps.Keys(ids)), err
		}
		for _, k := range keys {
			ids[k.Wrapped.RootKey] = true
		}
		after = keys[len(keys)-1].UserID
	}
}

func countRows(ctx context.Context, store *sqlite.Store) (_ map[string]int64, err error) {
	snapshot, err := store.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	tables, err := snapshot.Tables(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for table := range tables {
		if rows[table], err = snapshot.Count(ctx, table); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func copyRootKey(from, to string) error {
	key, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	defer clear(key)
	return os.WriteFile(to, key, 0o600)
}

// temporaryDirectory makes a directory that only this process uses. It also removes
// temporary directories that killed processes left behind. It ignores errors when it
// removes these directories, because an old directory does not prevent a backup.
func temporaryDirectory(parent, prefix string) (dir string, remove func() error, err error) {
	if err := removeAbandoned(parent, prefix); err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp(parent, prefix); err != nil {
		return "", nil, err
	}
	lock, err := lockDirectory(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// removeAbandoned removes the temporary directories of processes that were killed.
func removeAbandoned(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := filepath.Join(parent, e.Name()); e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
			if f, err := lockDirectory(path); err == nil {
				_ = os.RemoveAll(path)
				_ = f.Close()
			}
		}
	}
	return nil
}

// lockDirectory locks a directory until the caller closes the result. It returns an
// error if another process has locked the directory.
func lockDirectory(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
