// Package launch defines how the server starts a sandbox's executable.
package launch

import (
	"strconv"
	"strings"
)

// Name is the argv[0] of a process that boots a sandbox. The process waits until it is
// in its cgroup. The server then sends a byte to standard input of the process.
const Name = "runsc-sandbox"

// Descriptors of a process that boots a sandbox. The image of the root file system has
// the descriptor "Images". The images of the mounts follow it in order.
const (
	Control = iota + 3
	Network
	Executable
	Spec
	Images
)

// Arguments returns the arguments of a process that boots a sandbox, without gVisor's
// global flags. images is the number of images.
func Arguments(bundle, id string, images int) []string {
	descriptors, kinds := make([]string, images), make([]string, images)
	for i := range images {
		descriptors[i], kinds[i] = strconv.Itoa(Images+i), "erofs:none"
	}
	return []string{
		"boot",
		"--bundle=" + bundle,
		"--spec-fd=" + strconv.Itoa(Spec),
		"--io-fds=" + strings.Join(descriptors, ","),
		"--gofer-mount-confs=" + strings.Join(kinds, ","),
		"--pass-fd=" + pass(Control) + "," + pass(Network),
		// The process makes its root directory empty, and then drops all its
		// capabilities. It dies when the server dies.
		"--setup-root", "--apply-caps", "--attached",
		id,
	}
}

// pass returns the mapping that gives the descriptor to the agent, with the same number.
func pass(descriptor int) string {
	d := strconv.Itoa(descriptor)
	return d + ":" + d
}
