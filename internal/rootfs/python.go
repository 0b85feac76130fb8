package rootfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"

	embedded "github.com/kluctl/go-embed-python/python"

	"github.com/pyth-on/pyth-on/internal/host/process"
	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

// The Python that the module github.com/kluctl/go-embed-python embeds.
const (
	pythonModule  = "github.com/kluctl/go-embed-python"
	pythonVersion = "3.14.6"
	pythonName    = "python3.14"
)

// pythonIdentity names the embedded Python by what it holds. Its files can
// only be had unpacked, which takes too long to ask for every time, so it is
// the checksum of the module; a program built without those is read itself.
func pythonIdentity() (string, error) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == pythonModule && m.Replace == nil && m.Sum != "" {
				return m.Version + " " + m.Sum, nil
			}
		}
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unpackPython unpacks the embedded Python into dir and leaves out what a
// sandbox has no use for. It cannot be interrupted; it takes about a second.
func unpackPython(dir string) error {
	if _, err := embedded.NewEmbeddedPythonWithTmpDir(dir, false); err != nil {
		return fmt.Errorf("rootfs: unpacking Python: %w", err)
	}
	library := filepath.Join(dir, "lib", pythonName)
	if _, err := os.Stat(library); err != nil {
		return fmt.Errorf("rootfs: the embedded Python is not %s: %w", pythonVersion, err)
	}
	for _, pattern := range []string{
		// No display is there for Tk, and no package is installed inside.
		"ensurepip", "idlelib", "test", "tkinter", "turtledemo",
		// What builds extensions needs a compiler, and headers, which are absent.
		"config-*",
		"lib-dynload/_test*", "lib-dynload/_ctypes_test*", "lib-dynload/_tkinter*",
	} {
		found, err := fs.Glob(os.DirFS(library), pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			if err := os.RemoveAll(filepath.Join(library, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// compilePython compiles the standard library of the Python in dir, and our own
// modules, which are written below it first as they are in the image.
func compilePython(ctx context.Context, dir string) error {
	own := filepath.Join(dir, ownDir)
	modules, err := ownModules()
	if err != nil {
		return err
	}
	for name, source := range modules {
		at := filepath.Join(own, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, source, 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		compileAll(ctx, dir, dir, "/usr/local", filepath.Join(dir, "lib", pythonName)),
		compileAll(ctx, dir, own, "/", own),
	)
}

// ownDir is where below the unpacked Python our own modules are compiled.
const ownDir = "own"

// ownModules are the sources of our own modules by their path in the image.
func ownModules() (map[string][]byte, error) {
	modules := map[string][]byte{
		path.Join("usr/local/lib", pythonName, "site-packages/pyth-on.pth"): guest.PythonSite(),
	}
	if err := addHook(modules, hookDir()); err != nil {
		return nil, err
	}
	packages, err := guest.PythonPackages()
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(packages, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		at := path.Join("usr/local/lib", pythonName, "site-packages", name)
		modules[at], err = fs.ReadFile(packages, name)
		return err
	})
	return modules, err
}

// addHook adds the modules of the hook to files, below a directory.
func addHook(files map[string][]byte, dir string) error {
	hook, err := guest.PythonHook()
	if err != nil {
		return err
	}
	names, err := fs.Glob(hook, "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if files[path.Join(dir, name)], err = fs.ReadFile(hook, name); err != nil {
			return err
		}
	}
	return nil
}

// compileAll compiles what is in a directory with the Python in dir. In
// tracebacks, paths begin with the image's prefix instead of strip. Sources are
// never checked against the result: both are in the same read-only image, and
// every check would cost a system call.
func compileAll(ctx context.Context, dir, strip, prefix, sources string) error {
	// Trusted code: it came with this program. It sees none of the environment.
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", pythonName),
		"-I", "-B", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
		"-s", strip, "-p", prefix, sources)
	cmd.Env = []string{"LANG=C.UTF-8"}
	cmd.Dir = dir
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := process.Run(cmd)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("rootfs: Python may not be run from %s; choose a directory on a file system that is not mounted noexec: %w", dir, err)
	}
	if err != nil {
		return fmt.Errorf("rootfs: compiling Python's library: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// addPython adds the Python in dir to the tree, below /usr/local.
func addPython(t *erofs.Tree, dir string) error {
	const prefix = "usr/local/"
	if err := addFile(t, prefix+"bin/"+pythonName, filepath.Join(dir, "bin", pythonName)); err != nil {
		return err
	}
	t.Symlink(prefix+"bin/python3", pythonName)
	t.Symlink(prefix+"bin/python", pythonName)
	library := filepath.Join(dir, "lib", pythonName)
	if err := addCompiled(t, filepath.Join(dir, ownDir)); err != nil {
		return err
	}
	return filepath.WalkDir(library, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("rootfs: %s is not a regular file", name)
		}
		relative, err := filepath.Rel(library, name)
		if err != nil {
			return err
		}
		return addFile(t, path.Join(prefix, "lib", pythonName, filepath.ToSlash(relative)), name)
	})
}

// addCompiled adds what was compiled of our own modules, so that no interpreter
// has to do that as it starts.
func addCompiled(t *erofs.Tree, dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".pyc" {
			return err
		}
		at, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		return addFile(t, filepath.ToSlash(at), name)
	})
}

// addFile adds a file, of the unpacked Python for one.
func addFile(t *erofs.Tree, at, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(at, "usr/local/bin/") || strings.HasSuffix(at, ".so") {
		mode = 0o755
	}
	t.File(at, mode, erofs.Content{Size: info.Size(), Open: func() (io.ReadCloser, error) { return os.Open(name) }})
	return nil
}
