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
	"log/slog"
	"os"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/oci"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// customRecipe is part of a custom image's name. Change customRecipe together with the
// code that makes custom images.
const customRecipe = "runtime 1"

// CustomImage is an image that was made from an operator's root file system. It contains
// an interpreter.
type CustomImage struct {
	// Path is the path of the EROFS image.
	Path string
	// Versions maps each runtime in the image to the version of its interpreter.
	// It is never empty.
	Versions map[pyth.Runtime]string
}

// CustomOptions configures BuildCustom.
type CustomOptions struct {
	// Progress and Logger have the same meaning as in the type Options.
	Progress func(step string, done, total int)
	Logger   *slog.Logger
	// The function Try runs a program in a sandbox. Programs of the image are not
	// trusted. So they must never run outside a sandbox.
	Try func(ctx context.Context, t Trial) error
}

// Trial describes a program that must run in a sandbox with the image.
type Trial struct {
	Image    string
	Language pyth.Language
	Program  []byte
	// Files contains additional files for the working directory, by path.
	Files map[string][]byte
	// Output is the path of a file that the program writes. The function Read receives
	// the content of this file.
	Output string
	Read   func(io.Reader) error
	// If Large is true, the output file may be larger than the usual limit.
	Large bool
}

// BuildCustom returns the custom image for a source. If dir does not contain this image,
// BuildCustom makes it. The source is a directory with a root file system, or a file that
// package oci can read. The name of the image depends on the content of the source. So
// each call of BuildCustom reads the source.
//
// BuildCustom adds the guest agent (the process that starts interpreters), mount points
// and accounts to the files of the source. It also compiles all modules that the image's
// Python can import. If the image contains numpy and pandas, the compilation takes about
// a minute. The build needs three times the disk space of the source.
//
// If the source can run neither Python nor Node, the error of BuildCustom says what is
// missing.
func BuildCustom(ctx context.Context, dir, source string, options CustomOptions) (*CustomImage, error) {
	b := &builder{Options: Options{Progress: options.Progress, Logger: options.Logger}, dir: dir, plan: make(plan)}
	b.fillIn()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b.Progress("Reading "+source, 0, 1)
	digest, err := digest(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("rootfs: read %s: %w", source, err)
	}
	b.Progress("Reading "+source, 1, 1)
	r := &customBuilder{builder: b, try: options.Try, extra: make(plan)}
	if err := r.fillPlans(); err != nil {
		return nil, err
	}
	key, err := r.extra.key(customRecipe + " " + compileProgram + " " + digest)
	if err == nil {
		key, err = b.plan.key(key)
	}
	if err != nil {
		return nil, err
	}
	b.prefix = imagePrefix + key + "-"
	path, err := b.findOrMake(ctx, func(ctx context.Context, work string) (string, error) {
		r.work = work
		return r.make(ctx, source)
	})
	if err != nil {
		return nil, fmt.Errorf("rootfs: build custom image from %s: %w", source, err)
	}
	return readTrailer(path)
}

// digest returns a hash of the content of a directory or a file.
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
	files := tree.New()
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

// customBuilder makes a custom image.
type customBuilder struct {
	*builder
	// The field "extra" contains optional files. The image gets such a file only if the
	// source does not have a file at this path.
	extra plan
	work  string
	try   func(context.Context, Trial) error
	tree  *tree.Tree
	// The field "versions" contains the versions of the interpreters that were already
	// examined.
	versions map[pyth.Runtime]string
}

// The method "make" makes the image in two steps and returns its path. First, it makes a
// temporary image. In a sandbox with this image, Python compiles all modules. Then it
// makes the final image, which also contains the compiled files.
func (r *customBuilder) make(ctx context.Context, source string) (path string, err error) {
	if r.tree, err = tree.NewSpooled(r.work); err != nil {
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
	if _, err := r.writeFile(ctx, r.tree, first, nil); err != nil {
		return "", err
	}
	r.versions = make(map[pyth.Runtime]string)
	for _, i := range found {
		if err := i.examine(r, ctx, first); err != nil {
			return "", err
		}
	}
	trailer, err := trailer(r.versions)
	if err != nil {
		return "", err
	}
	return r.write(ctx, r.tree, filepath.Join(r.work, "image"), trailer)
}

// read adds the files of the source to the tree. The tree reads the content of these
// files later. So the caller must not call the returned function before the last use of
// the tree.
func (r *customBuilder) read(ctx context.Context, source string) (closed func(), err error) {
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

// prepare adds Pyth-On's files to the tree. It returns the interpreters that the tree
// contains.
func (r *customBuilder) prepare() ([]interpreter, error) {
	// Remove compiled files, because the image does not keep the modification times of
	// their sources.
	var stale []string
	err := r.tree.Walk(func(path string, e tree.Entry) error {
		if e.Mode.IsDir() && filepath.Base(path) == "__pycache__" {
			stale = append(stale, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, path := range stale {
		if err := r.tree.Remove(path); err != nil {
			return nil, err
		}
	}
	if err := r.overlay(); err != nil {
		return nil, err
	}
	return findInterpreters(r.tree)
}

// trailerSize is the size of the trailer in bytes. In a custom image, the trailer follows
// the file system.
const trailerSize = 4096

// trailer returns the trailer of a custom image: its versions as JSON, padded to
// trailerSize.
func trailer(versions map[pyth.Runtime]string) ([]byte, error) {
	b, err := json.Marshal(versions)
	if err != nil || len(b) > trailerSize {
		return nil, errors.Join(errors.New("rootfs: the trailer is too long"), err)
	}
	return append(b, bytes.Repeat([]byte("\n"), trailerSize-len(b))...), nil
}

func readTrailer(path string) (*CustomImage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(-trailerSize, io.SeekEnd); err != nil {
		return nil, err
	}
	i := &CustomImage{Path: path}
	return i, json.NewDecoder(f).Decode(&i.Versions)
}
