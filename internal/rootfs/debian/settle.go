package debian

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// skeleton is what is there before any package: /bin and the like are links, as
// in every Debian since 12 (UsrMerge), and packages are unpacked through them.
func skeleton(t *tree.Tree) error {
	var all error
	for at, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		all = errors.Join(all, t.Dir(target, 0o755), t.Link(at, target))
	}
	return all
}

// settle does what matters of that which packages have done when they are
// installed.
func settle(t *tree.Tree) error {
	for _, do := range []func(*tree.Tree) error{alternatives, shell, accounts, documents} {
		if err := do(t); err != nil {
			return err
		}
	}
	return nil
}

// alternatives links libraries that several packages offer (update-alternatives(1)),
// the fastest first, to where the loader looks, and the usual commands.
func alternatives(t *tree.Tree) error {
	const libraries = "usr/lib/x86_64-linux-gnu"
	for _, name := range []string{"libblas.so.3", "liblapack.so.3", "libopenblas.so.0"} {
		for _, from := range []string{"openblas-pthread", "openblas-openmp", "openblas-serial", "atlas", "blis-pthread", "blis-serial", "blas", "lapack"} {
			if err := link(t, path.Join(libraries, name), path.Join(from, name)); err != nil {
				return err
			}
		}
	}
	for _, c := range [][2]string{{"awk", "gawk"}, {"awk", "mawk"}, {"which", "which.debianutils"}, {"pager", "less"}, {"editor", "nano"}} {
		if err := link(t, path.Join("usr/bin", c[0]), c[1]); err != nil {
			return err
		}
	}
	return nil
}

// link links a name in a directory to what is there, unless the name is taken.
func link(t *tree.Tree, at, target string) error {
	if _, err := t.Stat(path.Join(path.Dir(at), target)); err != nil {
		return nil
	}
	if _, err := t.Lstat(at); err == nil {
		return nil
	}
	return t.Link(at, target)
}

// shell is /bin/sh, which older packages of dash leave to be set up.
func shell(t *tree.Tree) error {
	return errors.Join(link(t, "usr/bin/sh", "dash"), link(t, "usr/bin/sh", "bash"))
}

// accounts are those that every system has.
func accounts(t *tree.Tree) error {
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"etc/group":  "root:x:0:\nnogroup:x:65534:\n",
	} {
		if err := t.File(name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// documents removes what programs do not read. Licences stay.
func documents(t *tree.Tree) error {
	var unread []string
	err := t.Walk(func(name string, e tree.Entry) error {
		for _, dir := range []string{"usr/share/man/", "usr/share/info/", "usr/share/lintian/"} {
			if strings.HasPrefix(name, dir) {
				unread = append(unread, name)
			}
		}
		if strings.HasPrefix(name, "usr/share/doc/") && e.Mode.Type() != fs.ModeDir && path.Base(name) != "copyright" && e.Mode.IsRegular() {
			unread = append(unread, name)
		}
		return nil
	})
	for _, name := range unread {
		err = errors.Join(err, t.Remove(name))
	}
	return err
}
