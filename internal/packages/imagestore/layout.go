package imagestore

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/erofs"
)

// layout describes where the interpreter of a runtime finds packages.
type layout struct {
	// directory returns the directory of the package with the index, relative to
	// the layer.
	directory func(index int, p Package) string
	// link adds the links to the directories of all packages. images holds the
	// files of each package.
	link func(tree *erofs.Tree, packages []Package, images []fs.FS) error
}

// layoutOf returns the layout of a runtime's layers.
func layoutOf(runtime pyth.Runtime) layout {
	return map[pyth.Runtime]layout{
		pyth.PythonRuntime: {directory: storeDirectory, link: linkMerged},
		pyth.NodeRuntime:   {directory: moduleDirectory, link: linkModules},
	}[runtime]
}

func storeDirectory(index int, _ Package) string { return fmt.Sprintf("%s/%d", storeDir, index) }

// moduleDirectory returns a directory below node_modules. Each package has its
// own node_modules, where Node looks for its dependencies.
func moduleDirectory(index int, p Package) string {
	return fmt.Sprintf("%s/%d/node_modules/%s", storeDir, index, p.Name)
}

// linkModules links each package to its dependencies, and the top packages of the
// lockfile to the program. Node resolves links before it looks for the imports of
// a module.
func linkModules(tree *erofs.Tree, packages []Package, _ []fs.FS) error {
	indexes := map[string]int{}
	for i, p := range packages {
		indexes[p.Place] = i
	}
	add := func(at string, to int) {
		tree.Symlink(at, strings.Repeat("../", strings.Count(at, "/"))+moduleDirectory(to, packages[to]))
	}
	for i, p := range packages {
		for _, place := range p.Requires {
			to, ok := indexes[place]
			if !ok || packages[to].Name == p.Name {
				continue // This is the package itself.
			}
			add(moduleDirectory(i, packages[to]), to)
		}
		if p.Place == "node_modules/"+p.Name {
			add(p.Name, i)
		}
	}
	return nil
}

// linkMerged merges all packages into one directory, as pip installs them.
func linkMerged(tree *erofs.Tree, packages []Package, images []fs.FS) error {
	root := &mergedEntry{children: map[string]*mergedEntry{}}
	for i, p := range packages {
		if err := root.merge(images[i], ".", storeDirectory(i, p)); err != nil {
			return err
		}
	}
	root.addTo(tree, "")
	return nil
}

// mergedEntry is an entry of the merged directory. It is a link to the file or
// directory of one package. If several packages have the directory, it is a
// directory.
type mergedEntry struct {
	// target is the path of the entry in the layer.
	target string
	// files and name locate the directory in the package's image. files is nil
	// for a file.
	files fs.FS
	name  string
	// children holds the entries of a directory that several packages have.
	children map[string]*mergedEntry
}

// merge adds the entries of a package's directory. The package's image is mounted
// at the path at. If several packages have the same file, the first one wins.
func (m *mergedEntry) merge(files fs.FS, dir, at string) error {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		present := m.children[e.Name()]
		switch {
		case present == nil:
			added := &mergedEntry{target: path.Join(at, e.Name())}
			if e.IsDir() {
				added.files, added.name = files, name
			}
			m.children[e.Name()] = added
		case !e.IsDir() || present.children == nil && present.files == nil:
		default:
			if present.children == nil {
				present.children = map[string]*mergedEntry{}
				if err := present.merge(present.files, present.name, present.target); err != nil {
					return err
				}
			}
			if err := present.merge(files, name, path.Join(at, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// addTo adds the links to the tree.
func (m *mergedEntry) addTo(tree *erofs.Tree, at string) {
	if m.children == nil {
		tree.Symlink(at, strings.Repeat("../", strings.Count(at, "/"))+m.target)
		return
	}
	for name, child := range m.children {
		if name != storeDir {
			child.addTo(tree, path.Join(at, name))
		}
	}
}
