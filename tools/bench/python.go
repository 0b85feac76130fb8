package main

import (
	"context"
	"fmt"
	"strings"
)

// hostInterpreter is where distributions have theirs.
const hostInterpreter = "/usr/bin/python3"

// python is an interpreter outside of any sandbox.
type python struct {
	path string
	// label says whose it is and which version.
	label string
}

// findPython asks the interpreter at path for the executable that it really
// is: the path may be that of a wrapper, which would be measured too.
func findPython(ctx context.Context, owner, path string) (python, error) {
	out, err := python{path: path}.output(ctx, "import platform, sys; print(sys.executable); print(platform.python_version())")
	if err != nil {
		return python{}, fmt.Errorf("asking %s what it is: %w", path, err)
	}
	executable, version, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return python{path: executable, label: owner + " Python " + version}, nil
}

// command is the interpreter with a program.
func (p python) command() command {
	return command{path: p.path, args: fixed(p.path, "-c", program)}
}
