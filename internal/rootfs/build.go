package rootfs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/logging"
	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

const (
	// recipe is part of an image's name. Change recipe together with the code that adds
	// Python or writes the image. The name also contains a hash of all other inputs.
	recipe = "3"

	imagePrefix = "rootfs-"
	suffix      = ".erofs"
	lockName    = "rootfs.lock"
	lockRetry   = 50 * time.Millisecond
	buildPrefix = ".rootfs-build-"
)

// Options configures Build. The zero value is valid.
type Options struct {
	// Node is the path of a Node binary that Build puts into the image. It is "" for an
	// image without Node.
	Node string
	// If Progress is not nil, Build calls it with the name of a step and the numbers of
	// completed parts and of all parts.
	Progress func(step string, done, total int)
	// If Logger is not nil, it logs new and damaged images.
	Logger *slog.Logger
}

// Image describes an image that Build has made or has found.
type Image struct {
	// Path is the path of the EROFS image.
	Path string
	// PythonVersion is the version of the image's Python, such as "3.14.6".
	PythonVersion string
	// BashVersion is the version of the image's bash, such as "5.2.15". It is "" if this
	// machine has no bash.
	BashVersion string
	// Missing contains the optional tools and libraries that this machine lacks, in
	// sorted order.
	Missing []string
}

// Build returns the image for the options. If dir does not contain this image, Build
// makes it. The name of an image contains a hash of its inputs. Build finds an existing
// image in a fraction of a second. To make an image, Build needs some seconds, and
// temporarily about 400 MB of disk space. If the disk has less free space, Build fails
// with a *disk.NoRoomError before it writes anything.
//
// Several processes may use the same directory at the same time. If ctx ends, Build
// removes unfinished files. Build keeps images with other inputs, such as the image of an
// earlier release, because another process may use such images (see RemoveOthers).
//
// If this machine lacks a library that Python needs, the error of Build names the
// packages that the operator must install.
func Build(ctx context.Context, dir string, options Options) (*Image, error) {
	options.fillIn()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	python, err := pythonIdentity()
	if err != nil {
		return nil, fmt.Errorf("rootfs: identify the embedded Python: %w", err)
	}
	node, err := nodeIdentity(options.Node)
	if err != nil {
		return nil, err
	}
	b := &builder{Options: options, dir: dir, plan: make(plan)}
	missing, err := b.fillPlan(thisHost())
	if err != nil {
		return nil, err
	}
	key, err := b.plan.key(recipe + " " + python + node)
	if err != nil {
		return nil, err
	}
	b.prefix = imagePrefix + key + "-"
	b.need = options.room()
	path, err := b.findOrMake(ctx, b.make)
	if err != nil {
		return nil, err
	}
	return &Image{Path: path, PythonVersion: pythonVersion, BashVersion: bashVersion(b.plan["usr/bin/bash"]), Missing: missing}, nil
}

func (o *Options) fillIn() {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// builder makes one image.
type builder struct {
	Options
	dir  string
	plan plan
	// prefix is the first part of the image's file name. The second part is the checksum
	// of the content. With this checksum, the method "find" detects damage.
	prefix string
	// The field "need" is the disk space in bytes that the build needs temporarily. It is
	// 0 if this space is unknown.
	need int64
}

// fillPlan adds all files of the image to the plan, except the files of the
// interpreters. It returns the names of optional files that this machine lacks.
func (b *builder) fillPlan(h host) (missing []string, err error) {
	skeleton(b.plan)
	settings(b.plan)
	certificates(b.plan)
	if err := zoneinfo(b.plan); err != nil {
		return nil, fmt.Errorf("rootfs: unpack time zones: %w", err)
	}
	if err := agent(b.plan); err != nil {
		return nil, err
	}
	home(b.plan)
	packageManagers(b.plan)
	if missing, err = h.addTo(b.plan); err != nil {
		return nil, err
	}
	if b.Node != "" {
		if err := h.addLibraries(b.plan, b.Node); err != nil {
			return missing, err
		}
	}
	ldconfig(b.plan)
	return missing, nil
}

// findOrMake returns the path of the image. If the image does not exist, findOrMake calls
// build with a temporary directory. A lock prevents two processes from building an image
// at the same time.
func (b *builder) findOrMake(ctx context.Context, build func(ctx context.Context, work string) (string, error)) (string, error) {
	if path, err := b.find(); path != "" || err != nil {
		return path, err
	}
	lock := flock.New(filepath.Join(b.dir, lockName))
	defer lock.Close()
	const waiting = "Waiting for another process that builds the same image"
	locked, err := lock.TryLock()
	if err == nil && !locked {
		b.Progress(waiting, 0, 1)
		if locked, err = lock.TryLockContext(ctx, lockRetry); locked {
			b.Progress(waiting, 1, 1)
		}
	}
	if err != nil {
		return "", fmt.Errorf("rootfs: lock %s: %w", b.dir, err)
	}
	if path, err := b.find(); path != "" || err != nil {
		return path, err
	}
	if err := b.removeLeftovers(); err != nil {
		return "", err
	}
	if err := disk.Need(b.dir, b.need, "building the root file system image"); err != nil {
		return "", err
	}
	started := time.Now()
	work, err := os.MkdirTemp(b.dir, buildPrefix)
	if err != nil {
		return "", err
	}
	path, err := build(ctx, work)
	if err = errors.Join(err, os.RemoveAll(work)); err != nil {
		return "", err
	}
	b.Logger.InfoContext(ctx, "root file system image built", "path", path, logging.Milliseconds("duration", time.Since(started)))
	return path, nil
}

// find returns the path of the image. It returns "" if the image does not exist,
// or is damaged.
func (b *builder) find() (string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), b.prefix) || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		path := filepath.Join(b.dir, e.Name())
		sum, err := checksum(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return "", err
		case e.Name() == b.name(sum):
			return path, nil
		default:
			b.Logger.Warn("root file system image damaged, rebuilding", "path", path)
		}
	}
	return "", nil
}

// name returns the image's file name for the checksum of its content.
func (b *builder) name(sum uint32) string { return fmt.Sprintf("%s%08x%s", b.prefix, sum, suffix) }

// checksum returns the CRC-32C of a file. The computation takes some hundredths of a
// second. The checksum detects accidental damage. It does not have to detect
// manipulation, because only the server can write to the directory.
func checksum(path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := crc32.New(castagnoli())
	_, err = io.CopyBuffer(h, f, make([]byte, 1<<20))
	return h.Sum32(), err
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// The method "make" makes the image and returns its path. It creates temporary files in
// the directory "work".
func (b *builder) make(ctx context.Context, work string) (string, error) {
	// Make the path absolute, because the Python executable must run with its absolute
	// path.
	work, err := filepath.Abs(work)
	if err != nil {
		return "", err
	}
	python := filepath.Join(work, "python")
	for _, s := range []struct {
		name string
		run  func() error
	}{
		{"Unpacking Python " + pythonVersion, func() error { return unpackPython(python) }},
		{"Unpacking pip", func() error { return unpackPip(python) }},
		{"Compiling both", func() error { return errors.Join(compilePython(ctx, python), compilePip(ctx, python)) }},
	} {
		b.Progress(s.name, 0, 1)
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := s.run(); err != nil {
			return "", err
		}
		b.Progress(s.name, 1, 1)
	}
	files := tree.New()
	if err := b.plan.addTo(files); err != nil {
		return "", err
	}
	if err := addPython(files, python); err != nil {
		return "", err
	}
	if err := addPip(files, python); err != nil {
		return "", err
	}
	if b.Node != "" {
		if err := addFile(files, nodeInImage, b.Node); err != nil {
			return "", err
		}
	}
	return b.write(ctx, files, filepath.Join(work, "image"), nil)
}

// imageTime returns the modification time of all files in the image. It is constant, so
// that the same inputs give the same bytes. It is not before 1980, because zip archives
// cannot store an earlier time.
func imageTime() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// write writes the tree and the trailer to a temporary file, and then renames this file
// to its final name. When write returns, all data is on the disk.
func (b *builder) write(ctx context.Context, files *tree.Tree, temporary string, trailer []byte) (string, error) {
	sum, err := b.writeFile(ctx, files, temporary, trailer)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, b.name(sum))
	return path, disk.Rename(temporary, path)
}

// writeFile writes the tree and the trailer to a new file, and returns the file's
// checksum.
func (b *builder) writeFile(ctx context.Context, files *tree.Tree, path string, trailer []byte) (uint32, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return 0, err
	}
	sum := crc32.New(castagnoli())
	out := io.MultiWriter(f, sum)
	const mib = 1 << 20
	reported := -1
	err = erofs.Write(ctx, out, files, imageTime(), func(written, total int64) {
		if done := int(written / mib); done > reported || written == total {
			reported = done
			b.Progress("Writing the root file system image", int((written+mib-1)/mib), int((total+mib-1)/mib))
		}
	})
	if err == nil {
		_, err = out.Write(trailer)
	}
	if err == nil {
		err = f.Sync()
	}
	return sum.Sum32(), errors.Join(err, f.Close())
}
