package debian

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// addSkeleton adds the directories and links that must exist before the first package is
// unpacked. Since Debian 12, /bin and some other directories are links (UsrMerge). Files
// of packages are written through these links.
func addSkeleton(t *tree.Tree) error {
	var all error
	for at, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		all = errors.Join(all, t.Dir(target, 0o755), t.Link(at, target))
	}
	return all
}

// applyPostinst makes the changes of the packages' postinst scripts, but only the changes
// that programs need. The scripts themselves do not run.
func applyPostinst(t *tree.Tree) error {
	for _, step := range []func(*tree.Tree) error{linkAlternatives, linkShell, addAccounts, removeDocuments} {
		if err := step(t); err != nil {
			return err
		}
	}
	return nil
}

// linkAlternatives adds links for libraries and commands that several packages provide
// (update-alternatives(1)). If several libraries exist, the link leads to the fastest
// library.
func linkAlternatives(t *tree.Tree) error {
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

// link creates a link to a file in the same directory. It does this only if the file
// exists and no other file has the name of the link.
func link(t *tree.Tree, at, target string) error {
	if _, err := t.Stat(path.Join(path.Dir(at), target)); err != nil {
		return nil
	}
	if _, err := t.Lstat(at); err == nil {
		return nil
	}
	return t.Link(at, target)
}

// linkShell adds the link /bin/sh. Older versions of the package dash create this link
// only in their postinst script.
func linkShell(t *tree.Tree) error {
	return errors.Join(link(t, "usr/bin/sh", "dash"), link(t, "usr/bin/sh", "bash"))
}

// addAccounts adds the user accounts of a minimal system.
func addAccounts(t *tree.Tree) error {
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

// removeDocuments removes documentation, because programs do not need it. It keeps
// licenses.
func removeDocuments(t *tree.Tree) error {
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
