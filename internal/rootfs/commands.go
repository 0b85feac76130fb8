package rootfs

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// bashVersion returns the version of a bash executable, which the executable contains as
// text (see what(1)). It returns "" if the entry is not bash.
func bashVersion(e tree.Entry) string {
	var program bytes.Buffer
	if !e.Mode.IsRegular() || e.Open == nil || e.CopyTo(&program) != nil {
		return ""
	}
	found := regexp.MustCompile(`@\(#\)Bash version (\d+\.\d+\.\d+)`).FindSubmatch(program.Bytes())
	if found == nil {
		return ""
	}
	return string(found[1])
}

// packageManagers adds programs with the names of package managers. These programs only
// print how a user installs packages, because the file system of a sandbox is read-only.
func packageManagers(p plan) {
	for name, request := range map[string]string{
		"pip": `{"package": "NAME"}`, "pip3": `{"package": "NAME"}`,
		"npm": `{"language": "javascript", "package": "NAME"}`,
	} {
		p.file("usr/local/bin/"+name, 0o755, []byte("#!/bin/sh\n"+
			"echo '"+name+" cannot change the file system of a sandbox. Install packages for your account: POST /api/v1/packages "+request+
			". Then start a new run, or open a new session.' >&2\nexit 1\n"))
	}
}

// git adds the files that git needs to clone over HTTP, and to work with submodules. In
// the image, the helper programs of git are in the same directory as on this machine,
// because git searches for them there. If this machine has no git, the method does
// nothing.
func (c *collector) git() {
	if !c.plan.has("usr/bin/git") {
		return
	}
	// Git starts these programs to clone from a directory.
	for _, name := range []string{"git-receive-pack", "git-upload-archive", "git-upload-pack"} {
		_ = c.tool(name)
	}
	// Git warns about a missing directory with templates.
	c.plan.dir("usr/share/git-core", 0o755)
	c.plan.dir("usr/share/git-core/templates", 0o755)
	for _, dir := range c.gitPrograms {
		for _, name := range []string{"git-remote-http", "git-sh-i18n", "git-sh-setup", "git-submodule"} {
			data, err := readRegular(filepath.Join(dir, name))
			if err == nil && c.runnable(data, filepath.Join(dir, name)) == nil {
				c.plan.file(path.Join(inImage(dir), name), 0o755, data)
			}
		}
		if c.plan.has(path.Join(inImage(dir), "git-remote-http")) {
			c.plan.link(path.Join(inImage(dir), "git-remote-https"), "git-remote-http")
		}
	}
}

// vim adds default settings for vim. Without a file with default settings, vim begins
// with an error message. Vim's own file would need many other files, for example for
// colors.
func (c *collector) vim() {
	if !c.plan.has("usr/bin/vim") {
		return
	}
	for _, pattern := range c.vimRuntime {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, dir := range found {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				continue
			}
			c.plan.dir(path.Dir(inImage(dir)), 0o755)
			c.plan.dir(inImage(dir), 0o755)
			c.plan.file(path.Join(inImage(dir), "defaults.vim"), 0o644, []byte("set nocompatible backspace=indent,eol,start history=200 ruler showcmd wildmenu\n"))
		}
	}
}
