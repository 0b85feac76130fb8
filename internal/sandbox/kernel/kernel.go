// Package kernel runs gVisor with the changes that sandboxes need. Only
// cmd/pyth-on-sandbox, the executable of sandboxes, imports it.
package kernel

import (
	"context"
	"os"
	"syscall"

	"github.com/google/subcommands"
	syscalls "gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/runsc/cli"
	"gvisor.dev/gvisor/runsc/cmd"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/flag"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/filter"
	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/launch"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback"
)

// Main runs gVisor with the arguments of this process, and does not return. gVisor
// starts its other processes by executing /proc/self/exe, so they call Main too.
func Main() {
	if os.Args[0] == launch.Name {
		os.Args[0] = "runsc"
		awaitCgroup()
	}
	cli.Run(nil, commands(), nil)
}

// commands returns the commands of gVisor's runsc that a sandbox needs. The linker
// omits the code of all other commands.
func commands() map[util.SubCommand]string {
	return map[util.SubCommand]string{
		new(cmd.Run): "",
		// The command "run" starts the following commands.
		new(boot):             "",
		new(cmd.Gofer):        "",
		new(sentrycmd.Umount): "",
		// tools/bench writes bundles with the command "spec".
		new(cmd.Spec): "",
	}
}

// boot is gVisor's command that boots a sandbox. It changes gVisor's system calls
// first, and gives gVisor the compiled seccomp filter.
type boot struct{ sentrycmd.Boot }

// Execute implements subcommands.Command. It returns when the sandbox has ended.
func (b *boot) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	filter.Register()
	changeCalls()
	// If Install fails, rollback is off, and each run gets a new interpreter.
	// TestCheckFields finds the causes of such a failure.
	_ = rollback.Install(syscalls.AMD64)
	return b.Boot.Execute(ctx, f, args...)
}

// awaitCgroup waits until the server has moved this process into its cgroup. All
// children of the process then start inside the cgroup. After the move, the server
// sends a byte to standard input. If the server exits without sending the byte, this
// process exits too.
func awaitCgroup() {
	var b [1]byte
	if n, _ := os.Stdin.Read(b[:]); n != 1 {
		os.Exit(1)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		os.Exit(1)
	}
	if err := syscall.Dup3(int(null.Fd()), 0, 0); err != nil {
		os.Exit(1)
	}
	null.Close()
}
