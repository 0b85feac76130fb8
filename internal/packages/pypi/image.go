package pypi

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// BuildImage writes the image of a package to the given file. The image contains the
// files of the package's wheel and the compiled files.
func (r *Resolver) BuildImage(ctx context.Context, user pyth.UserID, p *pyth.PinnedPackage, archive string, to *os.File, room int64) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return resolve.InvalidArchive(p.Name, p.Version, errZip)
	}
	defer func() { _ = z.Close() }()
	c, err := readWheel(&z.Reader, p.Name, room)
	if err != nil {
		return resolve.InvalidArchive(p.Name, p.Version, err)
	}
	if err := imagestore.WriteImage(ctx, to, c.Tree); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The wheel is damaged, for example because a file does not match its
		// checksum.
		return resolve.InvalidArchive(p.Name, p.Version, fmt.Errorf("cannot be unpacked: %w", err))
	}
	compiled, err := r.compile(ctx, user, to.Name(), c)
	if err != nil {
		return err
	}
	defer compiled.close()
	if len(compiled.files) == 0 {
		return nil
	}
	// Write the image again. The new image also contains the compiled files.
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := to.Truncate(0); err != nil {
		return err
	}
	for path, file := range compiled.files {
		if err := c.Tree.Add(path, file); err != nil {
			return err
		}
	}
	return imagestore.WriteImage(ctx, to, c.Tree)
}
