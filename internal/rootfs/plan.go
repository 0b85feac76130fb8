package rootfs

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"maps"
	"slices"

	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
)

// entry is a directory, a file or a symbolic link of the image.
type entry struct {
	// mode contains the type and the permissions.
	mode fs.FileMode
	// data is the content of a file or the target of a link.
	data []byte
}

// plan contains the files of an image except the interpreters, by path as in
// io/fs.
type plan map[string]entry

func (p plan) dir(path string, mode fs.FileMode) {
	p[path] = entry{mode: fs.ModeDir | mode}
}

func (p plan) file(path string, mode fs.FileMode, data []byte) {
	p[path] = entry{mode: mode, data: data}
}

func (p plan) link(path, target string) {
	p[path] = entry{mode: fs.ModeSymlink, data: []byte(target)}
}

// has reports whether the plan has the path.
func (p plan) has(path string) bool {
	_, ok := p[path]
	return ok
}

// key returns a hash of the plan and of python for the image's name. python
// identifies the inputs that are not in the plan.
func (p plan) key(python string) string {
	h := sha256.New()
	// Hash the length of each part too, so that different parts never give the same
	// bytes.
	part := func(b []byte) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	part([]byte(python))
	for _, path := range slices.Sorted(maps.Keys(p)) {
		e := p[path]
		part([]byte(path))
		part(binary.BigEndian.AppendUint32(nil, uint32(e.mode)))
		part(e.data)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// addTo adds all entries to the tree.
func (p plan) addTo(t *erofs.Tree) {
	for path, e := range p {
		switch e.mode.Type() {
		case fs.ModeDir:
			t.Dir(path, e.mode&^fs.ModeDir)
		case fs.ModeSymlink:
			t.Symlink(path, string(e.data))
		default:
			t.File(path, e.mode, erofs.Bytes(e.data))
		}
	}
}
