package main

import (
	"context"
	"fmt"
	"strings"
)

// hostInterpreter is the path of Python on most Linux distributions.
const hostInterpreter = "/usr/bin/python3"

// python is a Python interpreter that runs outside a sandbox.
type python struct {
	path string
	// label names the interpreter in the report, with its version.
	label string
}

// findPython returns the interpreter that path runs. It asks the interpreter for the
// path of its executable, because path may be a wrapper that takes time.
func findPython(ctx context.Context, owner, path string) (python, error) {
	out, err := python{path: path}.output(ctx, "import platform, sys; print(sys.executable); print(platform.python_version())")
	if err != nil {
		return python{}, fmt.Errorf("find the executable of %s: %w", path, err)
	}
	executable, version, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return python{path: executable, label: owner + " Python " + version}, nil
}

// command returns a command that runs the usual program with the interpreter.
func (p python) command() command {
	return command{path: p.path, args: fixedArgs(p.path, "-c", program)}
}
