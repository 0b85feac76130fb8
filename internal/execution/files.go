package execution

import (
	"fmt"
	"path"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// checkFiles checks the paths of the files. program is the file with the code.
func checkFiles(f *pyth.FieldErrors, files []pyth.File, program string) {
	given := make(map[string]bool, len(files))
	for i, file := range files {
		location := fmt.Sprintf("body.files[%d].path", i)
		if reason := PathFault(file.Path, program); reason != "" {
			f.Add(location, "%s", reason)
			continue
		}
		if given[file.Path] {
			f.Add(location, "must be given once")
		}
		given[file.Path] = true
	}
	for i, file := range files {
		for dir := path.Dir(file.Path); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if given[dir] {
				f.Add(fmt.Sprintf("body.files[%d].path", i), "lies below a path that is given as a file")
				break
			}
		}
	}
}

// PathFault returns what is wrong with the path of a file, or "". program is
// the file with the code, which may not be replaced.
func PathFault(p, program string) string {
	if fault := workpath.Fault(p); fault != "" {
		return fault
	}
	if p == program || strings.HasPrefix(p, program+"/") {
		return program + " is the program itself"
	}
	return ""
}
