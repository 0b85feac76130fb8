package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// Limits of watches. Programs can create directories and events without limits.
const (
	// maxWatchers is the maximum number of watch operations at the same time.
	maxWatchers = 8
	// maxWatched is the maximum number of directories that one operation watches.
	maxWatched = 4096
	// maxQueued is the maximum number of events that wait for the host.
	maxQueued = 1024
)

// watchMask selects the events of a directory.
const watchMask = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// renameWait is the time within which the second half of a rename must follow the first.
const renameWait = 50 * time.Millisecond

// watcher reports the changes below a directory.
type watcher struct {
	files     *Files
	inotify   *os.File
	fd        int
	recursive bool
	// dirs maps watch descriptors to paths of directories. root is the descriptor of the
	// first directory.
	dirs map[int]string
	root int

	queue chan protocol.Event
	// The field "lost" is true if events could not be queued since the last overflow
	// event.
	lost atomic.Bool
	// The field "last" is the last event of the current batch.
	last protocol.Event
	// The field "moved" is the first half of a rename, whose second half may follow.
	moved  *protocol.Event
	cookie uint32
}

// watch reports changes until the directory is removed, or the host closes the stream.
func (f *Files) watch(conn *protocol.Conn, m *protocol.FileRequest) error {
	if f.watchers.Add(1) > maxWatchers {
		f.watchers.Add(-1)
		return done(conn, false, unix.EMFILE)
	}
	defer f.watchers.Add(-1)
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return done(conn, false, err)
	}
	w := &watcher{
		files: f, inotify: os.NewFile(uintptr(fd), "inotify"), fd: fd, recursive: m.Recursive,
		dirs: make(map[int]string), queue: make(chan protocol.Event, maxQueued),
	}
	if w.root, err = w.add(m.Path, 0, false); err != nil {
		return done(conn, false, errors.Join(err, w.inotify.Close()))
	}
	if err := done(conn, false, nil); err != nil {
		return errors.Join(err, w.inotify.Close())
	}
	go func() {
		// The host sends nothing more, so an error means that it has closed the stream.
		_, _, _ = conn.Receive()
		_ = w.inotify.Close()
	}()
	var sender sync.WaitGroup
	sender.Go(func() { w.send(conn) })
	w.read()
	close(w.queue)
	sender.Wait()
	_ = w.inotify.Close()
	return nil
}

// send sends queued events, and a Done when no more events follow.
func (w *watcher) send(conn *protocol.Conn) {
	for e := range w.queue {
		if conn.SendMessage(protocol.KindEvent, &e) != nil {
			_ = w.inotify.Close()
			return
		}
		if w.lost.Swap(false) && conn.SendMessage(protocol.KindEvent, &protocol.Event{Type: protocol.EventOverflow}) != nil {
			_ = w.inotify.Close()
			return
		}
	}
	_ = done(conn, false, nil)
}

// emit queues an event. If the queue is full, the event is lost.
func (w *watcher) emit(e protocol.Event) {
	if e == w.last && e.Type == protocol.EventWrite {
		return // The program writes one file in many parts, so one event is enough.
	}
	w.last = e
	select {
	case w.queue <- e:
	default:
		w.lost.Store(true)
	}
}

// add watches a directory and, in a recursive watch, the directories below it. If
// announce is true, it reports the entries that it finds. It returns the watch descriptor.
func (w *watcher) add(name string, depth int, announce bool) (int, error) {
	fd, err := w.files.openDirectory(name)
	if err != nil {
		return -1, err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	if len(w.dirs) >= maxWatched || depth >= maxDepth {
		w.lost.Store(true)
		return -1, unix.EMFILE
	}
	// This path leads to the open directory, even if a program has replaced the directory
	// since then.
	wd, err := unix.InotifyAddWatch(w.fd, "/proc/self/fd/"+strconv.Itoa(fd), watchMask)
	if err != nil {
		return -1, err
	}
	w.dirs[wd] = name
	if !w.recursive {
		return wd, nil
	}
	entries, err := dir.ReadDir(maxEntries)
	if err != nil {
		return wd, nil // The directory is empty or no longer exists.
	}
	for _, e := range entries {
		full := path.Join(name, e.Name())
		if workpath.Fault(full) != "" {
			continue
		}
		if announce {
			w.emit(protocol.Event{Type: protocol.EventCreate, Path: full, Directory: e.IsDir()})
		}
		if e.IsDir() {
			// Ignore the error: a program may have removed the directory.
			_, _ = w.add(full, depth+1, announce)
		}
	}
	return wd, nil
}

// read reads events until the directory is removed, or the descriptor is closed.
func (w *watcher) read() {
	buffer := make([]byte, 64<<10)
	for {
		deadline := time.Time{}
		if w.moved != nil {
			deadline = time.Now().Add(renameWait)
		}
		_ = w.inotify.SetReadDeadline(deadline)
		n, err := w.inotify.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.flushMoved()
			continue
		}
		if err != nil || !w.handleAll(buffer[:n]) {
			return
		}
	}
}

// handleAll handles a batch of events. It returns false if the watch has ended.
func (w *watcher) handleAll(batch []byte) bool {
	w.last = protocol.Event{}
	for len(batch) >= unix.SizeofInotifyEvent {
		wd, mask, cookie := int(int32(binary.NativeEndian.Uint32(batch))), binary.NativeEndian.Uint32(batch[4:]), binary.NativeEndian.Uint32(batch[8:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(batch[12:]))
		if end > len(batch) {
			return false
		}
		name, _, _ := bytes.Cut(batch[unix.SizeofInotifyEvent:end], []byte{0})
		batch = batch[end:]
		if !w.handle(wd, mask, cookie, string(name)) {
			return false
		}
	}
	return true
}

func (w *watcher) handle(wd int, mask, cookie uint32, name string) bool {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		w.lost.Store(true)
		return true
	}
	dir, known := w.dirs[wd]
	if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_IGNORED) != 0 {
		if mask&unix.IN_MOVE_SELF == 0 {
			delete(w.dirs, wd)
		}
		return wd != w.root
	}
	full := path.Join(dir, name)
	if !known || workpath.Fault(full) != "" {
		return true
	}
	e := protocol.Event{Path: full, Directory: mask&unix.IN_ISDIR != 0}
	if w.moved != nil && (mask&unix.IN_MOVED_TO == 0 || cookie != w.cookie) {
		w.flushMoved()
	}
	switch {
	case mask&unix.IN_MOVED_FROM != 0:
		e.Type = protocol.EventRemove
		w.moved, w.cookie = &e, cookie
	case mask&unix.IN_MOVED_TO != 0 && w.moved != nil:
		e.Type, e.From = protocol.EventRename, w.moved.Path
		w.moved = nil
		w.emit(e)
		w.renamed(&e)
	case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		e.Type = protocol.EventCreate
		w.emit(e)
		if e.Directory && w.recursive {
			_, _ = w.add(full, strings.Count(full, "/")+1, true)
		}
	case mask&unix.IN_DELETE != 0:
		e.Type = protocol.EventRemove
		w.emit(e)
	case mask&unix.IN_MODIFY != 0:
		e.Type = protocol.EventWrite
		w.emit(e)
	}
	return true
}

// renamed changes the paths of watched directories after a rename.
func (w *watcher) renamed(e *protocol.Event) {
	for wd, dir := range w.dirs {
		if dir == e.From || strings.HasPrefix(dir, e.From+"/") {
			w.dirs[wd] = e.Path + strings.TrimPrefix(dir, e.From)
		}
	}
}

// flushMoved handles a file or directory that was moved to an unwatched directory. It
// reports the removal, and ends the watches of the directory and of all directories below
// it.
func (w *watcher) flushMoved() {
	e := w.moved
	if w.moved = nil; e == nil {
		return
	}
	w.emit(*e)
	for wd, dir := range w.dirs {
		if dir == e.Path || strings.HasPrefix(dir, e.Path+"/") {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
			delete(w.dirs, wd)
		}
	}
}
