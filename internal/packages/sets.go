package packages

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

// maxMounts is how many images of packages a layer has; the smallest packages
// beyond are copied into the binding image. gVisor's descriptors of images must
// stay below 253, where it puts others.
const maxMounts = 96

// storeDir is where in a layer the images are mounted.
const storeDir = ".store"

// Mount is an image of a layer.
type Mount struct {
	// Image is the path of an EROFS image, Path where it is mounted.
	Image, Path string
}

// ImageStore keeps the images of packages and the layers made of them. It needs
// no sandbox, so that it can be opened before the pool.
type ImageStore struct {
	disk *disk
	mu   sync.Mutex
	// temporary are the layers of jobs of this package.
	temporary map[pyth.LayerID][]Mount
}

// OpenImageStore opens the store in the directory, which no other process may
// use, and removes unfinished files.
func OpenImageStore(dir string) (*ImageStore, error) {
	d, err := openDisk(dir)
	if err != nil {
		return nil, err
	}
	return &ImageStore{disk: d, temporary: map[pyth.LayerID][]Mount{}}, nil
}

// mountPath is where the layer of a runtime is mounted.
func mountPath(runtime pyth.Runtime) string {
	if runtime == pyth.NodeRuntime {
		return guest.NodeLayerPath
	}
	return guest.PythonLayerPath
}

// addTemporary makes a layer of one image for a job of this package, until
// removeTemporary. Node's has the package npm.
func (s *ImageStore) addTemporary(runtime pyth.Runtime, image string) pyth.LayerID {
	layer := pyth.LayerID(rand.Text())
	mounts := []Mount{{Image: image, Path: mountPath(runtime)}}
	if runtime == pyth.NodeRuntime {
		mounts[0].Path = guest.ToolPath
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temporary[layer] = mounts
	return layer
}

func (s *ImageStore) removeTemporary(layer pyth.LayerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.temporary, layer)
}

// stored is a layer as its file has it: images by their keys.
type stored struct {
	Runtime pyth.Runtime   `json:"runtime"`
	Images  []storedImages `json:"images"`
}

type storedImages struct {
	Key  string `json:"key"`
	Path string `json:"path"`
}

// read reads a layer.
func (s *ImageStore) read(layer pyth.LayerID) (*stored, error) {
	if string(layer) != filepath.Base(string(layer)) {
		return nil, fs.ErrNotExist
	}
	b, err := os.ReadFile(s.disk.setPath(layer))
	if err != nil {
		return nil, err
	}
	set := new(stored)
	return set, json.Unmarshal(b, set)
}

// whole tells whether all files of the layer are there.
func (s *ImageStore) whole(layer pyth.LayerID) bool {
	mounts, err := s.mounts(layer)
	return err == nil && !slices.ContainsFunc(mounts, func(m Mount) bool { return !exists(m.Image) })
}

// mounts are the images of a layer, in the order in which they are mounted.
func (s *ImageStore) mounts(layer pyth.LayerID) ([]Mount, error) {
	s.mu.Lock()
	temporary, ok := s.temporary[layer]
	s.mu.Unlock()
	if ok {
		return temporary, nil
	}
	set, err := s.read(layer)
	if err != nil {
		return nil, err
	}
	root := mountPath(set.Runtime)
	mounts := []Mount{{Image: s.disk.bindingPath(layer), Path: root}}
	for _, i := range set.Images {
		mounts = append(mounts, Mount{Image: s.disk.imagePath(i.Key), Path: path.Join(root, i.Path)})
	}
	return mounts, nil
}

// Mounts returns the images of the layers, in the order in which they are mounted.
func (s *ImageStore) Mounts(layers pyth.Layers) ([]Mount, error) {
	var all []Mount
	for _, layer := range []pyth.LayerID{layers.Python, layers.Node} {
		if layer == "" {
			continue
		}
		mounts, err := s.mounts(layer)
		if err != nil {
			return nil, fmt.Errorf("packages: layer %.12s: %w", layer, err)
		}
		all = append(all, mounts...)
	}
	return all, nil
}

// layer names the files of a list.
func (s *Service) layer(runtime pyth.Runtime, packages []*pyth.PinnedPackage) pyth.LayerID {
	if len(packages) == 0 {
		return ""
	}
	parts := []string{"layer", recipe, string(runtime)}
	for _, p := range packages {
		parts = append(parts, p.Place, s.imageKey(p), fmt.Sprint(len(p.Requires)))
		parts = append(parts, p.Requires...)
	}
	return pyth.LayerID(fileName(parts...))
}

// bind makes the layer of packages whose images are there. They are in the order
// of their places.
func (s *Service) bind(ctx context.Context, runtime pyth.Runtime, layer pyth.LayerID, packages []*pyth.PinnedPackage) (err error) {
	if s.images.whole(layer) {
		return nil
	}
	b := &binding{tree: erofs.NewTree(imageTime()), set: &stored{Runtime: runtime}}
	defer func() {
		for _, c := range b.open {
			c.Close()
		}
	}()
	b.tree.Dir(".", 0o755)
	// The largest are mounted.
	order := slices.Clone(packages)
	slices.SortStableFunc(order, func(p, q *pyth.PinnedPackage) int { return cmp.Compare(q.SizeBytes, p.SizeBytes) })
	mounted := map[*pyth.PinnedPackage]bool{}
	for _, p := range order[:min(len(order), maxMounts)] {
		mounted[p] = true
	}
	places := map[string]int{}
	for i, p := range packages {
		places[p.Place] = i
	}
	root := newLink()
	for i, p := range packages {
		files, closer, err := s.disk.openImage(s.imageKey(p))
		if err != nil {
			return err
		}
		b.open = append(b.open, closer)
		at := fmt.Sprintf("%s/%d", storeDir, i)
		if runtime == pyth.NodeRuntime {
			at += "/node_modules/" + p.Name
		}
		if mounted[p] {
			b.tree.Dir(at, 0o755)
			b.set.Images = append(b.set.Images, storedImages{Key: s.imageKey(p), Path: at})
		} else if err := b.copy(files, at); err != nil {
			return err
		}
		if runtime == pyth.NodeRuntime {
			b.bindNode(p, i, packages, places)
		} else if err := root.merge(files, ".", at); err != nil {
			return err
		}
	}
	root.addTo(b.tree, "")
	f, err := s.disk.temporary()
	if err != nil {
		return err
	}
	if err := b.tree.Write(ctx, f, func(int64, int64) {}); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if err := keep(f, s.disk.bindingPath(layer)); err != nil {
		return err
	}
	// The list comes last: it says that all is there.
	if f, err = s.disk.temporary(); err != nil {
		return err
	}
	if err := json.MarshalWrite(f, b.set); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return keep(f, s.disk.setPath(layer))
}

// binding is the image of a layer that binds the others together: it has links
// from where packages are looked for to where their images are mounted.
type binding struct {
	tree *erofs.Tree
	set  *stored
	open []io.Closer
}

// copy puts the files of a package into the image itself.
func (b *binding) copy(files fs.FS, at string) error {
	b.tree.Dir(at, 0o755)
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.tree.File(path.Join(at, name), info.Mode().Perm(), erofs.Content{
			Size: info.Size(), Open: func() (io.ReadCloser, error) { return files.Open(name) },
		})
		return nil
	})
}

// bindNode gives a package links to those that it imports, beside itself, and
// the program one if it is at the top. Node follows links before it looks for
// what a module imports.
func (b *binding) bindNode(p *pyth.PinnedPackage, at int, packages []*pyth.PinnedPackage, places map[string]int) {
	target := func(from string, to int) string {
		up := strings.Repeat("../", strings.Count(from, "/"))
		return fmt.Sprintf("%s%s/%d/node_modules/%s", up, storeDir, to, packages[to].Name)
	}
	for _, place := range p.Requires {
		to, ok := places[place]
		if !ok || packages[to].Name == p.Name {
			continue // It is the package's own place.
		}
		link := fmt.Sprintf("%s/%d/node_modules/%s", storeDir, at, packages[to].Name)
		b.tree.Symlink(link, target(link, to))
	}
	if p.Place == "node_modules/"+p.Name {
		b.tree.Symlink(p.Name, target(p.Name, at))
	}
}

// link is a name in a layer: a link to where it is, or, if several packages have
// it, a directory.
type link struct {
	to       string
	files    fs.FS
	from     string
	children map[string]*link
}

func newLink() *link { return &link{children: map[string]*link{}} }

// merge adds what is in a directory of a package, which is mounted at the path.
// Of files that several packages have the first one's is taken.
func (l *link) merge(files fs.FS, dir, at string) error {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		there := l.children[e.Name()]
		switch {
		case there == nil:
			one := &link{to: path.Join(at, e.Name())}
			if e.IsDir() {
				one.files, one.from = files, name
			}
			l.children[e.Name()] = one
		case !e.IsDir() || there.children == nil && there.files == nil:
		default:
			if there.children == nil {
				there.children = map[string]*link{}
				if err := there.merge(there.files, there.from, there.to); err != nil {
					return err
				}
			}
			if err := there.merge(files, name, path.Join(at, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTo adds the links to the image.
func (l *link) addTo(t *erofs.Tree, at string) {
	if l.children == nil {
		t.Symlink(at, strings.Repeat("../", strings.Count(at, "/"))+l.to)
		return
	}
	for name, child := range l.children {
		if name != storeDir {
			child.addTo(t, path.Join(at, name))
		}
	}
}
