package execution

import (
	"fmt"
	"path"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// checkFiles checks the paths of the request's files. The parameter "program" is the
// path of the file that contains the code.
func checkFiles(f *pyth.FieldErrors, files []pyth.File, program string) {
	given := make(map[string]bool, len(files))
	for i, file := range files {
		location := fmt.Sprintf("body.files[%d].path", i)
		if reason := PathFault(file.Path, program); reason != "" {
			f.Add(location, "%s", reason)
			continue
		}
		if given[file.Path] {
			f.Add(location, "must not be given twice")
		}
		given[file.Path] = true
	}
	for i, file := range files {
		for dir := path.Dir(file.Path); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if given[dir] {
				f.Add(fmt.Sprintf("body.files[%d].path", i), "is inside a path that another entry uses as a file")
				break
			}
		}
	}
}

// PathFault returns an error message if the path of a file is invalid, or "" if it is
// valid. The parameter "program" is the path of the file with the code. No other file may
// have this path.
func PathFault(p, program string) string {
	if fault := workpath.Fault(p); fault != "" {
		return fault
	}
	if p == program || strings.HasPrefix(p, program+"/") {
		return program + " contains the program; choose another path"
	}
	return ""
}
