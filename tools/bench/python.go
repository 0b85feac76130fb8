package main

import (
	"context"
	"fmt"
	"strings"
)

// hostInterpreter is the usual path of a distribution's Python.
const hostInterpreter = "/usr/bin/python3"

// python describes an interpreter outside of any sandbox.
type python struct {
	path string
	// label names its owner and its version.
	label string
}

// findPython asks the interpreter at path for its real executable. The path may be
// a wrapper, whose time would be measured too.
func findPython(ctx context.Context, owner, path string) (python, error) {
	out, err := python{path: path}.output(ctx, "import platform, sys; print(sys.executable); print(platform.python_version())")
	if err != nil {
		return python{}, fmt.Errorf("find the executable of %s: %w", path, err)
	}
	executable, version, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return python{path: executable, label: owner + " Python " + version}, nil
}

// command returns a command that runs the program in the interpreter.
func (p python) command() command {
	return command{path: p.path, args: fixed(p.path, "-c", program)}
}
