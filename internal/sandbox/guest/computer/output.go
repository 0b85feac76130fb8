package computer

import (
	"errors"
	"os"
	"sort"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// chunkBytes is the maximum size of a chunk, and the maximum size of one read.
const chunkBytes = 32 << 10

// chunkCost is the memory that each chunk needs in addition to its data, in bytes.
const chunkCost = 96

// output keeps the last output of a process. The lock of the computer protects it.
type output struct {
	// chunks contains the kept output, oldest first. The field "size" is the memory that
	// it needs in bytes.
	chunks []chunk
	size   int
	// The field "end" is the number of bytes that the process has written.
	end int64
	// The channel "changed" is closed when there is more output. It is nil if nobody
	// waits.
	changed chan struct{}
	// The field "forgotten" is true if the process is not remembered anymore.
	forgotten bool
}

// chunk is output of one stream without a gap.
type chunk struct {
	stream   int
	position int64
	data     []byte
}

func (c *chunk) cost() int { return cap(c.data) + chunkCost }

// add appends output and returns the change of the size.
func (o *output) add(stream int, b []byte) int {
	before := o.size
	if n := len(o.chunks); n > 0 {
		last := &o.chunks[n-1]
		if last.stream == stream && len(last.data)+len(b) <= chunkBytes {
			o.size -= last.cost()
			last.data = append(last.data, b...)
			o.size += last.cost()
			b = b[:0]
			o.end = last.position + int64(len(last.data))
		}
	}
	if len(b) > 0 {
		o.chunks = append(o.chunks, chunk{stream, o.end, append([]byte(nil), b...)})
		o.size += o.chunks[len(o.chunks)-1].cost()
		o.end += int64(len(b))
	}
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.size - before
}

// drop removes the oldest output until at least n bytes of memory are free, and returns
// the number of freed bytes.
func (o *output) drop(n int) int {
	freed, count := 0, 0
	for count < len(o.chunks) && freed < n {
		freed += o.chunks[count].cost()
		count++
	}
	clear(o.chunks[:count]) // Free the data now. Later, append replaces the array.
	o.chunks = o.chunks[count:]
	o.size -= freed
	return freed
}

// next returns the first kept output at or after the position. ok is false if there is
// none. The caller must not change the data. The data stays valid.
func (o *output) next(position int64) (part chunk, ok bool) {
	first := sort.Search(len(o.chunks), func(i int) bool {
		return o.chunks[i].position+int64(len(o.chunks[i].data)) > position
	})
	if first == len(o.chunks) {
		return chunk{}, false
	}
	part = o.chunks[first]
	if skip := position - part.position; skip > 0 {
		part.position, part.data = position, part.data[skip:]
	}
	part.data = part.data[:len(part.data):len(part.data)]
	return part, true
}

// keep stores output of the process. If there is too much output, it drops the oldest
// output of this process or of the process with the most kept output.
func (p *process) keep(stream int, b []byte) {
	c := p.computer
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.output.forgotten {
		return
	}
	c.kept += p.output.add(stream, b)
	if over := p.output.size - protocol.MaxProcessOutput; over > 0 {
		c.kept -= p.output.drop(over)
	}
	for c.kept > protocol.MaxSessionOutput {
		largest := p
		for _, other := range c.all {
			if other.output.size > largest.output.size {
				largest = other
			}
		}
		c.kept -= largest.output.drop(c.kept - protocol.MaxSessionOutput)
	}
}

// reader reads an output pipe or a terminal of a process.
type reader struct {
	process *process
	stream  int
	file    *os.File
	conn    syscall.RawConn
}

// newReader returns a reader of the descriptor, which must be non-blocking.
func newReader(p *process, stream int, file *os.File) (*reader, error) {
	conn, err := file.SyscallConn()
	return &reader{p, stream, file, conn}, err
}

// run keeps all output until no process can write to the pipe or terminal anymore. After
// the end of the process, its children may still write.
func (r *reader) run() {
	defer r.process.reading.Add(-1)
	defer func() { _ = r.file.Close() }()
	for {
		var n int
		var err error
		// Wait without a buffer. So a process that writes nothing needs no memory for a
		// buffer.
		waitErr := r.conn.Read(func(fd uintptr) bool {
			c := r.process.computer
			c.buffering.Lock()
			defer c.buffering.Unlock()
			n, err = r.readLocked(fd, chunkBytes)
			return !errors.Is(err, unix.EAGAIN)
		})
		if waitErr != nil || err != nil || n == 0 {
			return
		}
	}
}

// readLocked reads and keeps output that is available now. The caller must hold the lock
// of the buffer.
func (r *reader) readLocked(fd uintptr, most int) (int, error) {
	c := r.process.computer
	if c.buffer == nil {
		c.buffer = make([]byte, chunkBytes)
	}
	for {
		n, err := unix.Read(int(fd), c.buffer[:min(most, chunkBytes)])
		if err == unix.EINTR {
			continue
		}
		if n > 0 {
			r.process.keep(r.stream, c.buffer[:n])
		}
		return n, err
	}
}

// drain keeps the output that is available now, at most one full pipe. The method run may
// have read output that it has not kept yet. So drain takes the lock before it looks at
// the pipe.
func (r *reader) drain() {
	c := r.process.computer
	c.buffering.Lock()
	defer c.buffering.Unlock()
	_ = r.conn.Control(func(fd uintptr) {
		left, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		for err == nil && left > 0 {
			var n int
			if n, err = r.readLocked(fd, left); n <= 0 {
				return
			}
			left -= n
		}
	})
}
