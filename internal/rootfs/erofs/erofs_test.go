package erofs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
)

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// addition is one call of a method that adds an entry to a tree.
type addition struct {
	path   string
	mode   fs.FileMode
	data   string
	target string
}

func dir(path string, mode fs.FileMode) addition {
	return addition{path: path, mode: fs.ModeDir | mode}
}

func file(path string, mode fs.FileMode, data string) addition {
	return addition{path: path, mode: mode, data: data}
}

func link(path, target string) addition {
	return addition{path: path, mode: fs.ModeSymlink, target: target}
}

func (a addition) addTo(t *erofs.Tree) {
	switch a.mode.Type() {
	case fs.ModeDir:
		t.Dir(a.path, a.mode&^fs.ModeDir)
	case fs.ModeSymlink:
		t.Symlink(a.path, a.target)
	default:
		t.File(a.path, a.mode, erofs.Bytes([]byte(a.data)))
	}
}

func write(additions []addition) ([]byte, error) {
	tree := erofs.NewTree(epoch)
	for _, a := range additions {
		a.addTo(tree)
	}
	var image bytes.Buffer
	err := tree.Write(context.Background(), &image, nil)
	return image.Bytes(), err
}

// expect returns the records that a reader must return for a tree with the
// additions.
func expect(additions []addition) listing {
	base := record{Nlink: 1, Mtime: uint64(epoch.Unix())}
	directory := func(mode fs.FileMode) record {
		r := base
		r.Nlink, r.Mode = 2, unix.S_IFDIR|uint32(mode.Perm())
		if mode&fs.ModeSticky != 0 {
			r.Mode |= unix.S_ISVTX
		}
		return r
	}
	all := listing{".": directory(0o755)}
	for _, a := range additions {
		for at := path.Dir(a.path); at != "."; at = path.Dir(at) {
			if _, ok := all[at]; !ok {
				all[at] = directory(0o755)
			}
		}
	}
	for _, a := range additions {
		r := base
		switch a.mode.Type() {
		case fs.ModeDir:
			r = directory(a.mode)
		case fs.ModeSymlink:
			r.Mode, r.Target = unix.S_IFLNK|0o777, a.target
		default:
			r.Mode, r.Size, r.Data = unix.S_IFREG|uint32(a.mode.Perm()), uint64(len(a.data)), a.data
		}
		all[a.path] = r
	}
	for _, at := range slices.Sorted(maps.Keys(all)) {
		if at == "." {
			continue
		}
		parent := all[path.Dir(at)]
		parent.Names = append(parent.Names, path.Base(at))
		if all[at].Mode&unix.S_IFMT == unix.S_IFDIR {
			parent.Nlink++
		}
		all[path.Dir(at)] = parent
	}
	for at, r := range all {
		slices.Sort(r.Names)
		all[at] = r
	}
	return all
}

// many returns additions of count files to the directory "many". Each file name has
// nameLength bytes.
func many(count, nameLength int) []addition {
	all := make([]addition, 0, count)
	for i := range count {
		name := fmt.Sprintf("%06d", i)
		all = append(all, file("many/"+name+strings.Repeat("n", nameLength-len(name)), 0o644, name))
	}
	return all
}

func TestWriteIsReadable(t *testing.T) {
	t.Parallel()
	for name, additions := range map[string][]addition{
		"an empty tree": nil,
		"the mode of the root": {
			dir(".", 0o700),
		},
		"files around the size of a block": {
			file("empty", 0o644, ""),
			file("one", 0o644, "x"),
			file("less", 0o644, strings.Repeat("l", 4095)),
			file("block", 0o755, strings.Repeat("b", 4096)),
			file("more", 0o600, strings.Repeat("m", 4097)),
			file("blocks", 0o444, strings.Repeat("c", 3*4096)),
		},
		"sticky and implicit directories": {
			file("a/b/c", 0o644, "c"), dir("a", 0o711), dir("tmp", 0o777|fs.ModeSticky), dir("a/empty", 0o700),
		},
		"short, long and dangling links": {
			link("short", "a"), link("up", "../../x"), link("long", strings.Repeat("t", 4095)), link("self", "."),
		},
		"names that sort before and after the dots": {
			file("!", 0o644, ""), file("-", 0o644, ""), file("...", 0o644, ""), file(".a", 0o644, ""),
			file("0", 0o644, ""), file("é", 0o644, ""), file("a b", 0o644, ""),
		},
		"entries that take many blocks":        many(5000, 20),
		"entries with the longest names":       many(100, 255),
		"entries whose last block is one name": many(16*15-1, 255),
		// The entries "." and ".." take 27 bytes; the others take 12 bytes and
		// their names: 4096 in total.
		"entries that fill a block to its end":      append(many(15, 255), file("many/"+strings.Repeat("x", 52), 0o644, "")),
		"entries that take one byte more":           append(many(15, 255), file("many/"+strings.Repeat("x", 53), 0o644, "")),
		"deeply nested directories":                 {file(strings.Repeat("d/", 200)+"f", 0o644, "deep")},
		"one name for a directory, file and a link": {dir("a/x", 0o755), file("b/x", 0o644, "x"), link("c/x", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, err := write(additions)
			if err != nil {
				t.Fatal(err)
			}
			want := expect(additions)
			for reader, read := range readers() {
				if diff := cmp.Diff(want, read(t, image)); diff != "" {
					t.Errorf("%s reads a different tree (-want +got):\n%s", reader, diff)
				}
			}
		})
	}
}

func TestWriteIsReadableForAnyTree(t *testing.T) {
	t.Parallel()
	name := rapid.OneOf(
		rapid.StringMatching(`[a-e]`),
		rapid.StringMatching(`[!-.0-~]{1,12}`),
		rapid.StringMatching(`[é-ü]{100,127}`),
	).Filter(func(s string) bool { return s != "." && s != ".." })
	size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(4090, 4100), rapid.Just(8192))
	rapid.Check(t, func(r *rapid.T) {
		kinds := make(map[string]fs.FileMode)
		var additions []addition
		dirs := []string{"."}
		for range rapid.IntRange(0, 60).Draw(r, "entries") {
			at := path.Join(rapid.SampledFrom(dirs).Draw(r, "directory"), name.Draw(r, "name"))
			if _, taken := kinds[at]; taken {
				continue
			}
			mode := fs.FileMode(rapid.Uint32Range(0, 0o777).Draw(r, "mode"))
			switch rapid.SampledFrom([]string{"directory", "file", "link"}).Draw(r, "kind") {
			case "directory":
				if rapid.Bool().Draw(r, "sticky") {
					mode |= fs.ModeSticky
				}
				additions = append(additions, dir(at, mode))
				dirs = append(dirs, at)
			case "file":
				data := strings.Repeat(at[len(at)-1:], size.Draw(r, "size"))
				additions = append(additions, file(at, mode, data))
			default:
				additions = append(additions, link(at, strings.Repeat("t", rapid.IntRange(1, 4095).Draw(r, "length"))))
			}
			kinds[at] = mode
		}
		image, err := write(additions)
		if err != nil {
			r.Fatal(err)
		}
		want := expect(additions)
		for reader, read := range readers() {
			if diff := cmp.Diff(want, read(t, image)); diff != "" {
				r.Fatalf("%s reads otherwise (-want +got):\n%s", reader, diff)
			}
		}
		// The order of the additions must not change the image.
		shuffled := rapid.Permutation(additions).Draw(r, "order")
		if again, err := write(shuffled); err != nil || !bytes.Equal(image, again) {
			r.Fatalf("the same tree gives other bytes, error %v", err)
		}
	})
}

func TestWriteReturnsErrorsOfTheTree(t *testing.T) {
	t.Parallel()
	for name, additions := range map[string][]addition{
		"a file twice":                      {file("a", 0o644, ""), file("a", 0o644, "")},
		"a directory twice":                 {dir("a", 0o755), dir("a", 0o755)},
		"a directory where a file is":       {file("a", 0o644, ""), dir("a", 0o755)},
		"a file where a directory is":       {dir("a", 0o755), file("a", 0o644, "")},
		"a file below a file":               {file("a", 0o644, ""), file("a/b", 0o644, "")},
		"a file below a link":               {link("a", "b"), file("a/b", 0o644, "")},
		"a setuid file":                     {file("a", 0o755|fs.ModeSetuid, "")},
		"a setgid directory":                {dir("a", 0o755|fs.ModeSetgid)},
		"a device":                          {file("a", 0o644|fs.ModeDevice, "")},
		"absolute path":                     {file("/a", 0o644, "")},
		"path with ..":                      {file("a/../b", 0o644, "")},
		"a file as the root":                {file(".", 0o644, "")},
		"an empty path":                     {file("", 0o644, "")},
		"a zero byte in a name":             {file("a\x00b", 0o644, "")},
		"a name of 256 bytes":               {file(strings.Repeat("n", 256), 0o644, "")},
		"a directory with such a name":      {file(strings.Repeat("n", 256)+"/a", 0o644, "")},
		"a link to nothing":                 {link("a", "")},
		"a link with a zero byte":           {link("a", "b\x00")},
		"a link with a target of one block": {link("a", strings.Repeat("t", 4096))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if image, err := write(additions); err == nil || len(image) > 0 {
				t.Errorf("wrote %d bytes, error %v", len(image), err)
			}
		})
	}
}

func TestWriteRefusesContentOfAnotherSize(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	reader := func(r io.Reader) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
	}
	for name, content := range map[string]erofs.Content{
		"shorter":                       {Size: 3, Open: reader(strings.NewReader("ab"))},
		"longer":                        {Size: 3, Open: reader(strings.NewReader("abcd"))},
		"content that cannot be opened": {Size: 3, Open: func() (io.ReadCloser, error) { return nil, broken }},
		"content that cannot be read":   {Size: 3, Open: reader(io.MultiReader(strings.NewReader("ab"), errorReader{broken}))},
		"negative size":                 {Size: -1, Open: reader(strings.NewReader(""))},
		"too large":                     {Size: 1 << 32, Open: reader(strings.NewReader(""))},
		"longer, a whole block":         {Size: 4096, Open: reader(strings.NewReader(strings.Repeat("x", 4097)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := erofs.NewTree(epoch)
			tree.File("a", 0o644, content)
			if err := tree.Write(context.Background(), io.Discard, nil); err == nil {
				t.Error("no error")
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestWriteReportsProgressAndCanBeCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	tree := erofs.NewTree(epoch)
	for i := range 100 {
		tree.File(fmt.Sprint(i), 0o644, erofs.Bytes(make([]byte, 5000)))
	}
	var last, total int64
	calls := 0
	err := tree.Write(ctx, io.Discard, func(written, of int64) {
		if written <= last || written > of || (total != 0 && of != total) {
			t.Errorf("%d of %d after %d of %d", written, of, last, total)
		}
		last, total = written, of
		if calls++; calls == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || calls != 10 {
		t.Errorf("ended after %d parts with %v", calls, err)
	}
}

func TestWriteReportsTheSizeOfTheImage(t *testing.T) {
	t.Parallel()
	tree := erofs.NewTree(epoch)
	tree.File("a", 0o644, erofs.Bytes(make([]byte, 5000)))
	tree.File("empty", 0o644, erofs.Bytes(nil))
	var image bytes.Buffer
	var written, total int64
	if err := tree.Write(context.Background(), &image, func(w, of int64) { written, total = w, of }); err != nil {
		t.Fatal(err)
	}
	if size := int64(image.Len()); written != size || total != size {
		t.Errorf("progress was %d of %d bytes, the image has %d", written, total, size)
	}
}

func TestWriteChecksumsTheSuperblock(t *testing.T) {
	t.Parallel()
	image, err := write([]addition{file("a", 0o644, "a")})
	if err != nil {
		t.Fatal(err)
	}
	image[1024+128+3] ^= 1 // The checksum also covers the following bytes.
	if _, err := openWithGVisor(t, image); err == nil {
		t.Error("gVisor opens it")
	}
}
