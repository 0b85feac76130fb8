package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

func newTree(t testing.TB) *tree.Tree {
	t.Helper()
	files, err := tree.NewSpooled(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return files
}

// archive returns a tar archive with the given headers. The content of a file is in the
// field PAXRecords of its header.
func archive(t testing.TB, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.PAXRecords["content"]
		h.PAXRecords, h.Size = nil, int64(len(content))
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, PAXRecords: map[string]string{"content": content}}
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func hard(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

// The function "listing" describes the entry at each path. The description is "/" for a
// directory, the content for a file, and an arrow with the target for a link.
func listing(t testing.TB, files *tree.Tree) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := files.Walk(func(path string, e tree.Entry) error {
		switch e.Mode.Type() {
		case fs.ModeDir:
			all[path] = "/"
		case fs.ModeSymlink:
			all[path] = "→ " + e.Target
		default:
			r, err := e.Open()
			if err != nil {
				return err
			}
			b, err := io.ReadAll(r)
			if int64(len(b)) != e.Size {
				t.Errorf("%s has %d bytes, not %d", path, len(b), e.Size)
			}
			all[path] = string(b)
			return errors.Join(err, r.Close())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLayerAppliesWhiteouts(t *testing.T) {
	t.Parallel()
	type layer = []tar.Header
	for name, c := range map[string]struct {
		layers []layer
		want   map[string]string
	}{
		"replaces files": {
			[]layer{{file("a", "1"), file("b", "1")}, {file("a", "2")}},
			map[string]string{"a": "2", "b": "1"},
		},
		"add to directories": {
			[]layer{{file("d/a", "1")}, {dir("d"), file("d/b", "2")}},
			map[string]string{"d": "/", "d/a": "1", "d/b": "2"},
		},
		"replace a directory with a file, and a file with a directory": {
			[]layer{{file("d/a", "1"), file("f", "1")}, {file("d", "2"), dir("f"), file("f/a", "2")}},
			map[string]string{"d": "2", "f": "/", "f/a": "2"},
		},
		"whiteout": {
			[]layer{{file("d/a", "1"), file("d/b", "1"), file("e/a", "1")}, {file("d/.wh.a", ""), file(".wh.e", "")}},
			map[string]string{"d": "/", "d/b": "1"},
		},
		"whiteout of a missing file": {
			[]layer{{file("a", "1")}, {file("d/.wh.a", ""), file(".wh.e", "")}},
			map[string]string{"a": "1"},
		},
		"opaque directories in any order": {
			[]layer{
				{file("d/a", "1"), file("d/e/a", "1"), file("d/f/a", "1")},
				{file("d/b", "2"), file("d/f/b", "2"), file("d/.wh..wh..opq", "")},
			},
			map[string]string{"d": "/", "d/b": "2", "d/f": "/", "d/f/b": "2"},
		},
		"whiteout keeps files of the same layer": {
			[]layer{{file("a", "1")}, {file("a", "2"), file(".wh.a", "")}},
			map[string]string{"a": "2"},
		},
		"go through links within the root": {
			[]layer{
				{dir("usr/lib"), link("lib", "usr/lib"), link("up", "../../../usr"), link("abs", "/usr/lib")},
				{file("lib/a", "1"), file("up/b", "2"), file("abs/c", "3")},
			},
			map[string]string{
				"usr": "/", "usr/lib": "/", "usr/lib/a": "1", "usr/b": "2", "usr/lib/c": "3",
				"lib": "→ usr/lib", "up": "→ ../../../usr", "abs": "→ /usr/lib",
			},
		},
		"replace a link by a directory": {
			[]layer{{file("a/f", "1"), link("l", "a")}, {dir("l"), file("l/g", "2")}},
			map[string]string{"a": "/", "a/f": "1", "l": "/", "l/g": "2"},
		},
		"hard links": {
			[]layer{{file("a", "1"), hard("b", "a"), link("l", "a"), hard("m", "/l")}, {file("a", "2")}},
			map[string]string{"a": "2", "b": "1", "l": "→ a", "m": "→ a"},
		},
		"leave devices out": {
			[]layer{{file("x", "1"), {Typeflag: tar.TypeChar, Name: "null"}, {Typeflag: tar.TypeBlock, Name: "sda"}, {Typeflag: tar.TypeFifo, Name: "x"}}},
			map[string]string{},
		},
		"names that begin with / or ./": {
			[]layer{{file("/a", "1"), file("./b", "2"), dir("./"), dir("/")}},
			map[string]string{"a": "1", "b": "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newTree(t)
			for _, l := range c.layers {
				if err := files.Layer(t.Context(), archive(t, l...)); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, listing(t, files)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTreeRefusesPathsOutOfTheRoot(t *testing.T) {
	t.Parallel()
	loop := []tar.Header{link("a", "b"), link("b", "a"), file("a/x", "1")}
	for name, headers := range map[string][]tar.Header{
		"name with ..":                  {file("../a", "1")},
		".. within a name":              {file("d/../../a", "1")},
		"a hard link upwards":           {hard("a", "../../etc/passwd")},
		"a hard link to nothing":        {hard("a", "b")},
		"a hard link to a directory":    {dir("d"), hard("a", "d")},
		"links in a circle":             loop,
		"a file below a file":           {file("a", "1"), file("a/b", "2")},
		"a file below a link to a file": {file("a", "1"), link("l", "a"), file("l/b", "2")},
		"a name that is too long":       {file(strings.Repeat("a", 256), "1")},
		"a root that is a link":         {link(".", "/etc")},
		"unknown type":                  {{Typeflag: 'Z', Name: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newTree(t)
			if err := files.Layer(t.Context(), archive(t, headers...)); err == nil {
				t.Errorf("the tree is %v", listing(t, files))
			}
		})
	}
}

func TestTreeDropsSetuid(t *testing.T) {
	t.Parallel()
	files := newTree(t)
	su := file("su", "x")
	su.Mode = 0o6755
	tmp := dir("tmp")
	tmp.Mode = 0o3777
	if err := files.Layer(t.Context(), archive(t, su, tmp)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"su": 0o755, "tmp": fs.ModeDir | fs.ModeSticky | 0o777} {
		if e, err := files.Stat(name); err != nil || e.Mode != want {
			t.Errorf("%s has mode %v, %v", name, e.Mode, err)
		}
	}
}

func TestUnpackFollowsLinksToDirectories(t *testing.T) {
	t.Parallel()
	files := newTree(t)
	if err := errors.Join(files.Dir("usr/lib", 0o755), files.Link("lib", "usr/lib")); err != nil {
		t.Fatal(err)
	}
	if err := files.Unpack(t.Context(), archive(t, dir("./lib/"), file("./lib/a", "1"), file("./.wh.lib", "no whiteout"))); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"usr": "/", "usr/lib": "/", "usr/lib/a": "1", "lib": "→ usr/lib", ".wh.lib": "no whiteout"}
	if diff := cmp.Diff(want, listing(t, files)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDirectoryFollowsNoLinks(t *testing.T) {
	t.Parallel()
	outside, inside := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{filepath.Join(outside, "secret"): "s", filepath.Join(inside, "a"): "1"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"out": outside, "secret": outside + "/secret", "within": "a"} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	files := newTree(t)
	if err := files.Directory(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "out": "→ " + outside, "secret": "→ " + outside + "/secret", "within": "→ a"}
	if diff := cmp.Diff(want, listing(t, files)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Replace the file with a link to a secret file. The tree must not read the secret
	// file.
	if err := errors.Join(os.Remove(filepath.Join(inside, "a")), os.Symlink(outside+"/secret", filepath.Join(inside, "a"))); err != nil {
		t.Fatal(err)
	}
	e, err := files.Lstat("a")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Open(); err == nil {
		r.Close()
		t.Error("a link was followed")
	}
}

func TestWriteTarIsReproducible(t *testing.T) {
	t.Parallel()
	headers := []tar.Header{dir("d"), file("d/b", "2"), file("d/a", "1"), link("l", "d/a"), hard("h", "d/b")}
	files := newTree(t)
	if err := files.Layer(t.Context(), archive(t, headers...)); err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	for _, b := range []*bytes.Buffer{&one, &two} {
		if err := files.WriteTar(t.Context(), b, time.Unix(1, 0), nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the archives differ")
	}
	again := newTree(t)
	if err := again.Layer(t.Context(), &one); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, files), listing(t, again)); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

func TestLayerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newTree(t).Layer(ctx, archive(t, file("a", "1"))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// FuzzLayer checks that all entries of arbitrary layers stay within the tree.
func FuzzLayer(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{file("a", "1"), dir("d"), link("l", "../.."), hard("h", "a")},
		{file("d/.wh.a", ""), file("d/.wh..wh..opq", "")},
		{link("a", "b"), link("b", "a")},
	} {
		f.Add(archive(f, headers...).Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		files := newTree(t)
		if err := files.Layer(t.Context(), archive(t, file("d/a", "1"), link("l", "d"))); err != nil {
			t.Fatal(err)
		}
		_ = files.Layer(t.Context(), bytes.NewReader(b)) // Most inputs are not archives.
		for path := range listing(t, files) {
			if !fs.ValidPath(path) {
				t.Errorf("unexpected path %q", path)
			}
		}
		_ = fmt.Sprint(files.Names("d"))
	})
}
