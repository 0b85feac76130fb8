package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxManifestBytes is the maximum size of a manifest.
const maxManifestBytes = 1 << 20

// ErrDamaged means that a file is not a complete and unchanged archive.
var ErrDamaged = errors.New("the backup is damaged")

// ErrNewer means that a newer version of the program made the archive, and this version
// cannot read it.
var ErrNewer = errors.New("the backup is from a newer version of pyth-on")

// Inspect returns the manifest of an archive. It does not read the other files.
func Inspect(path string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := begin(f)
	return m, err
}

// Verify reads a whole archive and compares it with its manifest.
func Verify(ctx context.Context, path string, progress Progress) (*Manifest, error) {
	return read(ctx, path, "Checking", progress, func(string) (io.WriteCloser, error) { return discard{io.Discard}, nil })
}

// Extract writes the files of an archive to an existing directory, and compares the
// files with the manifest. It replaces no existing files. Only the owner can read the
// new files. After an error, the caller must remove the directory.
func Extract(ctx context.Context, path, dir string, progress Progress) (*Manifest, error) {
	return read(ctx, path, "Extracting", progress, func(name string) (io.WriteCloser, error) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, err
		}
		return synced{f}, nil
	})
}

// discard is a target that drops all data.
type discard struct{ io.Writer }

func (discard) Close() error { return nil }

// The type "synced" is a file. Its method Close returns only after the content is on the
// disk.
type synced struct{ *os.File }

func (f synced) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

// begin reads the manifest. The manifest is the first file of an archive.
func begin(f io.Reader) (*Manifest, *tar.Reader, error) {
	archive := tar.NewReader(f)
	h, err := archive.Next()
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, ended(err))
	}
	if h.Name != ManifestName || h.Typeflag != tar.TypeReg || h.Size > maxManifestBytes {
		return nil, nil, fmt.Errorf("%w: it does not begin with a manifest", ErrDamaged)
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, ended(err))
	}
	m, err := readManifest(text)
	if errors.Is(err, ErrNewer) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, archive, nil
}

// read copies each file of the archive to a writer. It calls the function "open" with
// the name of the file to get the writer.
func read(ctx context.Context, path, step string, progress Progress, open func(name string) (io.WriteCloser, error)) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, archive, err := begin(f)
	if err != nil {
		return nil, err
	}
	for _, want := range m.Files {
		h, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, want.Name, ended(err))
		}
		// The name must be the name in the manifest, and readManifest accepts only known
		// names. Therefore no path can leave the target directory.
		if h.Name != want.Name || h.Typeflag != tar.TypeReg || h.Size != want.SizeBytes {
			return nil, fmt.Errorf("%w: it has the entry %q with %d bytes; the manifest lists %s with %d bytes",
				ErrDamaged, h.Name, h.Size, want.Name, want.SizeBytes)
		}
		if err := readFile(ctx, archive, want, step, progress, open); err != nil {
			return nil, err
		}
	}
	if h, err := archive.Next(); err == nil {
		return nil, fmt.Errorf("%w: it has the entry %q, which its manifest does not list", ErrDamaged, h.Name)
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, nil
}

func readFile(ctx context.Context, archive io.Reader, want File, step string, progress Progress, open func(string) (io.WriteCloser, error)) error {
	out, err := open(want.Name)
	if err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(hash, out), watch(ctx, archive, want.SizeBytes, step+" "+want.Name, progress))
	closed := out.Close()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && n != want.SizeBytes:
		return fmt.Errorf("%w: %s ends after %d bytes of %d", ErrDamaged, want.Name, n, want.SizeBytes)
	case err != nil:
		return err
	case closed != nil:
		return closed
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("%w: %s has the SHA-256 hash %s; the manifest lists %s", ErrDamaged, want.Name, got, want.SHA256)
	}
	return nil
}

// The function "ended" replaces io.EOF by an error with a message that users understand.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends too early")
	}
	return err
}
