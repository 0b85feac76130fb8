package packages

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxArchive bounds an archive: the largest wheels of PyPI have less.
const maxArchive = 1 << 30

var errLarge = errors.New("packages: an archive is too large")

// download returns the path of the archive with the hash, from what was fetched
// before or from the source. Without a hash the one that is found is returned.
func (d *disk) download(ctx context.Context, s *source, u *url.URL, want string) (path, hash string, err error) {
	if want != "" {
		if path, err := d.downloaded(want); path != "" || err != nil {
			return path, want, err
		}
	}
	response, err := s.open(ctx, u, "")
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	if response.ContentLength > maxArchive {
		return "", "", errLarge
	}
	f, err := d.temporary()
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
		kind = sri("sha256", make([]byte, 32))
	}
	h, ok := hashOf(kind)
	if !ok {
		return "", "", fmt.Errorf("packages: a hash of an unknown kind")
	}
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(response.Body, maxArchive+1))
	if err != nil {
		return "", "", err
	}
	if n > maxArchive {
		return "", "", errLarge
	}
	algorithm, _, _ := strings.Cut(kind, "-")
	hash = sri(algorithm, h.Sum(nil))
	if want != "" && hash != want {
		return "", "", errHash
	}
	path = d.downloadPath(hash)
	// It need not be durable: it is verified again before it is used.
	return path, hash, os.Rename(f.Name(), path)
}

// downloadPath is where the archive with the hash is.
func (d *disk) downloadPath(hash string) string { return filepath.Join(d.downloads, fileName(hash)) }

// downloaded returns the path of an archive that was fetched before, "" if there
// is none that is whole.
func (d *disk) downloaded(hash string) (string, error) {
	path := d.downloadPath(hash)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, ok := hashOf(hash)
	if !ok {
		return "", nil
	}
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	if !strings.HasSuffix(hash, "-"+base64.StdEncoding.EncodeToString(h.Sum(nil))) {
		return "", os.Remove(path) // Damaged.
	}
	used(path)
	return path, nil
}

// used notes that a file is of use still, for who makes room.
func used(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}
