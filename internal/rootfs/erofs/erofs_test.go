package erofs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// addition describes an entry that a test adds to a tree.
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

func (a addition) addTo(t *tree.Tree) error {
	e := tree.File(a.mode, []byte(a.data))
	switch a.mode.Type() {
	case fs.ModeDir:
		e = tree.Dir(a.mode)
	case fs.ModeSymlink:
		e = tree.Link(a.target)
	}
	return t.Add(a.path, e)
}

func treeOf(additions []addition) (*tree.Tree, error) {
	files := tree.New()
	for _, a := range additions {
		if err := a.addTo(files); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func write(additions []addition) ([]byte, error) {
	files, err := treeOf(additions)
	if err != nil {
		return nil, err
	}
	var image bytes.Buffer
	err = erofs.Write(context.Background(), &image, files, epoch, nil)
	return image.Bytes(), err
}

// The function "expect" returns the records that a reader must return for a tree with
// these entries.
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

// The function "many" returns the given number of files in the directory "many". Their
// names have nameLength bytes.
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
		// Each entry takes 12 bytes plus the length of its name. The entries "." and ".."
		// together take 27 bytes. The sum of all entries is exactly 4096 bytes.
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
		// The image must not depend on the order in which the test adds the entries.
		shuffled := rapid.Permutation(additions).Draw(r, "order")
		if again, err := write(shuffled); err != nil || !bytes.Equal(image, again) {
			r.Fatalf("the same tree gives other bytes, error %v", err)
		}
	})
}

func TestWriteRefusesContentOfAnotherSize(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	reader := func(r io.Reader) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(r), nil }
	}
	for name, content := range map[string]tree.Entry{
		"shorter":                       {Size: 3, Open: reader(strings.NewReader("ab"))},
		"longer":                        {Size: 3, Open: reader(strings.NewReader("abcd"))},
		"content that cannot be opened": {Size: 3, Open: func() (io.ReadCloser, error) { return nil, broken }},
		"content that cannot be read":   {Size: 3, Open: reader(io.MultiReader(strings.NewReader("ab"), errorReader{broken}))},
		"longer, a whole block":         {Size: 4096, Open: reader(strings.NewReader(strings.Repeat("x", 4097)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree.New()
			if err := files.Add("a", content); err != nil {
				t.Fatal(err)
			}
			if err := erofs.Write(context.Background(), io.Discard, files, epoch, nil); err == nil {
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
	var additions []addition
	for i := range 100 {
		additions = append(additions, file(fmt.Sprint(i), 0o644, strings.Repeat("x", 5000)))
	}
	files, err := treeOf(additions)
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	calls := 0
	err = erofs.Write(ctx, io.Discard, files, epoch, func(written, of int64) {
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
	files, err := treeOf([]addition{file("a", 0o644, strings.Repeat("x", 5000)), file("empty", 0o644, "")})
	if err != nil {
		t.Fatal(err)
	}
	var image bytes.Buffer
	var written, total int64
	if err := erofs.Write(context.Background(), &image, files, epoch, func(w, of int64) { written, total = w, of }); err != nil {
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
	image[1024+128+3] ^= 1 // The checksum also covers these bytes.
	if _, err := openWithGVisor(t, image); err == nil {
		t.Error("gVisor opens it")
	}
}

// TestWriteKeepsTheBytes fails if the bytes of an image change. If you change the bytes
// intentionally, update the hash here. Also update the constant "recipe" in the packages
// rootfs and imagestore.
func TestWriteKeepsTheBytes(t *testing.T) {
	t.Parallel()
	image, err := write(append(many(500, 20),
		dir(".", 0o711), dir("tmp", 0o777|fs.ModeSticky), file("a/b/c", 0o600, "c"), dir("a", 0o700),
		file("empty", 0o644, ""), file("block", 0o755, strings.Repeat("b", 4096)), file("more", 0o444, strings.Repeat("m", 4097)),
		link("lib", "a/b"), link("a/long", strings.Repeat("t", 4095)), file("é", 0o644, "x"), file("!", 0o644, "y")))
	if err != nil {
		t.Fatal(err)
	}
	const want = "e3e61763101e11a4b58d5f00109c8850f23a4e59904ea7972ee87543dc94a008"
	if got := fmt.Sprintf("%x", sha256.Sum256(image)); got != want {
		t.Errorf("the image has %d bytes and the hash %s", len(image), got)
	}
}

// TestWriteLeavesTheTreeUnchanged checks that a second image of the same tree is equal to
// the first image.
func TestWriteLeavesTheTreeUnchanged(t *testing.T) {
	t.Parallel()
	files, err := treeOf([]addition{file("d/a", 0o644, "a"), link("l", "d")})
	if err != nil {
		t.Fatal(err)
	}
	var images [2]bytes.Buffer
	for i := range images {
		if err := erofs.Write(t.Context(), &images[i], files, epoch, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(images[0].Bytes(), images[1].Bytes()) {
		t.Error("the images differ")
	}
}
