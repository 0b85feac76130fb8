package node

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// binaryInPackage is the path of the binary in the npm packages that contain Node.
const binaryInPackage = "package/bin/node"

// stallTimeout is the maximum time for which the registry may send no data. After this
// time, the download fails.
const stallTimeout = time.Minute

var (
	errIntegrity = errors.New("the package from the registry does not have the hash of the release")
	errTooLarge  = errors.New("the package from the registry is larger than the release")
	errStalled   = errors.New("the registry sent no data in time")
)

// fetch downloads the release and returns the path of the binary.
func (s *store) fetch(ctx context.Context) (string, error) {
	registry := s.Registry
	if registry == "" {
		var err error
		if registry, err = Registry(ctx); err != nil {
			return "", err
		}
	}
	address, err := s.release.address(registry)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	// The default HTTP client uses the proxies that environment variables configure.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", contextCause(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", address, response.Status)
	}
	body := &progressReader{
		r: response.Body, total: response.ContentLength, stalled: stalled,
		tell: func(done, total int) { s.Progress("Downloading Node "+s.release.version, done, total) },
	}
	path, err := s.install(body)
	if err != nil {
		return "", contextCause(ctx, err)
	}
	body.finish()
	return path, nil
}

// contextCause returns the reason why ctx has ended. If ctx has not ended, it returns
// err.
func contextCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// address returns the URL of the release in the registry.
func (r release) address(registry string) (string, error) {
	u, err := url.Parse(registry)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is not the URL of a registry", registry)
	}
	return u.JoinPath(r.name, "-", r.name+"-"+r.version+".tgz").String(), nil
}

// install extracts the binary from the package. The file gets its final name only
// if the package has the pinned hash.
func (s *store) install(body io.Reader) (path string, err error) {
	f, err := os.CreateTemp(s.Dir, temporaryPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	hash := sha512.New()
	limited := &limitedReader{r: io.TeeReader(body, hash), left: maxPackage}
	extracted := extract(f, limited)
	// Read the bytes after the end of the archive, because the hash also covers these
	// bytes. If the hash is wrong, return the error about the hash instead of an error of
	// the extraction.
	if _, err := io.Copy(io.Discard, limited); err != nil {
		return "", err
	}
	want, err := base64.StdEncoding.DecodeString(s.release.integrity)
	if err != nil {
		return "", err
	}
	if subtle.ConstantTimeCompare(hash.Sum(nil), want) != 1 {
		return "", errIntegrity
	}
	if extracted != nil {
		return "", extracted
	}
	if err := errors.Join(f.Chmod(0o755), f.Sync()); err != nil {
		return "", err
	}
	sum, err := checksum(f.Name())
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.Dir, s.name(sum))
	if err := os.Rename(f.Name(), path); err != nil {
		return "", err
	}
	d, err := os.Open(s.Dir)
	if err != nil {
		return "", err
	}
	return path, errors.Join(d.Sync(), d.Close())
}

// extract writes the Node binary of the package to w.
func extract(w io.Writer, compressed io.Reader) error {
	content, err := gzip.NewReader(compressed)
	if err != nil {
		return err
	}
	archive := tar.NewReader(&limitedReader{r: content, left: maxContent})
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the package has no %s", binaryInPackage)
		}
		if err != nil {
			return err
		}
		if header.Name != binaryInPackage {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return fmt.Errorf("%s is not a regular file", binaryInPackage)
		}
		_, err = io.Copy(w, &limitedReader{r: archive, left: maxBinary})
		return err
	}
}

// limitedReader is a reader that returns an error if it reads more bytes than the limit.
// The field "left" is the number of bytes that it may still read.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// progressReader is a reader that reports the number of read bytes. Each read restarts
// the timer that detects a server that sends no data.
type progressReader struct {
	r        io.Reader
	stalled  *time.Timer
	done     int64
	total    int64
	reported int
	tell     func(done, total int)
}

const mib = 1 << 20

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.stalled.Reset(stallTimeout)
	p.done += int64(n)
	// Do not report the last part. The caller reports it after it has checked the
	// download.
	if parts := int(p.done / mib); parts > p.reported && p.done < p.total {
		p.reported = parts
		p.tell(parts, p.parts())
	}
	return n, err
}

func (p *progressReader) parts() int { return int((max(p.total, p.done) + mib - 1) / mib) }

func (p *progressReader) finish() { p.tell(p.parts(), p.parts()) }

func trimmed(output []byte) string { return strings.TrimSpace(string(output)) }
