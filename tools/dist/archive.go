package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// archiveFiles returns the files in the tar file of a release. The keys are names in
// the tar file, and the values are names in the repository.
func archiveFiles() map[string]string {
	return map[string]string{
		"pyth-on":         "bin/pyth-on",
		"LICENSE":         "LICENSE",
		"README.md":       "README.md",
		"operations.md":   "docs/operations.md",
		"server.md":       "docs/server.md",
		"pyth-on.service": "deploy/systemd/pyth-on.service",
		"pyth-on.toml":    "deploy/debian/pyth-on.toml",
		"compose.yaml":    "deploy/compose/compose.yaml",
	}
}

// writeArchive writes the tar file of a release, which contains the binary and the
// documents.
func (r *release) writeArchive(to string) error {
	return createGzip(to, func(w *archive) error {
		names := archiveFiles()
		for _, name := range sorted(names) {
			if err := w.addFile("pyth-on-"+r.Version+"/"+name, r.path(names[name])); err != nil {
				return err
			}
		}
		return nil
	}, r.Time)
}

// archive writes tar files. The bytes of a tar file depend only on the contents of the
// files, so releases are reproducible.
type archive struct {
	*tar.Writer

	at time.Time
}

func (a *archive) addFile(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := a.WriteHeader(a.header(name, info.Mode(), info.Size())); err != nil {
		return err
	}
	_, err = io.Copy(a, f)
	return err
}

func (a *archive) addBytes(name string, content []byte) error {
	if err := a.WriteHeader(a.header(name, 0o644, int64(len(content)))); err != nil {
		return err
	}
	_, err := a.Write(content)
	return err
}

// header returns the tar header of a file that belongs to root. It uses only the
// executable bit of the mode, because git stores no other bit.
func (a *archive) header(name string, mode fs.FileMode, size int64) *tar.Header {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: a.at, Format: tar.FormatPAX}
	if mode&0o100 != 0 {
		h.Mode = 0o755
	}
	return h
}

func createTar(to string, add func(*archive) error, at time.Time) error {
	return create(to, func(w io.Writer) error { return writeTar(w, add, at) })
}

func createGzip(to string, add func(*archive) error, at time.Time) error {
	return create(to, func(w io.Writer) error {
		compressed := gzip.NewWriter(w)
		return errors.Join(writeTar(compressed, add, at), compressed.Close())
	})
}

func writeTar(w io.Writer, add func(*archive) error, at time.Time) error {
	a := &archive{Writer: tar.NewWriter(w), at: at}
	if err := add(a); err != nil {
		return err
	}
	return a.Close()
}

func create(to string, write func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(write(w), w.Flush(), f.Close())
}
