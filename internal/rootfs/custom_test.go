package rootfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goerofs "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs"
)

// program contains an ELF header for x86-64 with padding (System V ABI, chapter 4).
var program = append([]byte("\x7fELF\x02\x01\x01"), append(make([]byte, 11), append([]byte{62, 0}, make([]byte, 64)...)...)...)

// source creates a directory with files. The keys of the map are the paths of the files.
// The values are the content of the files. The value "→target" makes a symbolic link to
// the target.
func source(t *testing.T, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range all {
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if target, isLink := strings.CutPrefix(content, "→"); err == nil && isLink {
			err = os.Symlink(target, at)
		} else if err == nil {
			err = os.WriteFile(at, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// python creates a root file system with a file that looks like a Python interpreter.
func python(t *testing.T) string {
	return source(t, map[string]string{
		"usr/bin/python3.11": string(program), "usr/bin/python3": "→python3.11", "bin": "→usr/bin",
		"usr/lib/python3.11/os.py": "pass", "usr/lib/python3.11/__pycache__/os.cpython-311.pyc": "stale",
		"etc/passwd": "ada:x:1815::", "etc/shadow": "ada:hash", "etc/services": "its own",
		"tmp": "→/usr", "home/ada/secret": "s", "dev/null": "a file", "pyth-on/guest": "evil", "run/x": "x",
	})
}

// The function "returned" returns a fake of CustomOptions.Try. The output of the fake
// program is an archive with info.json and one compiled file for each name.
func returned(t *testing.T, info string, names ...string) func(context.Context, rootfs.Trial) error {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	add := func(name, content string) {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644})
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("info.json", info)
	for _, name := range names {
		add(name, "compiled")
	}
	if err := errors.Join(w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, trial rootfs.Trial) error {
		if _, err := os.Stat(trial.Image); err != nil {
			return err
		}
		if trial.Files["hook/usercustomize.py"] == nil || trial.Files["hook/session.py"] == nil || trial.Files["own/pyth_on/display.py"] == nil {
			t.Errorf("the sandbox got %d files", len(trial.Files))
		}
		return trial.Read(bytes.NewReader(b.Bytes()))
	}
}

const debianInfo = `{"version": "3.11.2", "packages": "/usr/lib/python3/dist-packages"}`

func TestBuildCustomMakesAnImageOnce(t *testing.T) {
	t.Parallel()
	dir, from := t.TempDir(), python(t)
	tried := 0
	build := func() *rootfs.CustomImage {
		r, err := rootfs.BuildCustom(t.Context(), dir, from, rootfs.CustomOptions{Try: func(ctx context.Context, trial rootfs.Trial) error {
			tried++
			return returned(t, debianInfo, "usr/lib/python3.11/__pycache__/os.cpython-311.pyc", "pyth-on/python/__pycache__/usercustomize.cpython-311.pyc")(ctx, trial)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := build()
	if !maps.Equal(r.Versions, map[pyth.Runtime]string{pyth.PythonRuntime: "3.11.2"}) {
		t.Errorf("the image has %v", r.Versions)
	}
	if diff := cmp.Diff(r, build()); diff != "" || tried != 1 {
		t.Errorf("the image was built %d times: %s", tried, diff)
	}
	if err := os.WriteFile(filepath.Join(from, "new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	other := build()
	if other.Path == r.Path || tried != 2 {
		t.Error("a changed source did not change the image")
	}
	f, err := os.Open(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	image, err := goerofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/lib/python3.11/os.py":                                 "pass",
		"usr/lib/python3.11/__pycache__/os.cpython-311.pyc":        "compiled",
		"pyth-on/python/__pycache__/usercustomize.cpython-311.pyc": "compiled",
		"etc/services": "its own",
	} {
		if got := string(read(t, image, name)); got != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	if passwd := string(read(t, image, "etc/passwd")); !strings.Contains(passwd, "sandbox:x:1000:") || strings.Contains(passwd, "ada") {
		t.Errorf("the accounts are %q", passwd)
	}
	if agent := read(t, image, "pyth-on/guest"); string(agent) == "evil" {
		t.Error("the image has another agent")
	}
	if !strings.Contains(string(read(t, image, "usr/lib/python3/dist-packages/pyth_on/display.py")), "class HTML") {
		t.Error("the built-in package is missing")
	}
	for _, mount := range []string{"dev", "dev/pts", "dev/shm", "proc", "run", "sys", "tmp", "work", "mnt", "home/sandbox"} {
		info, err := fs.Lstat(image, mount)
		if err != nil || !info.IsDir() {
			t.Errorf("%s cannot be mounted on: %v", mount, err)
		}
	}
	for _, gone := range []string{"etc/shadow", "dev/null", "run/x"} {
		if _, err := fs.Lstat(image, gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists", gone)
		}
	}
}

func TestBuildCustomLinksPythonsWithOtherNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"highest version":             {map[string]string{"usr/bin/python3.9": string(program), "usr/bin/python3.11": string(program)}, "/usr/bin/python3.11"},
		"directory of conda":          {map[string]string{"opt/conda/bin/python3": string(program)}, "/opt/conda/bin/python3"},
		"files that are not programs": {map[string]string{"usr/bin/python3": "#!/bin/sh", "usr/bin/python3.11": string(program)}, "/usr/bin/python3.11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := rootfs.BuildCustom(t.Context(), t.TempDir(), source(t, c.files), rootfs.CustomOptions{Try: returned(t, debianInfo)})
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(r.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			image, err := goerofs.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := fs.ReadLink(image, "usr/local/bin/python3"); err != nil || got != c.want {
				t.Errorf("python3 is %q, %v", got, err)
			}
		})
	}
}

func TestBuildCustomRefusesOtherSources(t *testing.T) {
	t.Parallel()
	fails := func(context.Context, rootfs.Trial) error { return errors.New("it does not start") }
	// The function "evil" returns an archive with invalid files, as a hostile sandbox
	// could return it.
	evil := func(info string, names ...string) func(context.Context, rootfs.Trial) error {
		return returned(t, info, names...)
	}
	for name, c := range map[string]struct {
		source string
		try    func(context.Context, rootfs.Trial) error
		want   string
	}{
		"no interpreter":                     {source(t, map[string]string{"bin/sh": string(program)}), fails, "neither Python 3 nor Node"},
		"program for another architecture":   {source(t, map[string]string{"usr/bin/python3": strings.Replace(string(program), "\x3e", "\xb7", 1)}), fails, "not a program for x86-64"},
		"program that does not start":        {python(t), fails, "it does not start"},
		"invalid version":                    {python(t), evil(`{"version": "<b>", "packages": "/usr/lib"}`), "returned version"},
		"directory of the built-in packages": {python(t), evil(`{"version": "3.11.2", "packages": "/usr/../pyth-on"}`), "returned version"},
		"files that are not compiled":        {python(t), evil(debianInfo, "usr/lib/os.py"), "returned"},
		"paths of built-in files":            {python(t), evil(debianInfo, "pyth-on/__pycache__/a.pyc"), "returned"},
		"paths with ..":                      {python(t), evil(debianInfo, "usr/../../__pycache__/a.pyc"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r, err := rootfs.BuildCustom(t.Context(), dir, c.source, rootfs.CustomOptions{Try: c.try})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", r, err)
			}
			if left := names(t, dir); !cmp.Equal(left, []string{lockName}) {
				t.Errorf("remaining files: %v", left)
			}
		})
	}
}
