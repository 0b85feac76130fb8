// Package imagestore stores the files of packages: archives, images, and layers that
// combine images.
//
// A file gets its final name when it is complete. After that, the file never changes. If
// an image or layer is lost, the server can make it again from archives. Users share
// files, because the same archive always gives the same image.
package imagestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/packages/keylock"
)

// Store keeps archives, images and layers in a directory. It is safe for concurrent use.
// It works without sandboxes, so the server can open the store before the pool of
// sandboxes.
//
//	downloads/HASH        an archive; HASH is its hash
//	images/KEY.erofs      the files of a package
//	sets/LAYER.erofs      links between the images of a layer
//	sets/LAYER.json       the images of a layer, with their mount points
//	tmp/                  unfinished files
//
// If a sandbox has a file open, it can still read the file after Collect has removed it.
type Store struct {
	downloads, images, sets, tmp string

	clock func() time.Time
	// making contains locks that prevent concurrent work on the same image or layer. The
	// keys of the locks are image keys and layer IDs.
	making keylock.Locks
	// hashes maps the path of an image to its SHA-256 hash. The method Manifest uses it.
	hashes sync.Map
	// The field "shared" is a store of images that several machines use. It is nil if
	// there is no such store.
	shared Shared
	// The read-write lock "collecting" separates Hold from Collect. Callers of Hold lock
	// it for reading, and Collect locks it for writing.
	collecting sync.RWMutex

	mu        sync.Mutex
	temporary map[pyth.LayerID][]Mount
	// The field "used" maps each layer to the time when a run last used it.
	used map[pyth.LayerID]time.Time
}

// Open opens or creates the store in the directory. No other process may use the
// directory. Open removes unfinished files that an earlier process left.
func Open(dir string, clock func() time.Time) (*Store, error) {
	s := &Store{
		downloads: filepath.Join(dir, "downloads"), images: filepath.Join(dir, "images"),
		sets: filepath.Join(dir, "sets"), tmp: filepath.Join(dir, "tmp"),
		clock: clock, temporary: map[pyth.LayerID][]Mount{}, used: map[pyth.LayerID]time.Time{},
	}
	if err := os.RemoveAll(s.tmp); err != nil {
		return nil, err
	}
	for _, dir := range []string{s.downloads, s.images, s.sets, s.tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// TempFile creates an unfinished file in the store. The caller must close this file and
// then rename or remove it.
func (s *Store) TempFile() (*os.File, error) { return os.CreateTemp(s.tmp, "") }

// publish closes a complete file, syncs it to the disk and renames it to the given path.
// If the rename fails, publish removes the unfinished file.
func publish(f *os.File, path string) error {
	if err := errors.Join(f.Chmod(0o444), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	err := disk.Rename(f.Name(), path)
	if err != nil {
		_ = os.Remove(f.Name()) // The file does not exist if only the last sync failed.
	}
	return err
}

// discard closes and removes an unfinished file. It returns err, joined with the errors
// of the close and of the removal.
func discard(f *os.File, err error) error {
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// touch sets the modification time of a file to the current time. Collect removes the
// files with the oldest times first.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

const (
	imageSuffix = ".erofs"
	listSuffix  = ".json"
)

// ImagePath returns the path of the image with the key.
func (s *Store) ImagePath(key string) string { return filepath.Join(s.images, key+imageSuffix) }

func (s *Store) listPath(layer pyth.LayerID) string {
	return filepath.Join(s.sets, string(layer)+listSuffix)
}

func (s *Store) linksPath(layer pyth.LayerID) string {
	return filepath.Join(s.sets, string(layer)+imageSuffix)
}

// layerOf returns the ID of the layer to which the file with the given name belongs.
func layerOf(name string) pyth.LayerID {
	return pyth.LayerID(strings.TrimSuffix(strings.TrimSuffix(name, listSuffix), imageSuffix))
}
