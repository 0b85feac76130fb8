package packages

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// disk is where all files are, in directories by what they are named after:
//
//	downloads/HASH        an archive, by its own hash
//	images/KEY.erofs      the files of a package, by the hash of its archive
//	sets/LAYER.erofs      what binds the images of a list together
//	sets/LAYER.json       which images those are, and where they belong
//	tmp/                  what is being made
//
// A file has its name from the moment that it is whole on. Nothing is changed
// after that, and what is deleted is still there for a sandbox that has it open.
type disk struct{ downloads, images, sets, tmp string }

// openDisk makes the directories, and removes what was being made when an
// earlier server died. Nobody else may use the directory.
func openDisk(dir string) (*disk, error) {
	d := &disk{
		downloads: filepath.Join(dir, "downloads"), images: filepath.Join(dir, "images"),
		sets: filepath.Join(dir, "sets"), tmp: filepath.Join(dir, "tmp"),
	}
	if err := os.RemoveAll(d.tmp); err != nil {
		return nil, err
	}
	for _, dir := range []string{d.downloads, d.images, d.sets, d.tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// temporary makes a file that is nothing yet.
func (d *disk) temporary() (*os.File, error) { return os.CreateTemp(d.tmp, "") }

// keep gives a temporary file its name, when it is durable.
func keep(f *os.File, path string) error {
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

const (
	imageSuffix = ".erofs"
	setSuffix   = ".json"
)

func (d *disk) imagePath(key string) string { return filepath.Join(d.images, key+imageSuffix) }

// setPath is that of the list of a layer's images.
func (d *disk) setPath(layer pyth.LayerID) string {
	return filepath.Join(d.sets, string(layer)+setSuffix)
}

// bindingPath is that of the image that binds a layer's others together.
func (d *disk) bindingPath(layer pyth.LayerID) string {
	return filepath.Join(d.sets, string(layer)+imageSuffix)
}

// layerOf is the layer of a file in sets, which is one of its two.
func layerOf(name string) pyth.LayerID {
	return pyth.LayerID(strings.TrimSuffix(strings.TrimSuffix(name, setSuffix), imageSuffix))
}
