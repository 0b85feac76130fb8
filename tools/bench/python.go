package main

import (
	"context"
	"fmt"
	"strings"
)

// hostInterpreter is the path of Python in most distributions.
const hostInterpreter = "/usr/bin/python3"

// python is an interpreter outside a sandbox.
type python struct {
	path string
	// label contains its owner and its version.
	label string
}

// findPython asks the interpreter at path for its executable. The path may be a
// wrapper, whose time must not be measured.
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
	return command{path: p.path, args: fixedArgs(p.path, "-c", program)}
}
