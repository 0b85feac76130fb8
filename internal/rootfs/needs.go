package rootfs

import (
	"debug/elf"
	"errors"
	"io"
	"path/filepath"
	"strings"
)

// needs describes the libraries that an ELF program or library needs.
type needs struct {
	libraries []string
	// The field "paths" contains the directories that the loader searches first. They
	// come from RUNPATH or RPATH.
	paths []string
}

// readNeeds reads the dynamic section of an x86-64 program or library (System V
// ABI, chapter 5; ld.so(8)).
func readNeeds(file io.ReaderAt) (needs, error) {
	f, err := elf.NewFile(file)
	if err != nil {
		return needs{}, err
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 {
		return needs{}, errors.New("not for x86-64")
	}
	var n needs
	if n.libraries, err = f.ImportedLibraries(); err != nil {
		return needs{}, err
	}
	paths, err := f.DynString(elf.DT_RUNPATH)
	if err == nil && len(paths) == 0 {
		paths, err = f.DynString(elf.DT_RPATH)
	}
	if err != nil {
		return needs{}, err
	}
	for _, p := range paths {
		n.paths = append(n.paths, strings.Split(p, ":")...)
	}
	return n, nil
}

// searched returns n.paths. In the result, the parameter "origin" replaces $ORIGIN. The
// result contains only system directories. A library has the same path in the image as on
// this machine, and the path of a home directory would reveal facts about this machine.
func (n needs) searched(origin string) []string {
	var dirs []string
	for _, p := range n.paths {
		p = strings.ReplaceAll(strings.ReplaceAll(p, "${ORIGIN}", origin), "$ORIGIN", origin)
		p = filepath.Clean(p)
		if strings.HasPrefix(p, "/usr/lib") || strings.HasPrefix(p, "/lib") {
			dirs = append(dirs, p)
		}
	}
	return dirs
}
