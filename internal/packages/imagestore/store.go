// Package imagestore stores the files of packages: archives, images, and layers
// that combine images.
//
// A file gets its final name when it is complete, and then never changes. It can
// be made again from an archive. Users share files: an archive always makes the
// same image.
package imagestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/keylock"
)

// Store is a directory of files. It needs no sandbox, so that it can be opened
// before the pool. It is safe for concurrent use.
//
//	downloads/HASH        an archive, by its hash
//	images/KEY.erofs      the files of a package
//	sets/LAYER.erofs      links between the images of a layer
//	sets/LAYER.json       the images of a layer, with their mount points
//	tmp/                  unfinished files
//
// After Collect removes a file, sandboxes that have it open can still read it.
type Store struct {
	downloads, images, sets, tmp string

	clock func() time.Time
	// making serializes the work on each image and layer.
	making keylock.Locks
	// collecting is locked for reading while callers of Hold use unreferenced
	// files.
	collecting sync.RWMutex

	mu sync.Mutex
	// temporary holds the layers of AddTemporary.
	temporary map[pyth.LayerID][]Mount
	// used holds the time when each layer was last given to a run.
	used map[pyth.LayerID]time.Time
}

// Open opens the store in the directory. No other process may use the directory.
// Open removes unfinished files of an earlier process.
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

// TempFile creates an unfinished file. The caller must close and remove it.
func (s *Store) TempFile() (*os.File, error) { return os.CreateTemp(s.tmp, "") }

// publish closes a complete file, syncs it to disk and renames it to path. If
// that fails, it removes the file.
func publish(f *os.File, path string) error {
	if err := errors.Join(f.Chmod(0o444), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// discard closes and removes an unfinished file after an error, and returns all
// errors.
func discard(f *os.File, err error) error {
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// touch sets a file's time of use. Collect removes files in the order of these
// times.
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

// listPath returns the path of the list of a layer's images.
func (s *Store) listPath(layer pyth.LayerID) string {
	return filepath.Join(s.sets, string(layer)+listSuffix)
}

// linksPath returns the path of the image with a layer's links.
func (s *Store) linksPath(layer pyth.LayerID) string {
	return filepath.Join(s.sets, string(layer)+imageSuffix)
}

// layerOf returns the layer of a file in the directory sets.
func layerOf(name string) pyth.LayerID {
	return pyth.LayerID(strings.TrimSuffix(strings.TrimSuffix(name, listSuffix), imageSuffix))
}
