package rootfs

import (
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// fillPlans fills r.plan and r.extra. Every custom image gets all files of r.plan. A
// custom image gets a file of r.extra only if its source does not have this file.
func (r *customBuilder) fillPlans() error {
	settings(r.plan)
	home(r.extra)
	certificates(r.extra)
	if err := zoneinfo(r.extra); err != nil {
		return err
	}
	for _, name := range []string{"etc/protocols", "etc/services", "etc/ld.so.conf", "usr/lib/os-release", "etc/os-release"} {
		r.extra[name] = r.plan[name]
		delete(r.plan, name)
	}
	if err := agent(r.plan); err != nil {
		return err
	}
	// Remove Pyth-On's Python modules, which agent has added to the plan. addModules adds
	// them to the directory of the image's Python.
	maps.DeleteFunc(r.plan, func(name string, _ tree.Entry) bool { return strings.HasPrefix(name, "usr/local/lib/") })
	for _, dir := range []string{"dev/pts", "dev/shm", "home/sandbox", "mnt", "proc", "run", "sys", "work"} {
		r.plan.dir(dir, 0o755)
	}
	r.plan.dir("root", 0o700)
	r.plan.dir("tmp", 0o777|fs.ModeSticky)
	r.plan.link("var/run", "/run")
	r.plan.link("var/tmp", "/tmp")
	return nil
}

// The method "overlay" adds the files of r.plan to the tree. It adds a file of r.extra
// only if the tree does not have this file.
func (r *customBuilder) overlay() error {
	// Sandboxes mount file systems in some of these directories. In the other
	// directories, only Pyth-On may add files. In the source, a directory could be a link
	// to another path. So remove these directories first.
	for _, dir := range []string{
		"dev", "proc", "run", "sys", "tmp", "work", "mnt", "root", "home/sandbox", "var/run", "var/tmp",
		path.Dir(inImage(guest.AgentPath)),
		// Remove these files, because the image does not have the accounts that they
		// describe.
		"etc/shadow", "etc/gshadow", "etc/shadow-", "etc/gshadow-", "etc/passwd-", "etc/group-",
	} {
		if err := r.tree.Remove(dir); err != nil {
			return err
		}
	}
	// Programs do not run as root. They must be able to reach all files, even if the root
	// directory of the source has another mode.
	if err := r.tree.Dir(".", 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"home", "etc", "var", "usr"} {
		if e, err := r.tree.Lstat(dir); err == nil && !e.Mode.IsDir() {
			if err := r.tree.Remove(dir); err != nil {
				return err
			}
		}
		if err := r.tree.Dir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := r.plan.overlay(r.tree); err != nil {
		return err
	}
	absent := make(plan)
	for name, e := range r.extra {
		if _, err := r.tree.Lstat(name); err != nil {
			absent[name] = e
		}
	}
	return absent.overlay(r.tree)
}

// moduleSources returns the sources of Pyth-On's modules and of the Python hook. The keys
// of the map are the paths where the program compile.py expects these sources.
func moduleSources() (map[string][]byte, error) {
	packages, err := guest.PythonPackages()
	if err != nil {
		return nil, err
	}
	sources := make(map[string][]byte)
	if err := addHook(sources, "hook"); err != nil {
		return nil, err
	}
	return sources, fs.WalkDir(packages, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		sources[path.Join(ownDir, name)], err = fs.ReadFile(packages, name)
		return err
	})
}

func hookDir() string { return inImage(protocol.PythonHookDir) }
