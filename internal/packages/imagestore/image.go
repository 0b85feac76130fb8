package imagestore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	goerofs "github.com/erofs/go-erofs"

	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// recipe is the version of the code that makes images and layers. The keys of all images
// and layers depend on recipe. Change recipe if a new version of the code makes different
// images from the same archives. The server then makes all images again.
const recipe = "1"

// imageTime is the modification time of all files in images. It is constant, because the
// same files must always give the same image.
func imageTime() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// ImageKey returns the key of an image. The parameter "parts" must contain all inputs
// that affect the content of the image.
func ImageKey(parts ...string) string {
	return fileName(append([]string{"image", recipe}, parts...)...)
}

// Image returns the size of the image with the given key. If the image does not exist,
// Image calls the function "build", which must write the image to the given file. Several
// concurrent calls with the same key call "build" only once. Image returns ErrTooLarge if
// the image is larger than "room" bytes.
func (s *Store) Image(ctx context.Context, key string, room int64, build func(to *os.File) error) (size int64, err error) {
	err = s.making.Do(ctx, key, func() error {
		path := s.ImagePath(key)
		if exists(path) {
			touch(path)
			size, err = sizeWithin(path, room)
			return err
		}
		f, err := s.TempFile()
		if err != nil {
			return err
		}
		if err := build(f); err != nil {
			return discard(f, err)
		}
		if size, err = sizeWithin(f.Name(), room); err != nil {
			return discard(f, err)
		}
		return publish(f, path)
	})
	return size, err
}

func sizeWithin(path string, room int64) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if info.Size() > room {
		return info.Size(), ErrTooLarge
	}
	return info.Size(), nil
}

// WriteImage writes an EROFS image that contains the files.
func WriteImage(ctx context.Context, to *os.File, files *tree.Tree) error {
	return erofs.Write(ctx, to, files, imageTime(), nil)
}

// openImage opens the image with the given key as a file system. The caller must close
// the returned io.Closer.
func (s *Store) openImage(key string) (fs.FS, io.Closer, error) {
	f, err := os.Open(s.ImagePath(key))
	if err != nil {
		return nil, nil, err
	}
	files, err := goerofs.Open(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return files, f, nil
}
