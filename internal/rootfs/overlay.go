package rootfs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// fillPlans plans what of ours is laid over a root file system.
func (r *runtimeBuilder) fillPlans() error {
	settings(r.plan)
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
	// Our packages belong to where the runtime's Python looks for them.
	maps.DeleteFunc(r.plan, func(name string, _ entry) bool { return strings.HasPrefix(name, "usr/local/lib/") })
	for _, dir := range []string{"dev/pts", "dev/shm", "home/sandbox", "mnt", "proc", "run", "sys", "work"} {
		r.plan.dir(dir, 0o755)
	}
	r.plan.dir("root", 0o700)
	r.plan.dir("tmp", 0o777|fs.ModeSticky)
	r.plan.link("var/run", "/run")
	r.plan.link("var/tmp", "/tmp")
	return nil
}

// lay lays the plans over the tree.
func (r *runtimeBuilder) lay() error {
	// These are mounted on, or ours alone; none may be a link to elsewhere.
	for _, dir := range []string{
		"dev", "proc", "run", "sys", "tmp", "work", "mnt", "root", "home/sandbox", "var/run", "var/tmp",
		path.Dir(inImage(guest.AgentPath)),
		// What tells of users that are not there.
		"etc/shadow", "etc/gshadow", "etc/shadow-", "etc/gshadow-", "etc/passwd-", "etc/group-",
	} {
		if err := r.tree.Remove(dir); err != nil {
			return err
		}
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
	if err := r.plan.lay(r.tree); err != nil {
		return err
	}
	absent := make(plan)
	for name, e := range r.extra {
		if _, err := r.tree.Lstat(name); err != nil {
			absent[name] = e
		}
	}
	return absent.lay(r.tree)
}

// lay adds what is planned to the tree.
func (p plan) lay(t *tree.Tree) error {
	// Sorted: directories come before what is in them.
	for _, name := range slices.Sorted(maps.Keys(p)) {
		var err error
		switch e := p[name]; e.mode.Type() {
		case fs.ModeDir:
			err = t.Dir(name, e.mode)
		case fs.ModeSymlink:
			err = t.Link(name, string(e.data))
		default:
			err = t.File(name, e.mode, e.data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ownSources are our packages for Python and the hook, as compile.py wants them.
func ownSources() (map[string][]byte, error) {
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

// hookDir is where the image has what is below hook/.
func hookDir() string { return inImage(protocol.PythonHookDir) }
