package rootfs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// collector adds copies of files of this machine to a plan.
type collector struct {
	host
	plan plan
}

// tool adds a program of this machine and the libraries of this program. It returns
// fs.ErrNotExist if this machine lacks the program.
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
		// If the name of the program is a link, the image contains the program under the
		// name of the link's target. Add the requested name as a link, because some
		// programs behave differently under different names.
		at := "usr/bin/" + filepath.Base(target)
		if have, taken := c.plan[at]; taken && !sameFile(have, data) {
			at = "usr/bin/" + name
		}
		c.plan.file(at, 0o755, data)
		if alias := "usr/bin/" + name; alias != at {
			c.plan.link(alias, path.Base(at))
		}
		return nil
	}
	return fs.ErrNotExist
}

func sameFile(e tree.Entry, content []byte) bool {
	if !e.Mode.IsRegular() || e.Size != int64(len(content)) {
		return false
	}
	var have bytes.Buffer
	return e.CopyTo(&have) == nil && bytes.Equal(have.Bytes(), content)
}

// The method "runnable" adds all files that a program or library needs. These are the
// libraries or, for a script, the shell. It returns an error if one of these files is
// missing. The parameter "data" is the content of the file, and "origin" is its path.
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
	needs, err := readNeeds(bytes.NewReader(data))
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

// library adds a shared library and the libraries that this library needs. It searches
// the preferred directories first. Then it searches the directories of the loader.
func (c *collector) library(name string, preferred []string) error {
	if name == filepath.Base(c.host.loader) {
		return c.loader()
	}
	if filepath.Base(name) != name {
		return fmt.Errorf("%q is not the name of a library", name)
	}
	for _, dir := range slices.Concat(preferred, c.libraries) {
		// The dynamic loader in the image also searches the directory to which symbolic
		// links lead.
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
		needs, err := readNeeds(bytes.NewReader(data))
		if err != nil {
			continue // Like the loader, skip libraries for other architectures.
		}
		// Add the library before its dependencies. Otherwise two libraries that need each
		// other would cause an endless recursion.
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

// loader adds the dynamic loader, which loads shared libraries.
func (c *collector) loader() error {
	at := merged(loader)
	if c.plan.has(at) {
		return nil
	}
	data, err := readRegular(c.host.loader)
	if err != nil {
		return err
	}
	if _, err := readNeeds(bytes.NewReader(data)); err != nil {
		return err
	}
	c.plan.file(at, 0o755, data)
	return nil
}

// The method "terminal" adds the terminfo entry of a terminal. It returns false if this
// machine has no such entry. The name of an entry's directory is the first letter of the
// terminal's name.
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

// locale adds the locale C.UTF-8, which is not part of the C library. It returns false if
// this machine does not have this locale.
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

// readRegular returns the content of a regular file. It follows links. It refuses other
// types of files, because reading such a file can block.
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

// merged converts the path of a library on this machine to its path in the image. In
// the image, /lib and /lib64 are links to directories in /usr.
func merged(name string) string {
	name = inImage(name)
	if strings.HasPrefix(name, "lib/") || strings.HasPrefix(name, "lib64/") {
		return "usr/" + name
	}
	return name
}
