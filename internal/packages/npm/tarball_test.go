package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore/imagestoretest"
)

type file struct {
	name, content string
	kind          byte
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

func tarball(t testing.TB, b []byte) (*imagestore.Contents, error) {
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

func TestReadTarballAcceptsAnyTopDirectory(t *testing.T) {
	c, err := tarball(t, tarred(t, file{name: "x/", kind: tar.TypeDir}, file{name: "x/package.json", content: "{}", kind: tar.TypeReg}, file{name: "x/lib/a.js", content: "hello", kind: tar.TypeReg}))
	if err != nil {
		t.Fatal(err)
	}
	files := imagestoretest.Files(t, c)
	if len(files) != 2 {
		t.Fatalf("got %+v", files)
	}
	var content strings.Builder
	if err := files["lib/a.js"].CopyTo(&content); err != nil || content.String() != "hello" {
		t.Errorf("got %q, %v", content.String(), err)
	}
}

func TestReadTarballRefusesInvalidTarballs(t *testing.T) {
	manifest := file{name: "package/package.json", content: "{}", kind: tar.TypeReg}
	for name, files := range map[string][]file{
		"path outside the package":       {manifest, {name: "package/../../x", kind: tar.TypeReg}},
		"an absolute path":               {manifest, {name: "/x/y", kind: tar.TypeReg}},
		"a link":                         {manifest, {name: "package/x", kind: tar.TypeSymlink}},
		"a hard link":                    {manifest, {name: "package/x", kind: tar.TypeLink}},
		"a device":                       {manifest, {name: "package/x", kind: tar.TypeChar}},
		"a FIFO":                         {manifest, {name: "package/x", kind: tar.TypeFifo}},
		"file outside the top directory": {manifest, {name: "x", kind: tar.TypeReg}},
		"two files at one path":          {manifest, {name: "package/x", kind: tar.TypeReg}, {name: "other/x", kind: tar.TypeReg}},
		"larger than the limit":          {manifest, {name: "package/x", content: strings.Repeat("x", 1<<20), kind: tar.TypeReg}},
		"no manifest":                    {{name: "package/x", kind: tar.TypeReg}},
	} {
		if c, err := tarball(t, tarred(t, files...)); err == nil {
			t.Errorf("%s: the package has %d files", name, len(imagestoretest.Files(t, c)))
		}
	}
}

func TestInflateLimitsTheSize(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(make([]byte, 100<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := inflate(io.Discard, &b, 1<<20); !errors.Is(err, imagestore.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := inflate(io.Discard, strings.NewReader("no gzip"), 1<<20); !errors.Is(err, errTarball) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadTarball(f *testing.F) {
	f.Add(tarred(f, file{name: "package/package.json", content: "{}", kind: tar.TypeReg}, file{name: "package/x", kind: tar.TypeReg}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := tarball(t, b); err == nil {
			imagestoretest.Check(t, c)
		}
	})
}
