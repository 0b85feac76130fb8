package pypi

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	goerofs "github.com/erofs/go-erofs"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore/imagestoretest"
)

type file struct {
	name, content string
	mode          fs.FileMode
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

func wheelOf(t testing.TB, b []byte) (*imagestore.Contents, error) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, errZip
	}
	return readWheel(z, "some-pkg", 1<<20)
}

func TestReadWheelReturnsInstalledPaths(t *testing.T) {
	c, err := wheelOf(t, zipped(t, whole(
		file{name: "Some_Pkg-1.0.data/purelib/pure.py"}, file{name: "Some_Pkg-1.0.data/platlib/plat.so"}, file{name: "Some_Pkg-1.0.data/data/share/x"},
		file{name: "Some_Pkg-1.0.data/scripts/run"}, file{name: "Some_Pkg-1.0.data/headers/x.h"}, file{name: "some_pkg/__pycache__/x.cpython-314.pyc"},
		file{name: "some_pkg/dir/", mode: fs.ModeDir},
	)...))
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(imagestoretest.Files(t, c)))
	want := "Some_Pkg-1.0.dist-info/METADATA Some_Pkg-1.0.dist-info/WHEEL plat.so pure.py share/x some_pkg/__init__.py"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s", got)
	}
}

// strangeWheels returns the entries of invalid wheels. The keys of the map are the names
// of the faults.
func strangeWheels() map[string][]file {
	return map[string][]file{
		"path outside the directory":          {{name: "../x"}},
		"path outside a subdirectory":         {{name: "a/../../x"}},
		"an absolute path":                    {{name: "/x"}},
		"a backslash":                         {{name: `..\x`}},
		"a drive":                             {{name: "a//x"}},
		"a dot":                               {{name: "./x"}},
		"a control character":                 {{name: "a\nb"}},
		"invalid UTF-8":                       {{name: "a\xff"}},
		"a long name":                         {{name: strings.Repeat("a", 300)}},
		"a link":                              {{name: "x", mode: fs.ModeSymlink}},
		"a device":                            {{name: "x", mode: fs.ModeDevice}},
		"a directory that is a link":          {{name: "x/", mode: fs.ModeSymlink}},
		"two files at one path":               {{name: "x"}, {name: "x"}},
		"file instead of a directory":         {{name: "x/y"}, {name: "x"}},
		"directory instead of a file":         {{name: "x"}, {name: "x/y"}},
		"two files at one path, one in .data": {{name: "x"}, {name: "Some_Pkg-1.0.data/purelib/x"}},
		"another package's metadata":          {{name: "other-1.0.dist-info/METADATA"}},
		"two METADATA files":                  {{name: "some_pkg-2.0.dist-info/METADATA"}},
		"unknown kind of .data":               {{name: "Some_Pkg-1.0.data/etc/x"}},
		"path outside .data":                  {{name: "Some_Pkg-1.0.data/data/../../x"}},
		"larger than the limit":               {{name: "x", content: strings.Repeat("x", 1<<20)}},
	}
}

func TestReadWheelRefusesInvalidWheels(t *testing.T) {
	for name, files := range strangeWheels() {
		if c, err := wheelOf(t, zipped(t, whole(files...)...)); err == nil {
			t.Errorf("%s: the wheel has %d files", name, len(imagestoretest.Files(t, c)))
		}
	}
	if _, err := wheelOf(t, zipped(t, file{name: "some_pkg/__init__.py"})); err == nil {
		t.Error("a wheel without metadata is accepted")
	}
}

func FuzzReadWheel(f *testing.F) {
	for _, files := range strangeWheels() {
		if !strings.Contains(files[0].content, "x") {
			f.Add(zipped(f, whole(files...)...))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := wheelOf(t, b); err == nil {
			imagestoretest.Check(t, c)
		}
	})
}

func TestWriteImageContainsFilesOfWheel(t *testing.T) {
	c, err := wheelOf(t, zipped(t, whole()...))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := imagestore.WriteImage(t.Context(), f, c.Tree); err != nil {
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
