package rollback

import (
	"errors"
	"fmt"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/fspath"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/eventfd"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/pipefs"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/kernel/pipe"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
	"gvisor.dev/gvisor/pkg/usermem"
	"gvisor.dev/gvisor/pkg/waiter"
)

// descriptor is a file descriptor that the process had at the checkpoint. The
// descriptors that each run gets from the agent are not included. restoreDescriptors
// creates a new file for the descriptor, so that no state of the old file remains.
type descriptor struct {
	fd    int32
	flags kernel.FDFlags
	// status contains the status flags of the open file, such as O_NONBLOCK.
	status uint32
	kind   kind
	// If the file is the reading end of a pipe, the field "other" is the descriptor of
	// the writing end.
	other int32
	// value is the value of an eventfd.
	value uint64
	// The field "content" contains the bytes in a pipe. For example, libuv keeps one byte
	// in a pipe and uses this byte as a lock.
	content []byte
	// interests are the files of an epoll instance.
	interests []interest
}

// kind is the kind of file of a descriptor.
type kind int

const (
	eventKind kind = iota
	epollKind
	pipeReadKind
	pipeWriteKind
	nullKind
)

// interest is a file that an epoll instance observes.
type interest struct {
	file  *vfs.FileDescription
	fd    int32
	event linux.EpollEvent
}

// saveDescriptors returns the descriptors of the process, except those that the agent
// gives. It returns an error if a descriptor has a state that restoreDescriptors cannot
// restore.
func saveDescriptors(t *kernel.Task, given map[int32]kernel.FDFlags) ([]descriptor, error) {
	var all []descriptor
	files := make(map[int32]*vfs.FileDescription)
	defer func() {
		for _, file := range files {
			file.DecRef(t)
		}
	}()
	for _, fd := range t.FDTable().GetFDs(t) {
		if _, isGiven := given[fd]; isGiven {
			continue
		}
		file, flags := t.FDTable().Get(fd)
		if file == nil {
			return nil, errors.New("a descriptor was closed")
		}
		files[fd] = file
		for other, same := range files {
			if other != fd && same == file {
				return nil, fmt.Errorf("descriptors %d and %d are the same file", fd, other)
			}
		}
		d := descriptor{fd: fd, flags: flags, status: file.StatusFlags()}
		if err := d.save(t, file); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", fd, err)
		}
		all = append(all, d)
	}
	for i := range all {
		if err := all[i].connect(t, files); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", all[i].fd, err)
		}
	}
	return all, nil
}

// save sets the fields of d that depend only on the file itself.
func (d *descriptor) save(t *kernel.Task, file *vfs.FileDescription) error {
	switch impl := file.Impl().(type) {
	case *eventfd.EventFileDescription:
		if d.kind = eventKind; isSemaphore(impl) {
			return errors.New("an eventfd is a semaphore")
		}
		d.value = valueOf(impl)
	case *vfs.EpollInstance:
		d.kind, d.interests = epollKind, interestsOf(impl)
	case *pipe.VFSPipeFD:
		if file.Mount().Filesystem().FilesystemType().Name() != "pipefs" {
			return errors.New("a FIFO is open")
		}
		if d.kind = pipeReadKind; file.IsWritable() {
			d.kind = pipeWriteKind
		}
	default:
		if !isNull(t, file) {
			return errors.New("a file is open")
		}
		d.kind = nullKind
	}
	return nil
}

// connect sets the fields of d that depend on other descriptors of the process.
func (d *descriptor) connect(t *kernel.Task, files map[int32]*vfs.FileDescription) error {
	for i := range d.interests {
		if n := &d.interests[i]; files[n.fd] != n.file {
			return errors.New("an epoll instance observes another file")
		}
		d.interests[i].file = nil
	}
	if d.kind != pipeReadKind && d.kind != pipeWriteKind {
		return nil
	}
	d.other = -1
	for fd, file := range files {
		if fd != d.fd && file.Dentry() == files[d.fd].Dentry() && file.IsWritable() != files[d.fd].IsWritable() {
			d.other = fd
		}
	}
	if d.other < 0 {
		return errors.New("the other end of a pipe is closed")
	}
	if d.kind == pipeReadKind {
		return d.saveContent(t, files[d.fd], files[d.other])
	}
	return nil
}

// maxPipe limits the number of bytes in a pipe of the checkpoint.
const maxPipe = 64

// saveContent saves the content of a pipe. To do this, it reads the content and writes it
// back to the pipe.
func (d *descriptor) saveContent(t *kernel.Task, from, to *vfs.FileDescription) error {
	if from.Readiness(waiter.EventIn)&waiter.EventIn == 0 {
		return nil
	}
	content := make([]byte, maxPipe+1)
	n, err := from.Read(t, usermem.BytesIOSequence(content), vfs.ReadOptions{})
	if err != nil {
		return fmt.Errorf("read a pipe: %w", err)
	}
	if _, err := to.Write(t, usermem.BytesIOSequence(content[:n]), vfs.WriteOptions{}); err != nil {
		return fmt.Errorf("write a pipe: %w", err)
	}
	if d.content = content[:n]; n > maxPipe {
		return errors.New("a pipe contains much data")
	}
	return nil
}

// restoreDescriptors creates the descriptors of the checkpoint again, with new files.
func restoreDescriptors(t *kernel.Task, all []descriptor) error {
	files := make(map[int32]*vfs.FileDescription)
	defer func() {
		for _, file := range files {
			file.DecRef(t)
		}
	}()
	for _, d := range all {
		if err := d.open(t, files); err != nil {
			return fmt.Errorf("restore descriptor %d: %w", d.fd, err)
		}
	}
	for _, d := range all {
		if len(d.content) > 0 {
			if _, err := files[d.other].Write(t, usermem.BytesIOSequence(d.content), vfs.WriteOptions{}); err != nil {
				return fmt.Errorf("restore pipe %d: %w", d.fd, err)
			}
		}
		for _, n := range d.interests {
			if err := files[d.fd].Impl().(*vfs.EpollInstance).AddInterest(files[n.fd], n.fd, n.event); err != nil {
				return fmt.Errorf("restore epoll instance %d: %w", d.fd, err)
			}
		}
		if err := files[d.fd].SetStatusFlags(t, t.Credentials(), d.status); err != nil {
			return fmt.Errorf("restore flags of descriptor %d: %w", d.fd, err)
		}
		if old, err := t.NewFDAt(d.fd, files[d.fd], d.flags); err != nil || old != nil {
			return fmt.Errorf("restore descriptor %d: %w", d.fd, err)
		}
	}
	return nil
}

// The method "open" creates the file of a descriptor. For a pipe, it also creates the
// file of the other end.
func (d *descriptor) open(t *kernel.Task, files map[int32]*vfs.FileDescription) (err error) {
	system := t.Kernel().VFS()
	switch d.kind {
	case eventKind:
		files[d.fd], err = eventfd.New(t, system, d.value, false, linux.O_RDWR)
	case epollKind:
		files[d.fd], err = system.NewEpollInstanceFD(t)
	case pipeReadKind:
		files[d.fd], files[d.other], err = pipefs.NewConnectedPipeFDs(t, t.Kernel().PipeMount(), 0)
	case pipeWriteKind: // The case of the reading end makes both ends.
	case nullKind:
		root := t.FSContext().RootDirectory()
		defer root.DecRef(t)
		files[d.fd], err = system.OpenAt(t, t.Credentials(), &vfs.PathOperation{
			Root: root, Start: root, Path: fspath.Parse("/dev/null"),
		}, &vfs.OpenOptions{Flags: d.status & (linux.O_ACCMODE | linux.O_LARGEFILE)})
	}
	return err
}

// isNull reports whether a file is /dev/null.
func isNull(t *kernel.Task, file *vfs.FileDescription) bool {
	stat, err := file.Stat(t, vfs.StatOptions{Mask: linux.STATX_TYPE})
	return err == nil && stat.Mode&linux.S_IFMT == linux.S_IFCHR && stat.RdevMajor == linux.MEM_MAJOR && stat.RdevMinor == 3
}
