package packages

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	goerofs "github.com/erofs/go-erofs"
)

// file is one of an archive.
type file struct {
	name, content string
	mode          fs.FileMode
	kind          byte
}

func zipped(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode | 0o644)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(w, f.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func whole(extra ...file) []file {
	return append([]file{
		{name: "Some_Pkg-1.0.dist-info/METADATA", content: "Name: some-pkg\nVersion: 1.0\n"},
		{name: "Some_Pkg-1.0.dist-info/WHEEL", content: "x"},
		{name: "some_pkg/__init__.py", content: "x = 1"},
	}, extra...)
}

func wheelOf(t testing.TB, b []byte) (*contents, error) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, errZip
	}
	return readWheel(z, "some-pkg", 1<<20)
}

func TestAWheelIsPutWhereItsPartsBelong(t *testing.T) {
	c, err := wheelOf(t, zipped(t, whole(
		file{name: "Some_Pkg-1.0.data/purelib/pure.py"}, file{name: "Some_Pkg-1.0.data/platlib/plat.so"}, file{name: "Some_Pkg-1.0.data/data/share/x"},
		file{name: "Some_Pkg-1.0.data/scripts/run"}, file{name: "Some_Pkg-1.0.data/headers/x.h"}, file{name: "some_pkg/__pycache__/x.cpython-314.pyc"},
		file{name: "some_pkg/dir/", mode: fs.ModeDir},
	)...))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range c.files {
		names = append(names, f.path)
	}
	want := "Some_Pkg-1.0.dist-info/METADATA Some_Pkg-1.0.dist-info/WHEEL some_pkg/__init__.py pure.py plat.so share/x"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s", got)
	}
}

// strange are what no wheel may have.
func strange() map[string][]file {
	return map[string][]file{
		"a way out":                   {{name: "../x"}},
		"a way out further in":        {{name: "a/../../x"}},
		"an absolute path":            {{name: "/x"}},
		"a backslash":                 {{name: `..\x`}},
		"a drive":                     {{name: "a//x"}},
		"a dot":                       {{name: "./x"}},
		"a control character":         {{name: "a\nb"}},
		"what is not UTF-8":           {{name: "a\xff"}},
		"a long name":                 {{name: strings.Repeat("a", 300)}},
		"a link":                      {{name: "x", mode: fs.ModeSymlink}},
		"a device":                    {{name: "x", mode: fs.ModeDevice}},
		"a directory that is a link":  {{name: "x/", mode: fs.ModeSymlink}},
		"two in one place":            {{name: "x"}, {name: "x"}},
		"a file where a directory is": {{name: "x/y"}, {name: "x"}},
		"a directory where a file is": {{name: "x"}, {name: "x/y"}},
		"two in one place by data":    {{name: "x"}, {name: "Some_Pkg-1.0.data/purelib/x"}},
		"another package's metadata":  {{name: "other-1.0.dist-info/METADATA"}},
		"two of metadata":             {{name: "some_pkg-2.0.dist-info/METADATA"}},
		"data for nothing":            {{name: "Some_Pkg-1.0.data/etc/x"}},
		"data out of its place":       {{name: "Some_Pkg-1.0.data/data/../../x"}},
		"more than there is room":     {{name: "x", content: strings.Repeat("x", 1<<20)}},
	}
}

func TestAStrangeWheelIsRefused(t *testing.T) {
	for name, files := range strange() {
		if c, err := wheelOf(t, zipped(t, whole(files...)...)); err == nil {
			t.Errorf("%s: it has %d files", name, len(c.files))
		}
	}
	if _, err := wheelOf(t, zipped(t, file{name: "some_pkg/__init__.py"})); err == nil {
		t.Error("one without metadata is taken")
	}
}

// check fails if contents could get out of where they are put, or into each
// other's place.
func (c *contents) check(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	var size int64
	for _, f := range c.files {
		if !fs.ValidPath(f.path) || path.Clean("/"+f.path) != "/"+f.path || seen[f.path] || strings.ContainsAny(f.path, "\\\x00\n") {
			t.Errorf("there is %q", f.path)
		}
		seen[f.path] = true
		size += inBlocks(f.size)
	}
	if size != c.size || size > c.room {
		t.Errorf("%d bytes are %d, in room for %d", size, c.size, c.room)
	}
}

func FuzzWheel(f *testing.F) {
	for _, files := range strange() {
		if !strings.Contains(files[0].content, "x") {
			f.Add(zipped(f, whole(files...)...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := wheelOf(t, b); err == nil {
			c.check(t)
		}
	})
}

func tarred(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: f.kind}
		if f.kind == tar.TypeSymlink || f.kind == tar.TypeLink {
			h.Linkname = "/etc/passwd"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarball(t testing.TB, b []byte) (*contents, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "tar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return readTarball(f, 1<<20)
}

func TestATarballIsReadWhateverItsDirectoryIsCalled(t *testing.T) {
	c, err := tarball(t, tarred(t, file{name: "x/", kind: tar.TypeDir}, file{name: "x/package.json", content: "{}", kind: tar.TypeReg}, file{name: "x/lib/a.js", content: "hello", kind: tar.TypeReg}))
	if err != nil || len(c.files) != 2 || c.files[1].path != "lib/a.js" {
		t.Fatalf("got %+v, %v", c, err)
	}
	r, err := c.files[1].open()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "hello" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestAStrangeTarballIsRefused(t *testing.T) {
	manifest := file{name: "package/package.json", content: "{}", kind: tar.TypeReg}
	for name, files := range map[string][]file{
		"a way out":               {manifest, {name: "package/../../x", kind: tar.TypeReg}},
		"an absolute path":        {manifest, {name: "/x/y", kind: tar.TypeReg}},
		"a link":                  {manifest, {name: "package/x", kind: tar.TypeSymlink}},
		"a hard link":             {manifest, {name: "package/x", kind: tar.TypeLink}},
		"a device":                {manifest, {name: "package/x", kind: tar.TypeChar}},
		"a FIFO":                  {manifest, {name: "package/x", kind: tar.TypeFifo}},
		"a file beside":           {manifest, {name: "x", kind: tar.TypeReg}},
		"two in one place":        {manifest, {name: "package/x", kind: tar.TypeReg}, {name: "other/x", kind: tar.TypeReg}},
		"more than there is room": {manifest, {name: "package/x", content: strings.Repeat("x", 1<<20), kind: tar.TypeReg}},
		"no manifest":             {{name: "package/x", kind: tar.TypeReg}},
	} {
		if c, err := tarball(t, tarred(t, files...)); err == nil {
			t.Errorf("%s: it has %d files", name, len(c.files))
		}
	}
}

func TestATarballThatInflatesIsCutShort(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, 100<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := inflate(io.Discard, &b, 1<<20); !errors.Is(err, errContent) {
		t.Errorf("got %v", err)
	}
	if err := inflate(io.Discard, strings.NewReader("no gzip"), 1<<20); !errors.Is(err, errTarball) {
		t.Errorf("got %v", err)
	}
}

func FuzzTarball(f *testing.F) {
	f.Add(tarred(f, file{name: "package/package.json", content: "{}", kind: tar.TypeReg}, file{name: "package/x", kind: tar.TypeReg}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := tarball(t, b); err == nil {
			c.check(t)
		}
	})
}

// FuzzCompiled checks that a sandbox which compiles can have no file made but
// those that its package's sources have.
func FuzzCompiled(f *testing.F) {
	part := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	f.Add(part(part(nil, "a.py"), "code"))
	f.Add(part(part(part(part(nil, "a.py"), "code"), "a.py"), "again"))
	f.Add(part(part(nil, "../a.py"), "code"))
	f.Add([]byte{0, 0, 0, 4, 'a', '.', 'p', 'y', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		spool, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer spool.Close()
		if _, err := spool.Write(b); err != nil {
			t.Fatal(err)
		}
		files, err := readCompiled(spool, map[string]bool{"a.py": true, "d/b.py": true}, "cpython-314", 100)
		if err != nil {
			t.Fatal(err)
		}
		var size int64
		seen := map[string]bool{}
		for _, c := range files {
			size += c.size
			if c.path != "__pycache__/a.cpython-314.pyc" && c.path != "d/__pycache__/b.cpython-314.pyc" || seen[c.path] {
				t.Errorf("there is %q", c.path)
			}
			seen[c.path] = true
		}
		if size > 100 {
			t.Errorf("there are %d bytes", size)
		}
	})
}

func TestAnImageHoldsWhatItIsMadeOf(t *testing.T) {
	c, err := wheelOf(t, zipped(t, whole()...))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeImage(t.Context(), f, c.files); err != nil {
		t.Fatal(err)
	}
	image, err := goerofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(image, "some_pkg/__init__.py"); err != nil || string(b) != "x = 1" {
		t.Errorf("got %q, %v", b, err)
	}
}
