package rootfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
	"github.com/pyth-on/pyth-on/internal/rootfs/oci"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// runtimeRecipe is what recipe is, for images of runtimes.
const runtimeRecipe = "runtime 1"

// Runtime is an image of a root file system of the operator's own.
type Runtime struct {
	// Path is that of the EROFS image.
	Path string `json:"-"`
	// Python is the version of the Python inside, Node that of the Node; "" if
	// there is none.
	Python string `json:"python,omitempty"`
	Node   string `json:"node,omitempty"`
}

// RuntimeOptions are how to make an image of a runtime.
type RuntimeOptions struct {
	// Progress and Logger are as in Options.
	Progress func(step string, done, total int)
	Logger   *slog.Logger
	// Try runs a program in a sandbox: what is in the image is nobody's to run on
	// this machine.
	Try func(ctx context.Context, t Trial) error
}

// Trial is a program to be run in a sandbox of an image.
type Trial struct {
	Image string
	// Language is "python" or "javascript".
	Language string
	Program  []byte
	// Files are beside it, by their path.
	Files map[string][]byte
	// Output is the file that it leaves, and Read takes what that holds.
	Output string
	Read   func(io.Reader) error
}

// BuildRuntime makes an image of the root file system in a directory or in a
// file (see package oci), or finds it in dir: it is named after what the source
// holds, which is read for that each time. What is needed of ours is laid over
// it: the agent, places to mount on, users. Making it takes about a minute for
// what numpy and pandas come with, since all that Python can import is compiled,
// and in passing three times as much disk as the source has.
//
// The error says what the source lacks if it can run neither Python nor Node.
func BuildRuntime(ctx context.Context, dir, source string, options RuntimeOptions) (*Runtime, error) {
	b := &builder{Options: Options{Progress: options.Progress, Logger: options.Logger}, dir: dir, plan: make(plan)}
	b.fillIn()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b.Progress("Reading "+source, 0, 1)
	digest, err := digest(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("rootfs: reading %s: %w", source, err)
	}
	b.Progress("Reading "+source, 1, 1)
	r := &runtimeBuilder{builder: b, try: options.Try, extra: make(plan)}
	if err := r.fillPlans(); err != nil {
		return nil, err
	}
	b.prefix = imagePrefix + b.plan.key(r.extra.key(runtimeRecipe+" "+compileProgram+" "+digest)) + "-"
	path, err := b.findOrMake(ctx, func(ctx context.Context, work string) (string, error) {
		r.work = work
		return r.make(ctx, source)
	})
	if err != nil {
		return nil, fmt.Errorf("rootfs: making a runtime of %s: %w", source, err)
	}
	return readBehind(path)
}

// digest names what a directory or a file holds.
func digest(ctx context.Context, source string) (string, error) {
	info, err := os.Stat(source)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if !info.IsDir() {
		f, err := os.Open(source)
		if err != nil {
			return "", err
		}
		defer f.Close()
		_, err = io.CopyBuffer(h, f, make([]byte, 1<<20))
		return hex.EncodeToString(h.Sum(nil)), err
	}
	root, err := os.OpenRoot(source)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	files, err := tree.New(os.TempDir())
	if err != nil {
		return "", err
	}
	defer func() { _ = files.Close() }()
	if err := files.Directory(ctx, root); err != nil {
		return "", err
	}
	err = files.Walk(func(path string, e tree.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %v %q %d\n", path, e.Mode, e.Target, e.Size)
		if !e.Mode.IsRegular() {
			return nil
		}
		r, err := e.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(h, r)
		return errors.Join(err, r.Close())
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// runtimeBuilder makes the image of a runtime.
type runtimeBuilder struct {
	*builder
	// extra is what an image gets only if it has nothing there.
	extra plan
	work  string
	try   func(context.Context, Trial) error
	tree  *tree.Tree
	info  Runtime
}

// make makes the image: a first one, in which Python compiles what it can
// import, and then the one with that.
func (r *runtimeBuilder) make(ctx context.Context, source string) (path string, err error) {
	if r.tree, err = tree.New(r.work); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.tree.Close()) }()
	closed, err := r.read(ctx, source)
	if err != nil {
		return "", err
	}
	defer closed()
	found, err := r.prepare()
	if err != nil {
		return "", err
	}
	first := filepath.Join(r.work, "first")
	if _, err := r.writeFile(ctx, r.erofs(), first, nil); err != nil {
		return "", err
	}
	if found.python {
		err = r.compile(ctx, first)
	}
	if err == nil && found.node {
		err = r.examineNode(ctx, first)
	}
	if err != nil {
		return "", err
	}
	behind, err := r.info.behind()
	if err != nil {
		return "", err
	}
	return r.write(ctx, r.erofs(), filepath.Join(r.work, "image"), behind)
}

// read reads the source into the tree, which may need it until closed is called.
func (r *runtimeBuilder) read(ctx context.Context, source string) (closed func(), err error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(source)
		if err != nil {
			return nil, err
		}
		if err := r.tree.Directory(ctx, root); err != nil {
			return nil, errors.Join(err, root.Close())
		}
		return func() { _ = root.Close() }, nil
	}
	image, err := oci.Open(source, r.work)
	if err != nil {
		return nil, err
	}
	err = image.Layers(
		func(layer io.Reader) error { return r.tree.Layer(ctx, layer) },
		func(done, total int) { r.Progress("Unpacking the layers of "+filepath.Base(source), done, total) },
	)
	return func() {}, errors.Join(err, image.Close())
}

// prepare lays over the tree what of ours belongs into it.
func (r *runtimeBuilder) prepare() (interpreters, error) {
	// The times of compiled files do not match those of sources any more.
	var stale []string
	err := r.tree.Walk(func(path string, e tree.Entry) error {
		if e.Mode.IsDir() && filepath.Base(path) == "__pycache__" {
			stale = append(stale, path)
		}
		return nil
	})
	if err != nil {
		return interpreters{}, err
	}
	for _, path := range stale {
		if err := r.tree.Remove(path); err != nil {
			return interpreters{}, err
		}
	}
	if err := r.lay(); err != nil {
		return interpreters{}, err
	}
	return findInterpreters(r.tree)
}

// erofs is the tree for an image.
func (r *runtimeBuilder) erofs() *erofs.Tree {
	t := erofs.NewTree(imageTime())
	_ = r.tree.Walk(func(path string, e tree.Entry) error {
		switch e.Mode.Type() {
		case fs.ModeDir:
			t.Dir(path, e.Mode&^fs.ModeDir)
		case fs.ModeSymlink:
			t.Symlink(path, e.Target)
		default:
			t.File(path, e.Mode, erofs.Content{Size: e.Size, Open: e.Open})
		}
		return nil
	}) // The function has no error to return.
	return t
}

// behindSize is how much of an image's end tells about it: a block of its own,
// of which the file system knows nothing.
const behindSize = 4096

// behind is what is written behind the image.
func (r Runtime) behind() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil || len(b) > behindSize {
		return nil, errors.Join(errors.New("rootfs: too much to tell about an image"), err)
	}
	return append(b, bytes.Repeat([]byte("\n"), behindSize-len(b))...), nil
}

func readBehind(path string) (*Runtime, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(-behindSize, io.SeekEnd); err != nil {
		return nil, err
	}
	r := &Runtime{Path: path}
	return r, json.NewDecoder(f).Decode(r)
}
