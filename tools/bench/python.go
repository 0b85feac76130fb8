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
	// label is the name and the version of the interpreter. The report contains this
	// label.
	label string
}

// findPython returns the interpreter that the program at path starts. The program may
// be a wrapper script, which makes each start slower. So findPython asks the
// interpreter for the path of the interpreter's executable.
func findPython(ctx context.Context, owner, path string) (python, error) {
	out, err := python{path: path}.output(ctx, "import platform, sys; print(sys.executable); print(platform.python_version())")
	if err != nil {
		return python{}, fmt.Errorf("find the executable of %s: %w", path, err)
	}
	executable, version, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return python{path: executable, label: owner + " Python " + version}, nil
}

func (p python) command(program string) command {
	return command{path: p.path, args: fixedArgs(p.path, "-c", program)}
}
