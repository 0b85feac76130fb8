// Package images lets workers share images of packages through an object store. When a
// worker downloads an image from a server, it also stores the image in the object
// store. Other workers then download the image from the object store. This reduces the
// load of the servers.
//
// Objects are encrypted with keys that are derived from the joining token. A worker
// checks the hash of each image. If the object store does not have an image, the worker
// asks the server for it. So if the object store is missing, slow or under the control
// of an attacker, the workers only become slower.
package images

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Objects is an object store. Several machines must be able to use it at the same time.
type Objects interface {
	// Open opens an object. It returns fs.ErrNotExist if the object does not exist. The
	// object can change between two calls of Open.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Put creates or replaces an object. The name consists of lower-case letters and
	// digits.
	Put(ctx context.Context, name string, content io.Reader) error
}

const (
	// getTimeout is the maximum time for a download from the object store. When this
	// time is over, the worker asks the server for the image.
	getTimeout = time.Minute
	putTimeout = 10 * time.Minute
	// pause is the time for which Shared does not use the object store after a failure.
	pause = time.Minute
	// maxWaiting is the maximum number of images that wait for their upload to the
	// object store.
	maxWaiting = 256
)

// Shared downloads images from an object store, and uploads images to it. It implements
// imagestore.Shared.
type Shared struct {
	objects Objects
	keys    *keys
	logger  *slog.Logger
	waiting chan image
	stop    context.CancelFunc
	stopped sync.WaitGroup

	mu     sync.Mutex
	failed time.Time
}

// image is an image that waits for its upload to the object store.
type image struct {
	hash []byte
	path string
}

// New returns a Shared. The parameter "token" is the joining token: the secret with
// which processes join the cluster. The caller must close the result.
func New(objects Objects, token []byte, logger *slog.Logger) *Shared {
	ctx, stop := context.WithCancel(context.Background())
	s := &Shared{objects: objects, keys: &keys{token}, logger: logger, waiting: make(chan image, maxWaiting), stop: stop}
	s.stopped.Go(func() { s.store(ctx) })
	return s
}

// Close cancels the transfers that are in progress.
func (s *Shared) Close() {
	s.stop()
	s.stopped.Wait()
}

// Get writes the image with the given SHA-256 hash to the writer. It returns
// fs.ErrNotExist if the object store does not have the image or is not available at the
// moment. The caller must check the hash of the written bytes.
func (s *Shared) Get(ctx context.Context, hash []byte, to io.Writer) error {
	if s.paused() {
		return fs.ErrNotExist
	}
	within, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	err := s.get(within, hash, to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		s.fail("image not read from the object store", err)
		return fs.ErrNotExist
	}
	return err
}

func (s *Shared) get(ctx context.Context, hash []byte, to io.Writer) error {
	name, aead, err := s.keys.of(hash)
	if err != nil {
		return err
	}
	object, err := s.objects.Open(ctx, name)
	if err != nil {
		return err
	}
	return errors.Join(decrypt(to, object, aead), object.Close())
}

// Put uploads the image to the object store in the background. If too many images are
// already waiting, Put does nothing. The file must not change.
func (s *Shared) Put(hash []byte, path string) {
	select {
	case s.waiting <- image{hash, path}:
	default: // Another worker stores the image, or this worker does so after its next start.
	}
}

// The method "store" uploads waiting images until ctx ends.
func (s *Shared) store(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case i := <-s.waiting:
			if s.paused() {
				continue
			}
			if err := s.put(ctx, i); err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
				s.fail("image not written to the object store", err)
			}
		}
	}
}

func (s *Shared) put(ctx context.Context, i image) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	name, aead, err := s.keys.of(i.hash)
	if err != nil {
		return err
	}
	f, err := os.Open(i.path)
	if err != nil {
		return err // The image may have been removed from the cache.
	}
	defer f.Close()
	return s.objects.Put(ctx, name, newEncrypter(f, aead))
}

func (s *Shared) paused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.failed) < pause
}

func (s *Shared) fail(message string, err error) {
	s.mu.Lock()
	s.failed = time.Now()
	s.mu.Unlock()
	s.logger.Warn(message, "error", err, "hint", "the worker gets packages from servers, and tries the object store again after a minute")
}
