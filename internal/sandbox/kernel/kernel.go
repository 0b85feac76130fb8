// Package kernel runs gVisor with the changes that sandboxes need. Only
// cmd/pyth-on-sandbox, the executable of sandboxes, imports it.
package kernel

import (
	"os"
	"slices"
	"strings"

	"gvisor.dev/gvisor/pkg/urpc"
	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/launch"
)

// Main runs gVisor with the arguments of this process, and does not return. gVisor
// starts its other processes by executing /proc/self/exe, so these processes also call
// Main.
func Main() {
	var control *urpc.Client
	if os.Args[0] == launch.Name && !isStartedByRun(os.Args) {
		delayCollection()
		var err error
		if control, err = prepareBoot(); err != nil {
			util.Fatalf("%v", err)
		}
	}
	cli.Run(nil, commands(control), nil)
}

// isStartedByRun reports whether gVisor's command "run" has started this process. The
// command "run" uses the same argv[0] as the server, and passes a control socket.
func isStartedByRun(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--controller-fd=") })
}

// commands returns the commands of gVisor's runsc that a sandbox needs. The linker
// omits the code of all other commands.
func commands(control *urpc.Client) map[util.SubCommand]string {
	return map[util.SubCommand]string{
		&boot{control: control}: "",
		// The command "boot" of gVisor starts the command "umount".
		new(sentrycmd.Umount): "",
		// tools/bench measures the command "run". It creates the bundles for this command
		// with the command "spec".
		new(cmd.Run):   "",
		new(cmd.Gofer): "",
		new(cmd.Spec):  "",
	}
}
