package imagestore

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// maxMounts is the maximum number of package images in a layer. A separate image contains
// the links to the packages. If a layer has more than maxMounts packages, the image with
// the links also contains a copy of the smallest packages. The limit is necessary,
// because gVisor numbers the descriptors of images from 0 and uses the numbers from 253
// for other descriptors.
const maxMounts = 96

// storeDir is the directory in a layer where the server mounts the images of packages.
const storeDir = ".store"

// Package is a pinned package with the key of its image.
type Package struct {
	*pyth.PinnedPackage
	Key string
}

// LayerID returns the ID of the layer that contains the packages. It returns "" if the
// list of packages is empty. The packages must be sorted by their field Place.
func LayerID(runtime pyth.Runtime, packages []Package) pyth.LayerID {
	if len(packages) == 0 {
		return ""
	}
	parts := []string{"layer", recipe, string(runtime)}
	for _, p := range packages {
		parts = append(parts, p.Place, p.Key, fmt.Sprint(len(p.Requires)))
		parts = append(parts, p.Requires...)
	}
	return pyth.LayerID(fileName(parts...))
}

// Layer returns the ID of the layer that contains the packages. If this layer does not
// exist, Layer makes it. The packages must be sorted by their field Place, and their
// images must exist.
func (s *Store) Layer(ctx context.Context, runtime pyth.Runtime, packages []Package) (pyth.LayerID, error) {
	id := LayerID(runtime, packages)
	if id == "" {
		return "", nil
	}
	s.Use(id)
	return id, s.making.Do(ctx, string(id), func() error {
		if s.Complete(id) {
			return nil
		}
		return s.makeLayer(ctx, runtime, id, packages)
	})
}

func (s *Store) makeLayer(ctx context.Context, runtime pyth.Runtime, id pyth.LayerID, packages []Package) error {
	b := &layerBuilder{layout: layoutOf(runtime), files: tree.New(), list: imageList{Runtime: runtime}}
	defer b.close()
	if err := b.add(s, packages); err != nil {
		return err
	}
	if err := s.write(s.linksPath(id), func(f *os.File) error { return WriteImage(ctx, f, b.files) }); err != nil {
		return err
	}
	// Write the list of images last, because a layer is complete only if this list
	// exists.
	return s.write(s.listPath(id), func(f *os.File) error { return json.MarshalWrite(f, b.list) })
}

// write calls the given function, which writes an unfinished file. Then it renames this
// file to the given path.
func (s *Store) write(path string, content func(*os.File) error) error {
	f, err := s.TempFile()
	if err != nil {
		return err
	}
	if err := content(f); err != nil {
		return discard(f, err)
	}
	return publish(f, path)
}

// layerBuilder builds the image that contains the links of a layer. The interpreter finds
// packages through the links. Each link leads to the mount point of a package's image.
type layerBuilder struct {
	layout layout
	files  *tree.Tree
	list   imageList
	open   []io.Closer
}

func (b *layerBuilder) close() {
	for _, c := range b.open {
		c.Close()
	}
}

// The method "add" adds all packages and their links to the layer. For each package, it
// adds a mount point or a copy of the files.
func (b *layerBuilder) add(s *Store, packages []Package) error {
	mounted := largest(packages, maxMounts)
	images := make([]fs.FS, len(packages))
	for i, p := range packages {
		files, closer, err := s.openImage(p.Key)
		if err != nil {
			return err
		}
		b.open = append(b.open, closer)
		images[i] = files
		at := b.layout.directory(i, p)
		if err := b.files.Add(at, tree.Dir(0o755)); err != nil {
			return err
		}
		if mounted[p.Place] {
			b.list.Images = append(b.list.Images, listedImage{Key: p.Key, Path: at})
		} else if err := b.copy(files, at); err != nil {
			return err
		}
	}
	return b.layout.link(b.files, packages, images)
}

// The function "largest" returns the field Place of the n largest packages.
func largest(packages []Package, n int) map[string]bool {
	order := slices.Clone(packages)
	slices.SortStableFunc(order, func(p, q Package) int { return cmp.Compare(q.SizeBytes, p.SizeBytes) })
	places := map[string]bool{}
	for _, p := range order[:min(len(order), n)] {
		places[p.Place] = true
	}
	return places
}

// The method "copy" copies the files of a package to the given directory in the image
// with the links.
func (b *layerBuilder) copy(files fs.FS, at string) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		open := func() (io.ReadCloser, error) { return files.Open(name) }
		return b.files.Add(path.Join(at, name), tree.Entry{Mode: info.Mode().Perm(), Size: info.Size(), Open: open})
	})
}
