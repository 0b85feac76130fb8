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

// BuildImage writes the image of a wheel. The image includes compiled files.
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
	if err := imagestore.WriteImage(ctx, to, c.Files); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The content of a file does not match its checksum in the header.
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
	// Write the image again, now with the compiled files.
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := to.Truncate(0); err != nil {
		return err
	}
	return imagestore.WriteImage(ctx, to, append(c.Files, compiled.files...))
}
