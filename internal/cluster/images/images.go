// Package images shares the images of packages between workers through an object store.
// The first worker that downloads an image from a server stores the image in the object
// store. Other workers download the image from the object store, so that the servers
// have less work.
//
// Objects are encrypted with keys that derive from the joining token. A worker checks
// the hash of each image, and asks the server for images that the object store does not
// have. So a missing, slow or hostile object store only makes workers slower.
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

// Objects is an object store. It must be safe for concurrent use by several machines.
type Objects interface {
	// Open opens an object. It returns fs.ErrNotExist if there is no such object. The
	// object can change between two calls.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Put creates or replaces an object. The name consists of lower-case letters and
	// digits.
	Put(ctx context.Context, name string, content io.Reader) error
}

const (
	// getTimeout is the maximum time for a download from the object store. After this
	// time, the worker asks the server for the image.
	getTimeout = time.Minute
	putTimeout = 10 * time.Minute
	// pause is the time after a failure during which Shared does not use the object
	// store.
	pause = time.Minute
	// maxWaiting is the maximum number of images that wait until they are stored.
	maxWaiting = 256
)

// Shared gets images from an object store, and adds images to it. It implements
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

// image is an image that waits until Shared stores it.
type image struct {
	hash []byte
	path string
}

// New returns a Shared. The parameter "token" is the secret with which processes join
// the cluster. The caller must close the result.
func New(objects Objects, token []byte, logger *slog.Logger) *Shared {
	ctx, stop := context.WithCancel(context.Background())
	s := &Shared{objects: objects, keys: &keys{token}, logger: logger, waiting: make(chan image, maxWaiting), stop: stop}
	s.stopped.Go(func() { s.store(ctx) })
	return s
}

// Close ends the transfers that are in progress.
func (s *Shared) Close() {
	s.stop()
	s.stopped.Wait()
}

// Get writes the image with the given SHA-256 hash to the writer. It returns
// fs.ErrNotExist if the object store does not have the image or cannot be used now. The
// caller must check the hash of the written bytes.
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

// Put stores the image in the object store in the background. If too many images
// already wait, it does nothing. The file must not change.
func (s *Shared) Put(hash []byte, path string) {
	select {
	case s.waiting <- image{hash, path}:
	default: // Another worker will store the image, or this one after its next start.
	}
}

// The method "store" stores waiting images until ctx ends.
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
