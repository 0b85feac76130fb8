package e2b

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

const (
	// watchInterval is the time between two comparisons of a watched directory.
	watchInterval = 500 * time.Millisecond
	// maxWatchers limits the watchers of a sandbox, and maxWatcherEvents the events of a
	// watcher that the client has not fetched.
	maxWatchers      = 16
	maxWatcherEvents = 10_000
	// keepAliveDefault is the time between two messages of an idle stream.
	keepAliveDefault = 50 * time.Second
	keepAliveHeader  = "Keepalive-Ping-Interval"
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
	err    error
}

func (w *watchers) closeLocked() {
	for _, p := range w.polled {
		p.stop()
	}
	w.polled = nil
}

// takeWatcher counts a new watcher. It fails if the sandbox has too many.
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
	watch, err := s.newWatch(ctx, in.GetPath(), in.GetRecursive(), in.GetIncludeEntry())
	if err != nil {
		return err
	}
	x := accessOf(ctx).sandbox
	if err := x.takeWatcher("", nil); err != nil {
		return err
	}
	defer x.leaveWatcher()
	start := &filesystem.WatchDirResponse{Event: &filesystem.WatchDirResponse_Start{Start: &filesystem.WatchDirResponse_StartEvent{}}}
	if err := out.Send(start); err != nil {
		return err
	}
	idle := time.NewTicker(keepAliveOf(ctx))
	defer idle.Stop()
	return watch.run(ctx, func(events []*filesystem.FilesystemEvent) error {
		for _, e := range events {
			if err := out.Send(&filesystem.WatchDirResponse{Event: &filesystem.WatchDirResponse_Filesystem{Filesystem: e}}); err != nil {
				return err
			}
		}
		select {
		case <-idle.C:
			return out.Send(&filesystem.WatchDirResponse{Event: &filesystem.WatchDirResponse_Keepalive{Keepalive: &filesystem.WatchDirResponse_KeepAlive{}}})
		default:
			return nil
		}
	})
}

// CreateWatcher starts a watcher for a client that polls.
func (s *filesystemService) CreateWatcher(ctx context.Context, in *filesystem.CreateWatcherRequest) (*filesystem.CreateWatcherResponse, error) {
	watch, err := s.newWatch(ctx, in.GetPath(), in.GetRecursive(), in.GetIncludeEntry())
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	id, w := uuid.NewString(), &watcher{stop: stop}
	if err := accessOf(ctx).takeWatcher(id, w); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer stop()
		err := watch.run(running, w.add)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = err
	}()
	return &filesystem.CreateWatcherResponse{WatcherId: id}, nil
}

// add stores events until the client fetches them.
func (w *watcher) add(events []*filesystem.FilesystemEvent) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events)+len(events) > maxWatcherEvents {
		return connect.NewError(connect.CodeResourceExhausted, errors.New("the watcher has too many events that were not fetched"))
	}
	w.events = append(w.events, events...)
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
		return nil, w.err
	}
	out := &filesystem.GetWatcherEventsResponse{Events: w.events}
	w.events = nil
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
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.watchers.polled, in.GetWatcherId())
	return &filesystem.RemoveWatcherResponse{}, nil
}

// watch compares a directory with its earlier state.
type watch struct {
	service *filesystemService
	files   *sandboxFiles
	root    string
	depth   int
	entries bool
	before  map[string]*entry
}

// newWatch reads the first state of the directory.
func (s *filesystemService) newWatch(ctx context.Context, name string, recursive, entries bool) (*watch, error) {
	rel, err := s.locate(ctx, name)
	if err != nil {
		return nil, err
	}
	w := &watch{service: s, files: s.files(ctx), root: rel, depth: 1, entries: entries}
	if recursive {
		w.depth = 1 << 10
	}
	if w.before, err = w.read(ctx); err != nil {
		return nil, s.failed(ctx, err)
	}
	return w, nil
}

func (w *watch) read(ctx context.Context) (map[string]*entry, error) {
	entries, err := w.files.list(ctx, w.root, w.depth)
	if err != nil {
		return nil, err
	}
	state := make(map[string]*entry, len(entries))
	for _, e := range entries {
		state[e.path] = e
	}
	return state, nil
}

// run calls "send" with the changes at each interval, also if there are none. It returns
// nil when ctx ends.
func (w *watch) run(ctx context.Context, send func([]*filesystem.FilesystemEvent) error) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := w.read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return w.service.failed(ctx, err)
		}
		if err := send(w.compare(now)); err != nil {
			return err
		}
	}
}

// compare returns the changes since the last call, and remembers the new state.
func (w *watch) compare(now map[string]*entry) []*filesystem.FilesystemEvent {
	var events []*filesystem.FilesystemEvent
	add := func(kind filesystem.EventType, e *entry) {
		event := &filesystem.FilesystemEvent{Name: w.name(e), Type: kind}
		if w.entries && kind != filesystem.EventType_EVENT_TYPE_REMOVE {
			event.Entry = info(e)
		}
		events = append(events, event)
	}
	for name, e := range w.before {
		if now[name] == nil {
			add(filesystem.EventType_EVENT_TYPE_REMOVE, e)
		}
	}
	for name, e := range now {
		old := w.before[name]
		isFile := e.kind == filesystem.FileType_FILE_TYPE_FILE
		switch {
		case old == nil:
			add(filesystem.EventType_EVENT_TYPE_CREATE, e)
			if isFile {
				add(filesystem.EventType_EVENT_TYPE_WRITE, e)
			}
		case isFile && (old.size != e.size || !old.modifiedAt.Equal(e.modifiedAt)):
			add(filesystem.EventType_EVENT_TYPE_WRITE, e)
		case old.mode != e.mode:
			add(filesystem.EventType_EVENT_TYPE_CHMOD, e)
		}
	}
	w.before = now
	return events
}

// name returns the path of an entry relative to the watched directory.
func (w *watch) name(e *entry) string {
	if w.root == "." {
		return e.path
	}
	return strings.TrimPrefix(path.Clean(e.path), w.root+"/")
}

// keepAliveOf returns the interval that the client asks for.
func keepAliveOf(ctx context.Context) time.Duration {
	if call, ok := connect.CallInfoForHandlerContext(ctx); ok {
		if d, err := time.ParseDuration(call.RequestHeader().Get(keepAliveHeader) + "s"); err == nil && d >= time.Second {
			return d
		}
	}
	return keepAliveDefault
}
