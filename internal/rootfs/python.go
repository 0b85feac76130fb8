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
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

// The Python release that the Go module github.com/kluctl/go-embed-python contains.
const (
	pythonModule  = "github.com/kluctl/go-embed-python"
	pythonVersion = "3.14.6"
	pythonName    = "python3.14"
)

// pythonIdentity returns a string that identifies the content of the embedded Python. A
// hash of the files would take too long at each start, because the server would have to
// unpack the files. So the string is the checksum of the Go module. If this binary was
// built without module checksums, the string is a hash of the binary.
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

// unpackPython unpacks the embedded Python into dir. It omits files that are useless in a
// sandbox. The call takes about a second and cannot be canceled.
func unpackPython(dir string) error {
	if _, err := embedded.NewEmbeddedPythonWithTmpDir(dir, false); err != nil {
		return fmt.Errorf("rootfs: unpack Python: %w", err)
	}
	library := filepath.Join(dir, "lib", pythonName)
	if _, err := os.Stat(library); err != nil {
		return fmt.Errorf("rootfs: the embedded Python is not %s: %w", pythonVersion, err)
	}
	for _, pattern := range []string{
		// These modules need a display, or they install packages. The read-only image
		// does not allow the installation of packages.
		"ensurepip", "idlelib", "test", "tkinter", "turtledemo",
		// Programs would need this directory only to build extensions. For this, they
		// would also need a compiler and headers.
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

// compilePython compiles the standard library of the Python in dir, and Pyth-On's
// modules. First, it writes Pyth-On's modules to ownDir. In this directory, the modules
// have the same relative paths as in the image.
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

// ownDir is a subdirectory of the unpacked Python. In this directory, compilePython
// compiles Pyth-On's modules.
const ownDir = "own"

// ownModules returns the sources of Pyth-On's modules. The keys of the map are the paths
// in the image.
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

// addHook adds the sources of the Python hook to the map. The hook is Pyth-On's code in
// the interpreter. The paths of the sources are below dir.
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

// compileAll compiles all files below the directory "sources" with the Python in dir. The
// compiled files contain the paths that the sources have in the image. To get such a
// path, compileAll replaces the first part of the current path. The parameter "strip" is
// this first part, and the parameter "prefix" is the replacement.
//
// Python never compares the compiled files with their sources. Both are in one read-only
// image, so they cannot change. Each comparison would need an unnecessary system call.
func compileAll(ctx context.Context, dir, strip, prefix, sources string) error {
	// This Python runs outside a sandbox. It is trusted, because Python and the code that
	// it runs are part of this binary.
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
		return fmt.Errorf("rootfs: Python cannot run from %s; choose a directory on a file system that is not mounted noexec: %w", dir, err)
	}
	if err != nil {
		return fmt.Errorf("rootfs: compile the standard library of Python: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// addPython adds the Python in dir to the tree, below /usr/local.
func addPython(t *tree.Tree, dir string) error {
	const prefix = "usr/local/"
	if err := addFile(t, prefix+"bin/"+pythonName, filepath.Join(dir, "bin", pythonName)); err != nil {
		return err
	}
	for _, name := range []string{"python3", "python"} {
		if err := t.Add(prefix+"bin/"+name, tree.Link(pythonName)); err != nil {
			return err
		}
	}
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

// addCompiled adds the compiled files of Pyth-On's modules. Interpreters start faster
// with these files.
func addCompiled(t *tree.Tree, dir string) error {
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

// addFile adds a file of this machine to the tree. The parameter "name" is the path of
// the file on this machine. The parameter "at" is its path in the tree.
func addFile(t *tree.Tree, at, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(at, "usr/local/bin/") || strings.HasSuffix(at, ".so") {
		mode = 0o755
	}
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	return t.Add(at, tree.Entry{Mode: mode, Size: info.Size(), Open: open})
}
