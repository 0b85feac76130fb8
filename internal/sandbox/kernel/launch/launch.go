// Package launch defines how the server starts a sandbox's executable.
package launch

import (
	"strconv"
	"strings"
)

// Name is the argv[0] of a process that boots a sandbox. The process waits until it is
// in its cgroup. The server then sends a byte to standard input of the process.
const Name = "runsc-sandbox"

// These constants are the descriptors of a process that boots a sandbox. The image of the
// root file system has the descriptor "Images". The images of the mounts have the next
// descriptors, in order.
const (
	Control = iota + 3
	Network
	Streams
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
		"--pass-fd=" + pass(Control) + "," + pass(Network) + "," + pass(Streams),
		// With these options, the process first makes its root directory empty, and then
		// drops all its capabilities. The process dies when the server dies.
		"--setup-root", "--apply-caps", "--attached",
		id,
	}
}

// pass returns the mapping that gives a descriptor to the agent. The descriptor has the
// same number in the agent.
func pass(descriptor int) string {
	d := strconv.Itoa(descriptor)
	return d + ":" + d
}
