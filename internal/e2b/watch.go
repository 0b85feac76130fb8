package e2b

import (
	"context"
	"errors"
	"strings"
	"sync"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

const (
	// maxWatchers is the maximum number of watchers of a sandbox.
	maxWatchers = 16
	// maxWatcherEvents is the maximum number of events that a watcher stores until the
	// client fetches them. maxWatcherBytes is the maximum total size of these events. The
	// size of an event is its encoded size plus eventOverhead.
	maxWatcherEvents = 10_000
	maxWatcherBytes  = 2 << 20
	eventOverhead    = 64
)

// watchers contains the watchers of a sandbox. Its zero value is usable. The mutex of
// the sandbox guards it.
type watchers struct {
	streams int
	polled  map[string]*watcher
}

// watcher collects events for a client that polls.
type watcher struct {
	stop context.CancelFunc

	mu     sync.Mutex
	events []*filesystem.FilesystemEvent
	// bytes is the total size of the events.
	bytes int
	err   error
}

func (w *watchers) closeLocked() {
	for _, p := range w.polled {
		p.stop()
	}
	w.polled = nil
}

// takeWatcher counts a new watcher. It fails if the sandbox has too many watchers.
func (x *sandbox) takeWatcher(id string, w *watcher) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.closed:
		return connect.NewError(connect.CodeUnavailable, errors.New("the sandbox has ended"))
	case x.watchers.streams+len(x.watchers.polled) >= maxWatchers:
		return connect.NewError(connect.CodeResourceExhausted, errors.New("the sandbox has the maximum number of watchers; stop one first"))
	case w == nil:
		x.watchers.streams++
	default:
		if x.watchers.polled == nil {
			x.watchers.polled = map[string]*watcher{}
		}
		x.watchers.polled[id] = w
	}
	return nil
}

func (x *sandbox) leaveWatcher() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.watchers.streams--
}

func (x *sandbox) dropWatcher(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.watchers.polled, id)
}

func (x *sandbox) watcher(id string) (*watcher, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if w := x.watchers.polled[id]; w != nil {
		return w, nil
	}
	return nil, connect.NewError(connect.CodeNotFound, errors.New("the watcher does not exist"))
}

// WatchDir sends the changes of a directory until the client disconnects.
func (s *filesystemService) WatchDir(ctx context.Context, in *filesystem.WatchDirRequest, out *connect.ServerStream[filesystem.WatchDirResponse]) error {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return err
	}
	x := accessOf(ctx).sandbox
	if err := x.takeWatcher("", nil); err != nil {
		return err
	}
	defer x.leaveWatcher()
	stream := newPinger(keepAliveOf(ctx), out.Send, &filesystem.WatchDirResponse{
		Event: &filesystem.WatchDirResponse_Keepalive{Keepalive: &filesystem.WatchDirResponse_KeepAlive{}},
	})
	defer stream.close()
	err = s.files(ctx).watch(ctx, name, depthOf(in.GetRecursive()), func() error {
		return stream.send(&filesystem.WatchDirResponse{Event: &filesystem.WatchDirResponse_Start{Start: &filesystem.WatchDirResponse_StartEvent{}}})
	}, func(kind string, e *guestEntry) error {
		return stream.send(&filesystem.WatchDirResponse{
			Event: &filesystem.WatchDirResponse_Filesystem{Filesystem: changeEvent(name, kind, e, in.GetIncludeEntry())},
		})
	})
	return s.failed(ctx, err)
}

// depthOf returns the depth of the directories that a watcher observes.
func depthOf(recursive bool) int {
	if recursive {
		return anyDepth
	}
	return 1
}

// changeEvent returns the event for a change. The name in the event is relative to the
// watched directory.
func changeEvent(root, kind string, e *guestEntry, withEntry bool) *filesystem.FilesystemEvent {
	// Clone the name, so that a kept event does not keep the whole path in memory.
	event := &filesystem.FilesystemEvent{Name: strings.Clone(strings.TrimPrefix(e.Path, root+"/"))}
	switch kind {
	case "create":
		event.Type = filesystem.EventType_EVENT_TYPE_CREATE
	case "write":
		event.Type = filesystem.EventType_EVENT_TYPE_WRITE
	case "remove":
		event.Type = filesystem.EventType_EVENT_TYPE_REMOVE
	case "chmod":
		event.Type = filesystem.EventType_EVENT_TYPE_CHMOD
	}
	if withEntry && kind != "remove" {
		event.Entry = e.info()
	}
	return event
}

// CreateWatcher starts a watcher for a client that polls.
func (s *filesystemService) CreateWatcher(ctx context.Context, in *filesystem.CreateWatcherRequest) (*filesystem.CreateWatcherResponse, error) {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	id, w := uuid.NewString(), &watcher{stop: stop}
	if err := accessOf(ctx).takeWatcher(id, w); err != nil {
		stop()
		return nil, err
	}
	begun := make(chan struct{})
	ended := make(chan struct{})
	files := s.files(ctx)
	// A hostile program in the sandbox can send the start several times, but a channel
	// can be closed only once.
	start := sync.OnceFunc(func() { close(begun) })
	go func() {
		defer close(ended)
		defer stop()
		err := files.watch(running, name, depthOf(in.GetRecursive()), func() error {
			start()
			return nil
		}, func(kind string, e *guestEntry) error {
			return w.add(changeEvent(name, kind, e, in.GetIncludeEntry()))
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = err
	}()
	select {
	case <-begun:
		return &filesystem.CreateWatcherResponse{WatcherId: id}, nil
	case <-ended:
		accessOf(ctx).dropWatcher(id)
		return nil, s.failed(ctx, w.err)
	case <-ctx.Done():
		stop()
		accessOf(ctx).dropWatcher(id)
		return nil, ctx.Err()
	}
}

// add stores an event until the client fetches it.
func (w *watcher) add(e *filesystem.FilesystemEvent) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := proto.Size(e) + eventOverhead
	if len(w.events) >= maxWatcherEvents || w.bytes+size > maxWatcherBytes {
		return connect.NewError(connect.CodeResourceExhausted, errors.New("the watcher has too many events that the client has not fetched"))
	}
	w.events = append(w.events, e)
	w.bytes += size
	return nil
}

// GetWatcherEvents returns the events since the last call.
func (s *filesystemService) GetWatcherEvents(ctx context.Context, in *filesystem.GetWatcherEventsRequest) (*filesystem.GetWatcherEventsResponse, error) {
	w, err := accessOf(ctx).watcher(in.GetWatcherId())
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 && w.err != nil {
		return nil, s.failed(ctx, w.err)
	}
	out := &filesystem.GetWatcherEventsResponse{Events: w.events}
	w.events, w.bytes = nil, 0
	return out, nil
}

// RemoveWatcher ends a watcher.
func (s *filesystemService) RemoveWatcher(ctx context.Context, in *filesystem.RemoveWatcherRequest) (*filesystem.RemoveWatcherResponse, error) {
	x := accessOf(ctx)
	w, err := x.watcher(in.GetWatcherId())
	if err != nil {
		return nil, err
	}
	w.stop()
	x.dropWatcher(in.GetWatcherId())
	return &filesystem.RemoveWatcherResponse{}, nil
}
