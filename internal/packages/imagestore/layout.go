package imagestore

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// layout determines the paths of packages in a layer. A layer is a file system with
// packages that sandboxes mount. The interpreter searches these paths for packages.
type layout struct {
	// directory returns the directory for the files of the package p, relative to the
	// root of the layer. The parameter "index" is the position of p in the list of the
	// layer's packages.
	directory func(index int, p Package) string
	// link adds symbolic links to the layer. The interpreter finds the packages through
	// these links. The parameter "images" contains the file system of each package.
	link func(layer *tree.Tree, packages []Package, images []fs.FS) error
}

func layoutOf(runtime pyth.Runtime) layout {
	return map[pyth.Runtime]layout{
		pyth.PythonRuntime: {directory: storeDirectory, link: linkMerged},
		pyth.NodeRuntime:   {directory: moduleDirectory, link: linkModules},
	}[runtime]
}

func storeDirectory(index int, _ Package) string { return fmt.Sprintf("%s/%d", storeDir, index) }

// moduleDirectory returns the directory for the files of an npm package, relative to the
// root of the layer. Each package has a separate node_modules directory. Node searches
// this directory for the dependencies of the package.
func moduleDirectory(index int, p Package) string {
	return fmt.Sprintf("%s/%d/node_modules/%s", storeDir, index, p.Name)
}

// linkModules adds two kinds of links. Links of the first kind lead from each package to
// its dependencies. Links of the second kind lead from the root of the layer to the
// packages that programs may import. Node resolves the link to a module before it
// searches for the imports of the module.
func linkModules(layer *tree.Tree, packages []Package, _ []fs.FS) error {
	indexes := map[string]int{}
	for i, p := range packages {
		indexes[p.Place] = i
	}
	add := func(at string, to int) error { return addLink(layer, at, moduleDirectory(to, packages[to])) }
	for i, p := range packages {
		for _, place := range p.Requires {
			to, ok := indexes[place]
			if !ok || packages[to].Name == p.Name {
				continue // The package is missing, or the link would replace p.
			}
			if err := add(moduleDirectory(i, packages[to]), to); err != nil {
				return err
			}
		}
		if p.Place == "node_modules/"+p.Name {
			if err := add(p.Name, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkMerged adds links to one directory. Through these links, the files of all packages
// appear in this directory, as in the directory site-packages of pip.
func linkMerged(layer *tree.Tree, packages []Package, images []fs.FS) error {
	root := &mergedEntry{children: map[string]*mergedEntry{}}
	for i, p := range packages {
		if err := root.merge(images[i], ".", storeDirectory(i, p)); err != nil {
			return err
		}
	}
	return root.addTo(layer, "")
}

// addLink adds a link from the path "at" to the path "target". Both paths are in the
// layer. The link is relative, so it works at every mount point of the layer.
func addLink(layer *tree.Tree, at, target string) error {
	return layer.Add(at, tree.Link(strings.Repeat("../", strings.Count(at, "/"))+target))
}

// mergedEntry is an entry in the directory that merges the files of all packages. If only
// one package has the entry, the entry is a link to the file or directory of this
// package. If several packages have the same directory, the entry is a real directory. It
// contains the entries of all these packages.
type mergedEntry struct {
	// If the entry is a link, "target" is the target of the link: a path in the layer.
	target string
	// If the entry is a link to a directory, "files" and "name" identify this directory
	// in the image of its package. If the entry is a file, both fields are unset.
	files fs.FS
	name  string
	// The field "children" holds the entries of a merged directory. It is nil for a link.
	children map[string]*mergedEntry
}

// merge adds all entries of a directory of a package. The parameter "dir" is the path of
// the directory in the package. The parameter "at" is its path in the layer. If several
// packages have the same file, merge keeps the file of the first package.
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

// addTo adds the entry and all of its children to the layer. The parameter "at" is
// the path of the entry in the layer.
func (m *mergedEntry) addTo(layer *tree.Tree, at string) error {
	if m.children == nil {
		return addLink(layer, at, m.target)
	}
	for name, child := range m.children {
		if name == storeDir {
			continue
		}
		if err := child.addTo(layer, path.Join(at, name)); err != nil {
			return err
		}
	}
	return nil
}
