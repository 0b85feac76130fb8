package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// objectTTL is the age at which NATS deletes an object.
	objectTTL = 30 * 24 * time.Hour
	// openTimeout is the time-out for opening the bucket.
	openTimeout = 5 * time.Second
)

// Objects is an object store in NATS. It needs the JetStream feature of NATS. The first
// use of Objects opens the bucket, or creates the bucket if it does not exist. Objects
// is safe for concurrent use.
type Objects struct {
	bus    *Bus
	bucket string

	mu    sync.Mutex
	store jetstream.ObjectStore
}

// Objects returns the object store that uses the bucket with the given name.
func (b *Bus) Objects(bucket string) *Objects { return &Objects{bus: b, bucket: bucket} }

func (o *Objects) open(ctx context.Context) (jetstream.ObjectStore, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.store != nil {
		return o.store, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	js, err := jetstream.New(o.bus.connection)
	if err != nil {
		return nil, err
	}
	o.store, err = js.ObjectStore(ctx, o.bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		// Do not change the settings of an existing bucket, because the operator may
		// have created it.
		o.store, err = js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: o.bucket, Description: "Pyth-On: file system images of the packages of users", TTL: objectTTL})
		if errors.Is(err, jetstream.ErrBucketExists) {
			o.store, err = js.ObjectStore(ctx, o.bucket)
		}
	}
	if err != nil {
		o.store = nil
		return nil, fmt.Errorf("open the object store %s of NATS, which needs JetStream: %w", o.bucket, err)
	}
	return o.store, nil
}

// Open opens an object. It returns fs.ErrNotExist if the object does not exist.
func (o *Objects) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	store, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	object, err := store.Get(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fs.ErrNotExist
	}
	return object, err
}

// Put creates or replaces an object.
func (o *Objects) Put(ctx context.Context, name string, content io.Reader) error {
	store, err := o.open(ctx)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, jetstream.ObjectMeta{Name: name}, content)
	return err
}
