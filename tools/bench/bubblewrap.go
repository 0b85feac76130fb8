package main

import "os/exec"

// bubblewrap returns a command that runs the interpreter in bubblewrap. Bubblewrap is a
// common sandbox that uses the kernel of the host. The command uses new namespaces of
// all kinds and a read-only file system.
func bubblewrap(p python) (command, error) {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return command{}, err
	}
	return command{path: path, args: fixedArgs(path,
		"--unshare-all", "--die-with-parent", "--new-session",
		"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
		p.path, "-c", program,
	)}, nil
}
