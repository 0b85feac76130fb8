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

// launchName is the argv[0] of a gVisor process that waits for its cgroup before
// it starts.
const launchName = "runsc-launch"

// RunsGVisor reports whether this process was started as gVisor's runsc instead
// of Pyth-On. Boot starts such processes. gVisor also restarts itself, under a
// name that begins with runsc or is the name of its executable.
func RunsGVisor(argv0 string) bool {
	return argv0 == "/proc/self/exe" || strings.HasPrefix(filepath.Base(argv0), "runsc")
}

// GVisorMain runs gVisor. Call it only if RunsGVisor is true. It does not return.
func GVisorMain() {
	if os.Args[0] == launchName {
		os.Args[0] = "runsc"
		awaitCgroup()
	}
	restrictPrograms()
	// After an error, each run gets a new interpreter. TestInstall reports the
	// error.
	_ = rollback.Install(syscalls.AMD64)
	maincli.Main()
}

// awaitCgroup blocks until the server has moved this process into its cgroup, so
// that all its children start inside the cgroup. The server signals this with a
// byte on standard input. If the server has exited, the process exits too.
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

// gvisorFlags returns the global flags of runsc. The flags have these effects:
//   - platform=systrap needs no KVM. network=none leaves only loopback.
//   - Programs cannot reach sockets, FIFOs and devices of the host. Raw sockets,
//     setuid and io_uring are disabled.
//   - The root file system is a read-only EROFS image without an overlay, so no
//     gofer process is needed.
//   - With directfs off, the sentry runs as nobody in a separate user namespace.
//     rootless makes gVisor map nobody to the only user of our namespace.
//   - gVisor's Go module has no sidecar binaries, so this binary replaces them.
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
