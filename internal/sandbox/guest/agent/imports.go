package agent

import (
	"bytes"
	"slices"
	"strings"
)

// commonModules contains the modules of Python's standard library that an interpreter may
// import in advance. An interpreter with all these modules needs about 20 MiB more
// memory. This is acceptable: the server removes a sandbox if its memory has grown by
// more than 48 MiB since its boot.
var commonModules = strings.Fields(`
	re json random datetime collections itertools functools math typing string time statistics
	dataclasses enum pathlib csv io base64 hashlib decimal fractions heapq bisect copy operator
	textwrap urllib.parse contextlib traceback logging argparse tempfile shutil glob subprocess
	threading inspect uuid secrets calendar array struct types numbers abc queue pprint timeit zlib`)

const (
	// scannedBytes limits how much of a program is searched for imports. The agent
	// keeps this part until the program has ended.
	scannedBytes = 16 << 10
	// usualRuns is the number of programs that must import a module before an
	// interpreter imports it in advance.
	usualRuns = 2
)

// The type "imports" contains, for each common module, how many programs of the user
// have imported it.
type imports map[string]int

// The function "scanned" returns a copy of the part of a program that is searched for
// imports.
func scanned(program []byte) []byte {
	return bytes.Clone(program[:min(len(program), scannedBytes)])
}

// The method "add" updates the counts of the modules that a program imports. It searches
// the text for import statements at the beginning of lines, so it can miss some
// statements.
func (i imports) add(source []byte) {
	found := make(map[string]bool)
	for line := range bytes.Lines(source) {
		for statement := range strings.SplitSeq(string(line), ";") {
			for _, name := range importedBy(statement) {
				if slices.Contains(commonModules, name) && !found[name] {
					found[name] = true
					i[name]++
				}
			}
		}
	}
}

// importedBy returns the names of the modules in an import statement. If the text is
// another statement, importedBy returns nil.
func importedBy(statement string) []string {
	statement = strings.TrimSpace(statement)
	if rest, ok := strings.CutPrefix(statement, "from "); ok {
		name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		return []string{name}
	}
	rest, ok := strings.CutPrefix(statement, "import ")
	if !ok {
		return nil
	}
	var names []string
	for part := range strings.SplitSeq(rest, ",") {
		if fields := strings.Fields(part); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	return names
}

// The method "usual" returns the modules that the user's programs usually import.
func (i imports) usual() []string {
	var names []string
	for _, name := range commonModules {
		if i[name] >= usualRuns {
			names = append(names, name)
		}
	}
	return names
}
