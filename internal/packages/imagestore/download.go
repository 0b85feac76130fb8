package imagestore

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/index"
)

// MaxArchive is the maximum size of an archive in bytes. All wheels on PyPI are
// smaller.
const MaxArchive = 1 << 30

// ErrArchiveTooLarge reports that an archive exceeds MaxArchive.
var ErrArchiveTooLarge = errors.New("packages: the archive is too large")

// Download returns the path and the hash of an archive. The parameter "want" is the
// expected hash. If the store already has an archive with this hash, Download does not
// download the archive again. If the expected hash is "", Download always downloads the
// archive and returns its SHA-256 hash.
func (s *Store) Download(ctx context.Context, from *index.Client, u *url.URL, want string) (path, hash string, err error) {
	if want != "" {
		if path, err := s.downloaded(want); path != "" || err != nil {
			return path, want, err
		}
	}
	response, err := from.Open(ctx, u, "")
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	if response.ContentLength > MaxArchive {
		return "", "", ErrArchiveTooLarge
	}
	f, err := s.TempFile()
	if err != nil {
		return "", "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	kind := want
	if kind == "" {
		kind = SRI("sha256", make([]byte, 32))
	}
	h, ok := newHash(kind)
	if !ok {
		return "", "", errors.New("packages: the pinned hash has an unknown algorithm")
	}
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(response.Body, MaxArchive+1))
	if err != nil {
		return "", "", err
	}
	if n > MaxArchive {
		return "", "", ErrArchiveTooLarge
	}
	algorithm, _, _ := strings.Cut(kind, "-")
	hash = SRI(algorithm, h.Sum(nil))
	if want != "" && hash != want {
		return "", "", ErrHash
	}
	path = s.downloadPath(hash)
	// Do not sync the file to the disk, because the server verifies the hash of the file
	// before each use.
	return path, hash, os.Rename(f.Name(), path)
}

func (s *Store) downloadPath(hash string) string { return filepath.Join(s.downloads, fileName(hash)) }

// downloaded returns the path of the archive with the given hash. It returns "" if the
// store does not have this archive. If the stored archive is damaged, downloaded removes
// it and returns "".
func (s *Store) downloaded(hash string) (string, error) {
	path := s.downloadPath(hash)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, ok := newHash(hash)
	if !ok {
		return "", nil
	}
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	if !strings.HasSuffix(hash, "-"+base64.StdEncoding.EncodeToString(h.Sum(nil))) {
		return "", os.Remove(path) // The archive is damaged.
	}
	touch(path)
	return path, nil
}
