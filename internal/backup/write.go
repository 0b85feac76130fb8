package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Progress receives the name of a step and two numbers: the completed bytes or entries,
// and all bytes or entries.
type Progress func(step string, done, total int64)

// Write writes an archive to a new file. Only the owner can read this file. The
// parameter "files" maps the names in the archive to paths. Write sets the fields Format
// and Files of the manifest m.
func Write(ctx context.Context, path string, m *Manifest, files map[string]string, progress Progress) (err error) {
	if err := describe(ctx, m, files, progress); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(writeTo(ctx, out, m, files, progress), out.Sync(), out.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// describe sets the fields Format and Files of the manifest.
func describe(ctx context.Context, m *Manifest, files map[string]string, progress Progress) error {
	m.Format, m.Files = format, nil
	for _, name := range []string{RootKeyName, DatabaseName} {
		path, ok := files[name]
		if !ok {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		hash := sha256.New()
		_, err = io.Copy(hash, watch(ctx, f, info.Size(), "Hashing "+name, progress))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		m.Files = append(m.Files, File{Name: name, SizeBytes: info.Size(), SHA256: hex.EncodeToString(hash.Sum(nil))})
	}
	return nil
}

func writeTo(ctx context.Context, out io.Writer, m *Manifest, files map[string]string, progress Progress) error {
	archive := tar.NewWriter(out)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(header(m, ManifestName, int64(len(text)))); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := archive.WriteHeader(header(m, f.Name, f.SizeBytes)); err != nil {
			return err
		}
		in, err := os.Open(files[f.Name])
		if err != nil {
			return err
		}
		_, err = io.Copy(archive, watch(ctx, in, f.SizeBytes, "Writing "+f.Name, progress))
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return archive.Close()
}

func header(m *Manifest, name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o600, Size: size, ModTime: m.CreatedAt}
}

// The type "watched" is a reader that reports its progress. It fails when its context
// ends.
type watched struct {
	io.Reader
	ctx      context.Context
	step     string
	progress Progress
	done     int64
	total    int64
}

func watch(ctx context.Context, r io.Reader, total int64, step string, progress Progress) io.Reader {
	return &watched{Reader: r, ctx: ctx, step: step, progress: progress, total: total}
}

func (w *watched) Read(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.Reader.Read(b)
	w.done += int64(n)
	w.progress(w.step, w.done, w.total)
	return n, err
}
