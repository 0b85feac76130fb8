package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyKeeper holds the root key, which need not be in this process.
type KeyKeeper interface {
	// Wrap encrypts a key so that only Unwrap with the same associated data
	// gives it back.
	Wrap(ctx context.Context, key, associated []byte) ([]byte, error)
	// Unwrap fails with ErrDamaged for what Wrap did not make.
	Unwrap(ctx context.Context, wrapped, associated []byte) ([]byte, error)
	// Derive gives a key of the length in bytes that is for the purpose only.
	Derive(ctx context.Context, purpose string, length int) ([]byte, error)
}

// FileKeeper is a KeyKeeper whose root key is in a file.
type FileKeeper struct{ root []byte }

var _ KeyKeeper = (*FileKeeper)(nil)

// OpenFileKeeper reads the root key. A file that others can read is refused,
// since the key is no secret any more. The error is fs.ErrNotExist if the file
// is absent.
func OpenFileKeeper(path string) (*FileKeeper, error) {
	k, err := openFileKeeper(path)
	if err != nil {
		return nil, fmt.Errorf("vault: root key %s: %w", path, err)
	}
	return k, nil
}

// MakeFileKeeper makes a root key if the file is absent, and reads it.
func MakeFileKeeper(path string) (*FileKeeper, error) {
	if err := makeRootKey(path); err != nil {
		return nil, fmt.Errorf("vault: root key %s: %w", path, err)
	}
	return OpenFileKeeper(path)
}

func openFileKeeper(path string) (*FileKeeper, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner can use it (mode %v); if nobody has seen it, run `chmod 600 %s`", mode, path)
	}
	if info.Size() != keyBytes {
		return nil, fmt.Errorf("it has %d bytes, not %d", info.Size(), keyBytes)
	}
	root := make([]byte, keyBytes)
	if _, err := f.ReadAt(root, 0); err != nil {
		return nil, err
	}
	return &FileKeeper{root: root}, nil
}

// makeRootKey makes the file whole or not at all, and never over another: two
// servers that start at once must end with one key.
func makeRootKey(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	// Made with mode 0600.
	f, err := os.CreateTemp(dir, ".root-key-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return errors.Join(err, f.Close())
	}
	defer clear(key)
	if _, err := f.Write(key); err != nil {
		return errors.Join(err, f.Close())
	}
	// Data that is encrypted under the key must not outlive it.
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirectory(dir)
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// The root key itself encrypts nothing: each use has a key of its own.
const wrapping = "pyth-on/wrap/1"

// Wrap encrypts the key.
func (k *FileKeeper) Wrap(ctx context.Context, key, associated []byte) ([]byte, error) {
	w, err := k.Derive(ctx, wrapping, keyBytes)
	if err != nil {
		return nil, err
	}
	defer clear(w)
	return seal(w, key, associated)
}

// Unwrap decrypts the key.
func (k *FileKeeper) Unwrap(ctx context.Context, wrapped, associated []byte) ([]byte, error) {
	w, err := k.Derive(ctx, wrapping, keyBytes)
	if err != nil {
		return nil, err
	}
	defer clear(w)
	return open(w, wrapped, associated)
}

// Derive is HKDF-SHA256 (RFC 5869) of the root key.
func (k *FileKeeper) Derive(_ context.Context, purpose string, length int) ([]byte, error) {
	return hkdf.Key(sha256.New, k.root, nil, purpose, length)
}
