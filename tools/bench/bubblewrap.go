package main

import "os/exec"

// bubblewrap runs the interpreter as people commonly sandbox it without a
// kernel of its own: all namespaces new, and the file system read-only.
func bubblewrap(p python) (command, error) {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return command{}, err
	}
	return command{path: path, args: fixed(path,
		"--unshare-all", "--die-with-parent", "--new-session",
		"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
		p.path, "-c", program,
	)}, nil
}
