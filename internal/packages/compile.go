package packages

import (
	"bufio"
	"context"
	_ "embed" // For the program.
	"encoding/binary"
	"errors"
	"io"
	"os"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

//go:embed compile.py
var compileProgram []byte

// compiled are the compiled forms of a package's sources.
type compiled struct {
	files []content
	spool *os.File
}

func (c *compiled) close() {
	if c.spool != nil {
		c.spool.Close()
		_ = os.Remove(c.spool.Name())
	}
}

// compile has the sources in an image compiled, in a sandbox that has that
// package and nothing else: what a package could do to the compiler, it could do
// only to itself. One that does not compile in time is taken without.
func (s *Service) compile(ctx context.Context, user pyth.UserID, image string, c *contents) (*compiled, error) {
	sources := c.sources()
	if len(sources) == 0 {
		return new(compiled), nil
	}
	layer := s.images.addTemporary(pyth.PythonRuntime, image)
	defer s.images.removeTemporary(layer)
	spool, err := s.disk.temporary()
	if err != nil {
		return nil, err
	}
	made := &compiled{spool: spool}
	job := s.job(user, pyth.Python, compileProgram)
	job.Args = []string{guest.PythonLayerPath}
	job.Layers.Python = layer
	job.Timeout = s.config.CompileTimeout
	// Marshalled code is about as large as its source; a package of sources that
	// grow has no room for all.
	job.Limits.OutputBytes = min(c.room, 4*c.size+1<<20)
	outcome, err := s.config.Dispatcher.Dispatch(ctx, job, &spooled{to: spool})
	if err == nil && outcome.Status == pyth.StatusCanceled {
		err = errors.Join(ctx.Err(), errors.New("packages: compiling was canceled"))
	}
	if err != nil {
		made.close()
		return nil, err
	}
	made.files, err = readCompiled(spool, sources, s.config.PythonTag, c.room-c.size)
	if err != nil {
		made.close()
		return nil, err
	}
	return made, nil
}

// readCompiled reads what the sandbox wrote, which may be anything: it takes
// parts for sources that there are, once each, as long as there is room.
func readCompiled(f *os.File, sources map[string]bool, tag string, room int64) ([]content, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var files []content
	r := bufio.NewReader(f)
	at := int64(0)
	part := func(most int64) (size int64, ok bool) {
		var n [4]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return 0, false
		}
		at += 4
		size = int64(binary.BigEndian.Uint32(n[:]))
		return size, size <= most
	}
	taken := map[string]bool{}
	for {
		size, ok := part(maxPath)
		if !ok {
			return files, nil
		}
		name := make([]byte, size)
		if _, err := io.ReadFull(r, name); err != nil {
			return files, nil
		}
		at += size
		if size, ok = part(room); !ok {
			return files, nil
		}
		start := at
		if n, err := r.Discard(int(size)); err != nil || int64(n) != size {
			return files, nil
		}
		at += size
		source := string(name)
		if !sources[source] || taken[source] {
			return files, nil
		}
		taken[source] = true
		room -= size
		files = append(files, content{
			path: compiledPath(source, tag), size: size,
			open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, start, size)), nil },
		})
	}
}

// spooled writes what a job prints to a file.
type spooled struct{ to io.Writer }

func (*spooled) Started(pyth.ExecutionID) error { return nil }
func (*spooled) Result(pyth.Result) error       { return nil }
func (*spooled) File(pyth.File) error           { return nil }

func (s *spooled) Output(stream pyth.Stream, b []byte) error {
	if stream != pyth.Stdout {
		return nil
	}
	_, err := s.to.Write(b)
	return err
}
