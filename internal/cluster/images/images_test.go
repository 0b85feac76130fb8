package images_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/cluster/bus"
	"github.com/pyth-on/pyth-on/internal/cluster/bus/natstest"
	"github.com/pyth-on/pyth-on/internal/cluster/images"
)

var token = []byte("a joining token for tests")

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newImage writes a file with random content, and returns the hash and the path of the
// file.
func newImage(t *testing.T, size int) (content, hash []byte, path string) {
	t.Helper()
	content = make([]byte, size)
	_, _ = rand.Read(content) // Never fails.
	copy(content, "canary-content-of-an-image")
	path = filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return content, sum[:], path
}

// await calls Get again and again until the object store has the image.
func await(t *testing.T, s *images.Shared, hash []byte) []byte {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var got bytes.Buffer
		err := s.Get(t.Context(), hash, &got)
		if err == nil {
			return got.Bytes()
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func openNATS(t *testing.T) images.Objects {
	t.Helper()
	n := natstest.Start(t, "--jetstream", "--store_dir", t.TempDir())
	b, err := bus.Open(bus.Config{URLs: n.URL, Name: "test", Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Objects("pyth-on-images")
}

func TestWorkersShareImages(t *testing.T) {
	t.Parallel()
	for name, objects := range map[string]images.Objects{"directory": images.Directory(t.TempDir()), "NATS": openNATS(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := images.New(objects, token, discard()), images.New(objects, token, discard())
			defer first.Close()
			defer second.Close()
			for _, size := range []int{64 << 10, 64<<10 + 1, 1 << 20, 3<<20 + 12345} {
				content, hash, path := newImage(t, size)
				if err := second.Get(t.Context(), hash, io.Discard); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("a missing image: %v", err)
				}
				first.Put(hash, path)
				if got := await(t, second, hash); !bytes.Equal(got, content) {
					t.Errorf("an image of %d bytes has %d bytes", size, len(got))
				}
			}
			// A cluster with a different token must not be able to read the images.
			_, hash, path := newImage(t, 1000)
			first.Put(hash, path)
			await(t, second, hash)
			foreign := images.New(objects, []byte("another joining token"), discard())
			defer foreign.Close()
			if err := foreign.Get(t.Context(), hash, io.Discard); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("with another token: %v", err)
			}
		})
	}
}

func TestObjectsAreEncrypted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := images.New(images.Directory(dir), token, discard())
	defer s.Close()
	_, hash, path := newImage(t, 200_000)
	s.Put(hash, path)
	await(t, s, hash)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("canary")) {
			t.Error("the object contains the image in clear")
		}
		// Get must treat a damaged object like a missing object.
		b[len(b)-1] ^= 1
		return errors.Join(err, os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
	})
	if err != nil || files != 1 {
		t.Fatal(files, err)
	}
	if err := s.Get(t.Context(), hash, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a damaged object: %v", err)
	}
}

// stuck is an object store that never answers.
type stuck struct {
	mu    sync.Mutex
	calls int
}

func (s *stuck) Open(ctx context.Context, _ string) (io.ReadCloser, error) {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *stuck) Put(ctx context.Context, _ string, _ io.Reader) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStuckObjectStoreIsNotUsedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := new(stuck)
		s := images.New(objects, token, discard())
		defer s.Close()
		began := time.Now()
		for range 10 {
			if err := s.Get(t.Context(), make([]byte, 32), io.Discard); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 2*time.Minute || objects.calls != 1 {
			t.Errorf("%d calls in %v", objects.calls, took)
		}
		time.Sleep(2 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Get(ctx, make([]byte, 32), io.Discard); err == nil || objects.calls != 2 {
			t.Errorf("after a pause: %v, %d calls", err, objects.calls)
		}
	})
}

// TestDirectoryRefusesSpecialFiles checks that a named pipe in the directory does not
// block the worker. It also checks that the worker does not follow symbolic links.
func TestDirectoryRefusesSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	d := images.Directory(dir)
	if err := os.Mkdir(filepath.Join(dir, "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "ab", "abpipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "ab", "ablink")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"abpipe", "ablink"} {
		if f, err := d.Open(t.Context(), name); err == nil {
			_ = f.Close()
			t.Errorf("%s was opened", name)
		}
	}
}
