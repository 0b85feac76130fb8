package pypi

import (
	"bufio"
	"context"
	_ "embed" // Embeds the compiler's program.
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

//go:embed compile.py
var compileProgram []byte

// The type "compiled" holds the compiled .pyc files of a package. The files are stored by
// path.
type compiled struct {
	files map[string]tree.Entry
	// spool is the temporary file that holds the content of the compiled files. If there
	// are no files, spool may be nil.
	spool *os.File
}

func (c *compiled) close() {
	if c.spool != nil {
		c.spool.Close()
		_ = os.Remove(c.spool.Name())
	}
}

// compile compiles the Python sources of a package. It uses a sandbox that contains no
// other package. If a hostile package attacks the compiler, it can change only the
// compiled files of this package. After a time-out, compile returns the files that are
// complete.
func (r *Resolver) compile(ctx context.Context, user pyth.UserID, image string, c *imagestore.Contents) (*compiled, error) {
	sources := sourcesOf(c)
	if len(sources) == 0 {
		return new(compiled), nil
	}
	layer := r.config.Images.AddTemporary(imagestore.Mount{Image: image, Path: pyth.PythonRuntime.LayerPath()})
	defer r.config.Images.RemoveTemporary(layer)
	spool, err := r.config.Images.TempFile()
	if err != nil {
		return nil, err
	}
	result := &compiled{spool: spool}
	job := r.config.Runner.Job(user, pyth.Python, compileProgram)
	job.Args = []string{pyth.PythonRuntime.LayerPath()}
	job.Layers = job.Layers.With(pyth.PythonRuntime, layer)
	job.Timeout = r.config.CompileTimeout
	// Compiled code is about as large as its source. Limit the output to four times the
	// size of the package, plus 1 MiB. Without this limit, a hostile package could fill
	// the disk.
	job.Limits.OutputBytes = min(c.Room, 4*c.Size+1<<20)
	outcome, err := pyth.Dispatch(ctx, r.config.Runner.Dispatcher, job, &stdoutWriter{to: spool})
	if err == nil && outcome.Status == pyth.StatusCanceled {
		err = errors.Join(ctx.Err(), errors.New("packages: compilation was canceled"))
	}
	if err != nil {
		result.close()
		return nil, err
	}
	result.files, err = readCompiled(spool, sources, tag(r.config.PythonVersion), c.Room-c.Size)
	if err != nil {
		result.close()
		return nil, err
	}
	return result, nil
}

func sourcesOf(c *imagestore.Contents) map[string]bool {
	sources := map[string]bool{}
	_ = c.Tree.Walk(func(path string, e tree.Entry) error {
		if e.Mode.IsRegular() && strings.HasSuffix(path, ".py") {
			sources[path] = true
		}
		return nil
	}) // The function never returns an error.
	return sources
}

// readCompiled parses the output of compile.py and returns the compiled files. The output
// may be hostile. So readCompiled accepts only one file for each source. The parameter
// "room" is the maximum size of all files together, in bytes. readCompiled stops at the
// first invalid part.
func readCompiled(f *os.File, sources map[string]bool, tag string, room int64) (map[string]tree.Entry, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	files := map[string]tree.Entry{}
	r := bufio.NewReader(f)
	at := int64(0)
	partSize := func(most int64) (size int64, ok bool) {
		var n [4]byte
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return 0, false
		}
		at += 4
		size = int64(binary.BigEndian.Uint32(n[:]))
		return size, size <= most
	}
	for {
		size, ok := partSize(imagestore.MaxPath)
		if !ok {
			return files, nil
		}
		name := make([]byte, size)
		if _, err := io.ReadFull(r, name); err != nil {
			return files, nil
		}
		at += size
		if size, ok = partSize(room); !ok {
			return files, nil
		}
		start := at
		if n, err := r.Discard(int(size)); err != nil || int64(n) != size {
			return files, nil
		}
		at += size
		path := compiledPath(string(name), tag)
		if _, taken := files[path]; taken || !sources[string(name)] {
			return files, nil
		}
		room -= size
		files[path] = tree.Entry{
			Mode: imagestore.FileMode(false), Size: size,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, start, size)), nil },
		}
	}
}

// stdoutWriter is a pyth.Events that writes the standard output of a job to a
// writer. It discards all other events.
type stdoutWriter struct{ to io.Writer }

func (*stdoutWriter) Started(pyth.ExecutionID) error { return nil }
func (*stdoutWriter) Result(pyth.Result) error       { return nil }
func (*stdoutWriter) File(pyth.File) error           { return nil }

func (w *stdoutWriter) Output(stream pyth.Stream, b []byte) error {
	if stream != pyth.Stdout {
		return nil
	}
	_, err := w.to.Write(b)
	return err
}
