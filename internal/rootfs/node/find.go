package node

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	namePrefix = "node-"
	lockName   = "node.lock"
	lockRetry  = 50 * time.Millisecond
	// The names of unfinished downloads begin with temporaryPrefix.
	temporaryPrefix = ".node-fetch-"
)

// Options configures Find and Fetch.
type Options struct {
	// Dir is the directory for downloaded binaries.
	Dir string
	// Registry is the URL of the npm registry. If it is "", the package uses the registry
	// in npm's configuration.
	Registry string
	// If Progress is not nil, Fetch calls it with the name of a step and the numbers of
	// completed parts and of all parts.
	Progress func(step string, done, total int)

	release release
}

// Binary is a Node binary on this machine.
type Binary struct {
	Path string
	// Version is the version without a leading v, such as "24.21.0".
	Version string
}

// Find returns the pinned release in the directory Options.Dir. It returns nil if this
// directory does not contain the release.
func Find(options Options) (*Binary, error) {
	s := options.store()
	path, err := s.find()
	if path == "" || err != nil {
		return nil, err
	}
	return s.binary(path), nil
}

// Fetch returns the pinned release in the directory Options.Dir. If this directory does
// not contain the release, Fetch downloads it. If several processes call Fetch at the
// same time, one process downloads the release, and the others wait.
func Fetch(ctx context.Context, options Options) (*Binary, error) {
	s := options.store()
	if b, err := Find(options); b != nil || err != nil {
		return b, err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(s.Dir, lockName), flock.SetPermissions(0o600))
	defer lock.Close()
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("nodejs: lock %s: %w", s.Dir, err)
	}
	if b, err := Find(options); b != nil || err != nil {
		return b, err
	}
	if err := s.removeOthers(); err != nil {
		return nil, err
	}
	path, err := s.fetch(ctx)
	if err != nil {
		return nil, fmt.Errorf("nodejs: download Node %s: %w", s.release.version, err)
	}
	return s.binary(path), nil
}

// store is a directory of downloaded binaries.
type store struct{ Options }

func (o Options) store() *store {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.release == (release{}) {
		o.release = pinned()
	}
	return &store{o}
}

func (s *store) binary(path string) *Binary {
	return &Binary{Path: path, Version: s.release.version}
}

// prefix is the first part of the binary's file name. The second part is the checksum of
// the content. With this checksum, the method "find" detects damage.
func (s *store) prefix() string { return namePrefix + s.release.version + "-" }

// find returns the path of the binary. It returns "" if the binary does not
// exist, or is damaged.
func (s *store) find() (string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), s.prefix()) {
			continue
		}
		path := filepath.Join(s.Dir, e.Name())
		if sum, err := checksum(path); err == nil && e.Name() == s.name(sum) {
			return path, nil
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

func (s *store) name(sum uint32) string { return fmt.Sprintf("%s%08x", s.prefix(), sum) }

// removeOthers removes damaged binaries, other releases and unfinished downloads. Images
// do not need these files, because each image contains a copy of its Node binary.
func (s *store) removeOthers() error {
	entries, err := os.ReadDir(s.Dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), namePrefix) || strings.HasPrefix(e.Name(), temporaryPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(s.Dir, e.Name())))
		}
	}
	return err
}

// checksum returns the CRC-32C of a file. This checksum detects accidental damage and is
// fast.
func checksum(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return h.Sum32(), err
}
