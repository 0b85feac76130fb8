package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	syscalls "gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/runsc/cli/maincli"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback"
)

// launchName is the argv[0] of a gVisor process that must wait until it is in its
// cgroup.
const launchName = "runsc-launch"

// RunsGVisor reports whether this process must run gVisor's runsc instead of
// Pyth-On. Boot starts such processes. gVisor also starts itself again, either
// under a name that begins with runsc or as /proc/self/exe.
func RunsGVisor(argv0 string) bool {
	return argv0 == "/proc/self/exe" || strings.HasPrefix(filepath.Base(argv0), "runsc")
}

// GVisorMain runs gVisor and does not return. It may be called only if RunsGVisor
// returns true.
func GVisorMain() {
	if os.Args[0] == launchName {
		os.Args[0] = "runsc"
		awaitCgroup()
	}
	restrictPrograms()
	// If this fails, rollback is off: each run gets a new interpreter.
	// TestInstall would report the error.
	_ = rollback.Install(syscalls.AMD64)
	maincli.Main()
}

// awaitCgroup waits until the server has moved this process into its cgroup. So
// all children start inside the cgroup. The server then sends a byte to standard
// input. If the server exits without sending the byte, this process exits too.
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

// gvisorFlags returns the global flags of runsc. They have these effects:
//   - With platform=systrap, gVisor needs no KVM. With network=none, a sandbox has
//     only loopback.
//   - Programs cannot reach sockets, FIFOs and devices of the host. Raw sockets,
//     setuid and io_uring are disabled.
//   - The root file system is a read-only EROFS image without an overlay, so that
//     gVisor needs no gofer process.
//   - Without directfs, the sentry runs as the user nobody in a separate user
//     namespace. With rootless, gVisor maps nobody to the only user of our namespace.
//   - A release of gVisor has sidecar binaries, which run parts of gVisor. Its Go
//     module lacks them. With this sidecar policy, this binary takes their place.
func gvisorFlags(root string, rootless bool) []string {
	return []string{
		"--root=" + root,
		"--rootless=" + strconv.FormatBool(rootless),
		"--platform=systrap",
		"--network=none",
		"--host-uds=none",
		"--host-fifo=none",
		"--character-device-policy=emulated-only",
		"--net-raw=false",
		"--allow-suid=false",
		"--iouring=false",
		"--overlay2=none",
		"--directfs=false",
		"--ignore-cgroups",
		"--host-settings=ignore",
		"--sidecar-usage-policy=LEGACY_DEPRECATED_SLOW_EMBEDDED_FALLBACK",
	}
}
