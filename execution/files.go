package execution

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Bounds of paths: those of Linux for names, and less than it for depth.
const (
	maxPathBytes = 1024
	maxNameBytes = 255
	maxPathDepth = 64
)

// checkFiles checks files that go beside the program's own.
func checkFiles(f *pyth.Faults, files []pyth.File, program string) {
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

// PathFault says what is wrong with the path of a file beside the program's own,
// "" if nothing is.
func PathFault(p, program string) string {
	switch {
	case p == "":
		return "must not be empty"
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unprintable):
		return "must be printable text"
	case strings.HasPrefix(p, "/"):
		return "must be relative to the working directory"
	case p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/.."):
		return "must not contain .."
	case p == "." || path.Clean(p) != p:
		return "must be written plainly, without ., // or a final /"
	case len(p) > maxPathBytes:
		return fmt.Sprintf("must be at most %d bytes", maxPathBytes)
	case strings.Count(p, "/") >= maxPathDepth:
		return fmt.Sprintf("must be at most %d directories deep", maxPathDepth)
	case p == program || strings.HasPrefix(p, program+"/"):
		return program + " is the program itself"
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxNameBytes {
			return fmt.Sprintf("must have names of at most %d bytes", maxNameBytes)
		}
	}
	return ""
}

// unprintable are control and format characters, which deceive who reads them.
func unprintable(c rune) bool { return unicode.Is(unicode.C, c) || c == utf8.RuneError }
