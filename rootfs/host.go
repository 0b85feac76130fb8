package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// loader is the path of the dynamic loader that x86-64 programs name (System V
// ABI, AMD64 supplement).
const loader = "/lib64/ld-linux-x86-64.so.2"

// host is where programs and libraries are on this machine.
type host struct {
	programs []string
	// libraries are the directories that the loader searches by itself, in its
	// order: in the image there is no cache that names others.
	libraries []string
	loader    string
	terminfo  []string
	locales   []string
}

// thisHost knows Debian's directories and those of other distributions.
func thisHost() host {
	return host{
		programs: []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"},
		libraries: []string{
			"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
			"/lib64", "/usr/lib64", "/lib", "/usr/lib",
		},
		loader:   loader,
		terminfo: []string{"/lib/terminfo", "/usr/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"},
		locales:  []string{"/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"},
	}
}

// requiredLibrary is a library without which Python or its wheels do not run.
type requiredLibrary struct{ name, debianPackage string }

// requiredLibraries are what the embedded Python is linked to, and what wheels
// may expect of every machine (PEP 600).
func requiredLibraries() []requiredLibrary {
	return []requiredLibrary{
		{"libc.so.6", "libc6"},
		{"libm.so.6", "libc6"},
		{"libdl.so.2", "libc6"},
		{"libpthread.so.0", "libc6"},
		{"librt.so.1", "libc6"},
		{"libutil.so.1", "libc6"},
		{"libgcc_s.so.1", "libgcc-s1"},
		{"libstdc++.so.6", "libstdc++6"},
	}
}

// optionalLibraries are what some wheels expect besides.
func optionalLibraries() []string {
	return []string{
		"libanl.so.1", "libatomic.so.1", "libcrypt.so.1", "libexpat.so.1",
		"libmvec.so.1", "libnsl.so.1", "libnss_files.so.2", "libresolv.so.2", "libz.so.1",
	}
}

// tools are the programs that Python code likes to call.
func tools() []string {
	return []string{
		"[", "awk", "base64", "basename", "bash", "cat", "chmod", "clear", "cmp", "comm", "cp",
		"cut", "date", "dd", "df", "diff", "dirname", "du", "echo", "egrep", "env", "expr",
		"false", "fgrep", "find", "getent", "grep", "gunzip", "gzip", "head", "hostname", "id",
		"kill", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "nl", "nproc", "od", "paste",
		"printf", "pwd", "readlink", "realpath", "rev", "rm", "rmdir", "sed", "seq",
		"sha1sum", "sha256sum", "sha512sum", "sleep", "sort", "split", "stat", "tac", "tail",
		"tar", "tee", "test", "timeout", "touch", "tr", "true", "tty", "uname", "uniq", "wc",
		"which", "whoami", "xargs", "yes", "zcat",
	}
}

// terminals are those whose descriptions are taken along.
func terminals() []string {
	return []string{"dumb", "linux", "screen", "vt100", "xterm", "xterm-256color"}
}

// addTo adds to the plan what is needed of the host and returns the names of
// what would have been nice to have but is absent.
func (h host) addTo(p plan) (missing []string, err error) {
	c := &collector{host: h, plan: p}
	var absent []string
	for _, l := range requiredLibraries() {
		err := c.library(l.name, nil)
		if err != nil {
			absent = append(absent, fmt.Sprintf("%s (Debian package %s): %v", l.name, l.debianPackage, err))
		}
	}
	if err := c.loader(); err != nil {
		absent = append(absent, fmt.Sprintf("%s (Debian package libc6): %v", h.loader, err))
	}
	if err := c.tool("sh"); err != nil {
		absent = append(absent, fmt.Sprintf("/bin/sh (Debian package dash): %v", err))
	}
	if len(absent) > 0 {
		return nil, errors.New("rootfs: this machine lacks what sandboxes need; install " + strings.Join(absent, "; "))
	}
	for _, name := range tools() {
		if c.tool(name) != nil {
			missing = append(missing, name)
		}
	}
	for _, name := range optionalLibraries() {
		if c.library(name, nil) != nil {
			missing = append(missing, name)
		}
	}
	for _, name := range terminals() {
		if !c.terminal(name) {
			missing = append(missing, "terminfo "+name)
		}
	}
	if !c.locale() {
		missing = append(missing, "locale C.UTF-8")
	}
	slices.Sort(missing)
	return missing, nil
}

// collector copies from the host into a plan.
type collector struct {
	host
	plan plan
}

// tool adds the program and the libraries that it needs.
func (c *collector) tool(name string) error {
	for _, dir := range c.programs {
		target, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		data, err := readRegular(target)
		if err != nil {
			return err
		}
		if err := c.runnable(data, target); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
		// One program may have many names, and may go by the name it has.
		// Only the part of its path that all machines have in common is kept.
		real := "usr/bin/" + filepath.Base(target)
		if have, ok := c.plan[real]; ok && !(have.mode.IsRegular() && bytes.Equal(have.data, data)) {
			real = "usr/bin/" + name
		}
		c.plan.file(real, 0o755, data)
		if alias := "usr/bin/" + name; alias != real {
			c.plan.link(alias, path.Base(real))
		}
		return nil
	}
	return fs.ErrNotExist
}

// runnable adds what a program or library needs to run, and says if that is
// not to be had.
func (c *collector) runnable(data []byte, origin string) error {
	if rest, script := bytes.CutPrefix(data, []byte("#!")); script {
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		switch strings.TrimSpace(string(line)) {
		case "/bin/sh", "/usr/bin/sh":
			return nil
		case "/bin/bash", "/usr/bin/bash":
			return c.tool("bash")
		}
		return fmt.Errorf("is a script for %s", line)
	}
	needs, err := readNeeds(data)
	if err != nil {
		return err
	}
	for _, name := range needs.libraries {
		if err := c.library(name, needs.searched(filepath.Dir(origin))); err != nil {
			return err
		}
	}
	return nil
}

// library adds a shared library with those that it needs. It is looked for in
// the directories first, then in the loader's own.
func (c *collector) library(name string, first []string) error {
	if name == filepath.Base(c.host.loader) {
		return c.loader()
	}
	if filepath.Base(name) != name {
		return fmt.Errorf("%q is not a library's name", name)
	}
	for _, dir := range slices.Concat(first, c.libraries) {
		// The directory's own path, without links, is where the loader in the
		// image comes to look too.
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		at := merged(filepath.Join(dir, name))
		if c.plan.has(at) {
			return nil
		}
		data, err := readRegular(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		needs, err := readNeeds(data)
		if err != nil {
			continue // As the loader does with what is for another machine.
		}
		// Planned first: libraries may need each other.
		c.plan.file(at, 0o644, data)
		for _, needed := range needs.libraries {
			if err := c.library(needed, needs.searched(dir)); err != nil {
				delete(c.plan, at)
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// loader adds the dynamic loader.
func (c *collector) loader() error {
	at := merged(loader)
	if c.plan.has(at) {
		return nil
	}
	data, err := readRegular(c.host.loader)
	if err != nil {
		return err
	}
	if _, err := readNeeds(data); err != nil {
		return err
	}
	c.plan.file(at, 0o755, data)
	return nil
}

// terminal adds the description of a terminal, which is in a directory named
// by the first letter.
func (c *collector) terminal(name string) bool {
	for _, dir := range c.terminfo {
		entry := filepath.Join(name[:1], name)
		if data, err := readRegular(filepath.Join(dir, entry)); err == nil {
			c.plan.file("usr/share/terminfo/"+entry, 0o644, data)
			return true
		}
	}
	return false
}

// locale adds C.UTF-8, which the C library has outside of itself.
func (c *collector) locale() bool {
	for _, dir := range c.locales {
		found := false
		for _, name := range []string{
			"LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT",
			"LC_MESSAGES/SYS_LC_MESSAGES", "LC_MONETARY", "LC_NAME", "LC_NUMERIC",
			"LC_PAPER", "LC_TELEPHONE", "LC_TIME",
		} {
			if data, err := readRegular(filepath.Join(dir, name)); err == nil {
				c.plan.file("usr/lib/locale/C.utf8/"+name, 0o644, data)
				found = found || name == "LC_CTYPE"
			}
		}
		if found {
			return true
		}
	}
	return false
}

// readRegular reads a file, through links, but nothing that could block.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return os.ReadFile(name)
}

// merged is where the image has a library of the host: all of /lib and /lib64
// is below /usr.
func merged(name string) string {
	name = inImage(name)
	if strings.HasPrefix(name, "lib/") || strings.HasPrefix(name, "lib64/") {
		return "usr/" + name
	}
	return name
}
