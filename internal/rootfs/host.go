package rootfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// loader is the path of the dynamic loader in x86-64 programs (System V ABI,
// AMD64 supplement).
const loader = "/lib64/ld-linux-x86-64.so.2"

// host contains the paths at which this machine has programs, libraries and other files
// for the image.
type host struct {
	programs []string
	// The field "libraries" contains the directories that the loader searches, in the
	// loader's order. In the image, the loader searches only these directories, because
	// the image has no loader cache.
	libraries []string
	loader    string
	terminfo  []string
	locales   []string
	// gitPrograms contains the directories in which git may have its helper programs. The
	// field "vimRuntime" contains patterns of the directories in which vim may have its
	// files.
	gitPrograms, vimRuntime []string
}

// thisHost returns the paths that Debian and other distributions use.
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

		gitPrograms: []string{"/usr/lib/git-core", "/usr/libexec/git-core"},
		vimRuntime:  []string{"/usr/share/vim/vim[0-9]*"},
	}
}

// addTo adds this machine's files to the plan. It returns the names of the
// optional files that this machine lacks.
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
		return nil, errors.New("rootfs: this machine does not have all files that sandboxes need; install " + strings.Join(absent, "; "))
	}
	for _, name := range tools() {
		if c.tool(name) != nil {
			missing = append(missing, name)
		}
	}
	for _, name := range extraTools() {
		_ = c.tool(name)
	}
	c.git()
	c.vim()
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
