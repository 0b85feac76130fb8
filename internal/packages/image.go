package packages

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	goerofs "github.com/erofs/go-erofs"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
)

// recipe changes with the code that makes images, so that they are made anew.
const recipe = "1"

// imageTime is the time of all files: one that does not change.
func imageTime() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// imageKey names the image of a package's files. What is compiled depends on the
// version of Python.
func (s *Service) imageKey(p *pyth.PinnedPackage) string {
	if p.Language == pyth.Python {
		return fileName("image", recipe, s.config.PythonVersion, p.Hash)
	}
	return fileName("image", recipe, p.Hash)
}

// writeImage writes the files as an image.
func writeImage(ctx context.Context, f *os.File, files []content) error {
	tree := erofs.NewTree(imageTime())
	tree.Dir(".", 0o755)
	for _, c := range files {
		mode := fs.FileMode(0o644)
		if c.executable {
			mode = 0o755
		}
		tree.File(c.path, mode, erofs.Content{Size: c.size, Open: c.open})
	}
	return tree.Write(ctx, f, func(int64, int64) {})
}

// image sees to it that the image of a package is there, by its archive if need
// be, and tells what its files take. The archive must have the locked hash.
func (s *Service) image(ctx context.Context, user pyth.UserID, p *pyth.PinnedPackage, archive func(context.Context) (string, error), room int64) error {
	return s.making.do(ctx, s.imageKey(p), func() error {
		at := s.disk.imagePath(s.imageKey(p))
		if exists(at) {
			used(at)
			return s.measure(at, p, room)
		}
		from, err := archive(ctx)
		if err != nil {
			return err
		}
		made, err := s.disk.temporary()
		if err != nil {
			return err
		}
		if p.Language == pyth.Python {
			err = s.wheelImage(ctx, user, p, from, made, room)
		} else {
			err = s.tarballImage(ctx, p, from, made, room)
		}
		if err != nil {
			return errors.Join(err, made.Close(), os.Remove(made.Name()))
		}
		return keep(made, at)
	})
}

// measure tells what the files of an image take.
func (s *Service) measure(at string, p *pyth.PinnedPackage, room int64) error {
	info, err := os.Stat(at)
	if err != nil {
		return err
	}
	if p.SizeBytes = info.Size(); p.SizeBytes > room {
		return faulty(p.Name, p.Version, errContent)
	}
	return nil
}

func (s *Service) tarballImage(ctx context.Context, p *pyth.PinnedPackage, from string, made *os.File, room int64) error {
	compressed, err := os.Open(from)
	if err != nil {
		return err
	}
	defer compressed.Close()
	inflated, err := s.disk.temporary()
	if err != nil {
		return err
	}
	defer func() {
		inflated.Close()
		_ = os.Remove(inflated.Name())
	}()
	if err := inflate(inflated, compressed, room); err != nil {
		return faulty(p.Name, p.Version, err)
	}
	c, err := readTarball(inflated, room)
	if err != nil {
		return faulty(p.Name, p.Version, err)
	}
	if err := writeImage(ctx, made, c.files); err != nil {
		return err
	}
	return s.measure(made.Name(), p, room)
}

func (s *Service) wheelImage(ctx context.Context, user pyth.UserID, p *pyth.PinnedPackage, from string, made *os.File, room int64) error {
	z, err := zip.OpenReader(from)
	if err != nil {
		return faulty(p.Name, p.Version, errZip)
	}
	defer func() { _ = z.Close() }()
	c, err := readWheel(&z.Reader, p.Name, room)
	if err != nil {
		return faulty(p.Name, p.Version, err)
	}
	if err := writeImage(ctx, made, c.files); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// A file that is not as the archive says.
		return faulty(p.Name, p.Version, fmt.Errorf("cannot be unpacked: %w", err))
	}
	compiled, err := s.compile(ctx, user, made.Name(), c)
	if err != nil {
		return err
	}
	defer compiled.close()
	if len(compiled.files) == 0 {
		return s.measure(made.Name(), p, room)
	}
	// Once more, with what was compiled beside the sources.
	if _, err := made.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := made.Truncate(0); err != nil {
		return err
	}
	if err := writeImage(ctx, made, append(c.files, compiled.files...)); err != nil {
		return err
	}
	return s.measure(made.Name(), p, room)
}

// openImage reads an image.
func (d *disk) openImage(key string) (fs.FS, io.Closer, error) {
	f, err := os.Open(d.imagePath(key))
	if err != nil {
		return nil, nil, err
	}
	files, err := goerofs.Open(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return files, f, nil
}

// sources are the Python files among the contents.
func (c *contents) sources() map[string]bool {
	found := map[string]bool{}
	for _, f := range c.files {
		if strings.HasSuffix(f.path, ".py") {
			found[f.path] = true
		}
	}
	return found
}
