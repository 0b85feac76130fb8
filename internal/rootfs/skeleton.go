package rootfs

import (
	"errors"
	"io/fs"
	"path"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// The function "skeleton" adds the directories and links that every image has.
func skeleton(p plan) {
	// Mount points must exist in the image, because a sandbox cannot create them in a
	// read-only root.
	for _, dir := range []string{
		"dev", "dev/pts", "dev/shm", "etc", "home", "home/sandbox", "mnt", "opt",
		inImage(guest.ToolPath),
		"proc", "run", "srv", "sys", "usr", "usr/bin", "usr/lib", "usr/lib64",
		"usr/local", "usr/local/bin", "usr/local/lib", "usr/sbin", "usr/share",
		"var", "var/cache", "var/lib", "var/log", "work",
	} {
		p.dir(dir, 0o755)
	}
	for _, r := range pyth.Runtimes() {
		p.dir(inImage(r.LayerPath()), 0o755)
	}
	p.dir("root", 0o700)
	p.dir("tmp", 0o777|fs.ModeSticky)
	for at, target := range map[string]string{
		"bin":     "usr/bin",
		"sbin":    "usr/sbin",
		"lib":     "usr/lib",
		"lib64":   "usr/lib64",
		"var/run": "/run",
		// Because of this link, files in /var/tmp count towards the disk limit.
		"var/tmp": "/tmp",
	} {
		p.link(at, target)
	}
}

// home adds a link from /home/user to the working directory. At this path, clients of
// other products expect the files of a program.
func home(p plan) { p.link("home/user", "/work") }

// agent adds the guest agent, its hooks and Pyth-On's modules. The guest agent is the
// process that starts interpreters. Its hooks are its code in the interpreters.
func agent(p plan) error {
	program, err := guest.Agent()
	if err != nil {
		return err
	}
	p.dir(inImage(protocol.PythonHookDir), 0o755)
	p.dir(inImage(protocol.JavaScriptHookDir), 0o755)
	p.dir(inImage(protocol.BashHookDir), 0o755)
	p.file(inImage(guest.AgentPath), 0o755, program)
	compiler, err := guest.TypeScript()
	if err != nil {
		return err
	}
	p.file(inImage(guest.TypeScriptPath), 0o755, compiler)
	p.file(inImage(protocol.InitPath), 0o755, guest.Init())
	modules, err := ownModules()
	if err != nil {
		return err
	}
	for name, source := range modules {
		p.file(name, 0o644, source)
	}
	javaScript, err := guest.JavaScriptHook()
	if err != nil {
		return err
	}
	bash, err := guest.BashHook()
	if err != nil {
		return err
	}
	return errors.Join(p.files(protocol.JavaScriptHookDir, javaScript), p.files(protocol.BashHookDir, bash))
}

// The method "files" adds all files of the source to a directory of the image.
func (p plan) files(dir string, source fs.FS) error {
	return fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(source, name)
		p.file(path.Join(inImage(dir), name), 0o644, data)
		return err
	})
}

// inImage converts an absolute path in the image to the form that plans use.
func inImage(path string) string { return path[1:] }
