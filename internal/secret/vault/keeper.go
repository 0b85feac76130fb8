package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	pyth "github.com/pyth-on/pyth-on"
)

// FileKeeper is a KeyKeeper that reads root keys from a file. The file usually has one
// key of 32 bytes. During a rotation, the file has two keys, and the newer key is the
// first. FileKeeper notices when other processes change the file. It is safe for
// concurrent use.
type FileKeeper struct {
	path string

	mu   sync.Mutex
	ring keyring
	// The field "read" describes the file at the time of the last read. With this
	// description, FileKeeper notices changes of the file.
	read os.FileInfo
}

var _ Rotator = (*FileKeeper)(nil)

// OpenFileKeeper reads the root keys from the file. It returns an error if other users
// can access the file, because they may already know the keys. It returns fs.ErrNotExist
// if the file does not exist.
func OpenFileKeeper(path string) (*FileKeeper, error) {
	k := &FileKeeper{path: path}
	if err := k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// OpenOrCreateFileKeeper opens the file like OpenFileKeeper. If the file does not exist,
// it first creates the file with a new root key.
func OpenOrCreateFileKeeper(path string) (*FileKeeper, error) {
	if err := createRootKey(path); err != nil {
		return nil, fmt.Errorf("vault: root key %s: %w", path, err)
	}
	return OpenFileKeeper(path)
}

// Wrap encrypts a key with the newest root key in the file.
func (k *FileKeeper) Wrap(_ context.Context, key, associated []byte) (pyth.WrappedKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return pyth.WrappedKey{}, err
	}
	return k.ring.wrap(key, associated)
}

// Unwrap decrypts a key. If the keeper does not know the root key that encrypted this
// key, Unwrap reads the file again.
func (k *FileKeeper) Unwrap(_ context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ring.canUnwrap(wrapped) {
		if err := k.refresh(); err != nil {
			return nil, err
		}
	}
	return k.ring.unwrap(wrapped, associated)
}

// refresh reads the file if it has changed. The caller must hold k.mu.
func (k *FileKeeper) refresh() error {
	info, err := os.Stat(k.path)
	if err != nil {
		return fmt.Errorf("vault: root key: %w", err)
	}
	if os.SameFile(info, k.read) && info.ModTime().Equal(k.read.ModTime()) && info.Size() == k.read.Size() {
		return nil
	}
	return k.load()
}

// load reads the file. It also keeps root keys that are no longer in the file. A caller
// may still have a key that was encrypted before a rotation.
func (k *FileKeeper) load() error {
	keys, info, err := readRootKeys(k.path)
	if err != nil {
		return fmt.Errorf("vault: root key %s: %w", k.path, err)
	}
	ring, err := newKeyring(keys)
	if err != nil {
		return err
	}
	for _, old := range k.ring {
		if !slices.ContainsFunc(ring, func(r *rootKey) bool { return r.id == old.id }) {
			ring = append(ring, old)
		}
	}
	k.ring, k.read = ring, info
	return nil
}

// Begin adds a new root key at the beginning of the file. It adds no key if a rotation
// has already begun. The caller must ensure that only one rotation runs at a time.
func (k *FileKeeper) Begin(context.Context) (newest string, others []string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, _, err := readRootKeys(k.path)
	if err == nil && len(keys) == 1 {
		key := make([]byte, keyBytes)
		if _, err := rand.Read(key); err != nil {
			return "", nil, err
		}
		err = writeRootKeys(k.path, append([][]byte{key}, keys...))
	}
	if err == nil {
		err = k.load()
	}
	if err != nil {
		return "", nil, err
	}
	return k.ring[0].id, k.ring[1:].names(), nil
}

// Finish removes all root keys except the newest root key from the file.
func (k *FileKeeper) Finish(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, _, err := readRootKeys(k.path)
	if err != nil || len(keys) == 1 {
		return err
	}
	return writeRootKeys(k.path, keys[:1])
}

// Rotating reports whether a rotation has begun but has not finished.
func (k *FileKeeper) Rotating() (bool, error) {
	keys, _, err := readRootKeys(k.path)
	return len(keys) > 1, err
}

const maxRootKeys = 2

func readRootKeys(path string) ([][]byte, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("other users can access the file (mode %v); if nobody has read it, run `chmod 600 %s`", mode, path)
	}
	if size := info.Size(); size != keyBytes && size != maxRootKeys*keyBytes {
		return nil, nil, fmt.Errorf("the file has %d bytes; expected %d, or %d during a rotation", size, keyBytes, maxRootKeys*keyBytes)
	}
	all := make([]byte, info.Size())
	if _, err := io.ReadFull(f, all); err != nil {
		return nil, nil, err
	}
	return slices.Collect(slices.Chunk(all, keyBytes)), info, nil
}

// createRootKey creates the file with a random root key, unless the file already exists.
// It never replaces a file. So two servers that start at the same time use the same key.
func createRootKey(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	defer clear(key)
	return publish(path, key, func(made string) error {
		if err := os.Link(made, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return os.Remove(made)
	})
}

// writeRootKeys replaces the file atomically: readers see either the old or the new file.
func writeRootKeys(path string, keys [][]byte) error {
	return publish(path, slices.Concat(keys...), func(made string) error { return os.Rename(made, path) })
}

// temporaryKeys is a pattern for the names of temporary files. These files contain root
// keys.
const temporaryKeys = ".root-key-*"

// RemoveTemporaryKeys removes temporary files of a killed process. The files are in the
// same directory as the root key file. They must not remain there, because they contain
// root keys.
func RemoveTemporaryKeys(path string) error {
	dir := filepath.Dir(path)
	unlock, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer unlock()
	return removeTemporaryKeys(dir)
}

// removeTemporaryKeys removes the temporary files in a directory. The caller must hold
// the lock of the directory. The lock ensures that no other process uses these files.
func removeTemporaryKeys(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ours, _ := filepath.Match(temporaryKeys, e.Name()); ours && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove temporary file with root keys: %w", err)
			}
		}
	}
	return nil
}

// lockDirectory waits for the lock of the directory. All processes that write root
// keys use this lock.
func lockDirectory(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// publish writes a temporary file in the directory of the given path and syncs it to the
// disk. Then it calls the function "put", which moves the file to its final name. The
// file must be on the disk before the server encrypts data with a key from the file.
func publish(path string, content []byte, put func(made string) error) error {
	dir := filepath.Dir(path)
	unlock, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeTemporaryKeys(dir); err != nil {
		return err
	}
	// CreateTemp uses the mode 0600, so only the owner can read the file.
	f, err := os.CreateTemp(dir, temporaryKeys)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := put(f.Name()); err != nil {
		_ = os.Remove(f.Name())
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
