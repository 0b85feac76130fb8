package erofs_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	goerofs "github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"
	gvisor "gvisor.dev/gvisor/pkg/erofs"
)

// record contains the data that a reader has returned for one entry.
type record struct {
	// Mode is st_mode of stat(2): the type and the permissions.
	Mode   uint32
	Nlink  uint32
	UID    uint32
	GID    uint32
	Mtime  uint64
	Size   uint64
	Data   string
	Target string
	// Names contains the names in a directory, in the reader's order.
	Names []string
}

// The type "listing" maps each path to its record.
type listing map[string]record

// readers returns several independent EROFS readers, by name.
func readers() map[string]func(*testing.T, []byte) listing {
	return map[string]func(*testing.T, []byte) listing{
		"gVisor":   readWithGVisor,
		"go-erofs": readWithGoErofs,
	}
}

func openWithGVisor(t *testing.T, image []byte) (*gvisor.Image, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, image, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return gvisor.OpenImage(f)
}

func readWithGVisor(t *testing.T, image []byte) listing {
	t.Helper()
	i, err := openWithGVisor(t, image)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if got, want := int64(i.Blocks())*int64(i.BlockSize()), int64(len(image)); got != want {
		t.Fatalf("the superblock says %d bytes, the image has %d", got, want)
	}
	all := make(listing)
	var walk func(at string, nid, parent uint64)
	walk = func(at string, nid, parent uint64) {
		inode, err := i.Inode(nid)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		r := record{
			Mode: uint32(inode.Mode()), Nlink: inode.Nlink(), UID: inode.UID(), GID: inode.GID(), Mtime: inode.Mtime(),
		}
		switch {
		case inode.IsRegular():
			r.Size = inode.Size()
			// gVisor maps the data into the memory of programs. So the data must start at
			// a page boundary.
			offset, err := inode.DataOffset()
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			if offset%uint64(i.BlockSize()) != 0 {
				t.Fatalf("%s starts at %d, which is not the start of a page", at, offset)
			}
			r.Data = string(image[offset : offset+inode.Size()])
		case inode.IsSymlink():
			if r.Target, err = inode.Readlink(); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		default:
			err := inode.IterDirents(func(name string, _ uint8, child uint64) error {
				if found, err := inode.Lookup(name); err != nil || found != child {
					t.Fatalf("lookup of %q in %s: got %d, %v; want %d", name, at, found, err, child)
				}
				switch name {
				case ".":
					if child != nid {
						t.Fatalf("%s/. is %d, not %d", at, child, nid)
					}
				case "..":
					if child != parent {
						t.Fatalf("%s/.. is %d, not %d", at, child, parent)
					}
				default:
					r.Names = append(r.Names, name)
					walk(path.Join(at, name), child, nid)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			for _, absent := range []string{"\x01", "absent", "\xff"} {
				if _, err := inode.Lookup(absent); err == nil && !slices.Contains(r.Names, absent) {
					t.Fatalf("%q is found in %s, but does not exist there", absent, at)
				}
			}
		}
		all[at] = r
	}
	walk(".", i.RootNid(), i.RootNid())
	return all
}

func readWithGoErofs(t *testing.T, image []byte) listing {
	t.Helper()
	fsys, err := goerofs.Open(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	all := make(listing)
	err = fs.WalkDir(fsys, ".", func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := fs.Lstat(fsys, at)
		if err != nil {
			return err
		}
		if d.Type() != info.Mode().Type() {
			t.Fatalf("%s has type %v in its directory and type %v in its inode", at, d.Type(), info.Mode().Type())
		}
		stat := info.Sys().(*goerofs.Stat)
		r := record{
			Mode: uint32(stat.Mode.Perm()), Nlink: uint32(stat.Nlink), UID: stat.UID, GID: stat.GID, Mtime: stat.Mtime,
		}
		if stat.Mode&fs.ModeSticky != 0 {
			r.Mode |= unix.S_ISVTX
		}
		switch info.Mode().Type() {
		case fs.ModeDir:
			r.Mode |= unix.S_IFDIR
			children, err := fs.ReadDir(fsys, at)
			if err != nil {
				return err
			}
			for _, c := range children {
				r.Names = append(r.Names, c.Name())
			}
		case fs.ModeSymlink:
			r.Mode |= unix.S_IFLNK
			if r.Target, err = fs.ReadLink(fsys, at); err != nil {
				return err
			}
		default:
			r.Mode |= unix.S_IFREG
			r.Size = uint64(info.Size())
			data, err := fs.ReadFile(fsys, at)
			if err != nil {
				return err
			}
			r.Data = string(data)
		}
		all[at] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
