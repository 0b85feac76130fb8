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

	pyth "github.com/pyth-on/pyth-on"
)

// FileKeeper is a KeyKeeper whose root keys are in a file: 32 bytes each, the
// newest first. There are two while a rotation goes on, else one. It notices
// when another process changes the file, and is safe for concurrent use.
type FileKeeper struct {
	path string

	mu   sync.Mutex
	ring keyring
	// read is the file that the keys were read from.
	read os.FileInfo
}

var _ Rotator = (*FileKeeper)(nil)

// OpenFileKeeper reads the root keys. A file that others can read is refused,
// since its keys are no secret any more. The error is fs.ErrNotExist if the file
// is absent.
func OpenFileKeeper(path string) (*FileKeeper, error) {
	k := &FileKeeper{path: path}
	if err := k.load(); err != nil {
		return nil, err
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

// Wrap encrypts the key.
func (k *FileKeeper) Wrap(_ context.Context, key, associated []byte) (pyth.WrappedKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		return pyth.WrappedKey{}, err
	}
	return k.ring.wrap(key, associated)
}

// Unwrap decrypts the key.
func (k *FileKeeper) Unwrap(_ context.Context, wrapped pyth.WrappedKey, associated []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ring.has(wrapped) {
		if err := k.refresh(); err != nil {
			return nil, err
		}
	}
	return k.ring.unwrap(wrapped, associated)
}

// refresh reads the file again if it was replaced.
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

// load reads the file. What it had before is kept: a key that a rotation has
// just rewrapped may have been read from the store before that.
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

// Begin puts a new root key in front of the one that there is, unless a rotation
// has begun already. The caller sees to it that there is one rotation at a time.
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

// Finish forgets all root keys but the newest.
func (k *FileKeeper) Finish(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, _, err := readRootKeys(k.path)
	if err != nil || len(keys) == 1 {
		return err
	}
	return writeRootKeys(k.path, keys[:1])
}

// Rotating is whether a rotation has begun and not ended.
func (k *FileKeeper) Rotating() (bool, error) {
	keys, _, err := readRootKeys(k.path)
	return len(keys) > 1, err
}

// maxRootKeys bounds what is taken for a file of keys.
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
		return nil, nil, fmt.Errorf("others than its owner can use it (mode %v); if nobody has seen it, run `chmod 600 %s`", mode, path)
	}
	if size := info.Size(); size != keyBytes && size != maxRootKeys*keyBytes {
		return nil, nil, fmt.Errorf("it has %d bytes, not %d, or %d during a rotation", size, keyBytes, maxRootKeys*keyBytes)
	}
	all := make([]byte, info.Size())
	if _, err := io.ReadFull(f, all); err != nil {
		return nil, nil, err
	}
	return slices.Collect(slices.Chunk(all, keyBytes)), info, nil
}

// makeRootKey makes the file whole or not at all, and never over another: two
// servers that start at once must end with one key.
func makeRootKey(path string) error {
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

// writeRootKeys replaces the file.
func writeRootKeys(path string, keys [][]byte) error {
	return publish(path, slices.Concat(keys...), func(made string) error { return os.Rename(made, path) })
}

// publish writes a file beside the path and has it put there when it is on the
// disk: data that is encrypted under its keys must not outlive them.
func publish(path string, content []byte, put func(made string) error) error {
	dir := filepath.Dir(path)
	// Made with mode 0600.
	f, err := os.CreateTemp(dir, ".root-key-*")
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
