package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gvisor.dev/gvisor/runsc/cli/maincli"
)

// launchName is the argv[0] of a gVisor that waits for its cgroup first.
const launchName = "runsc-launch"

// RunsGVisor is true when this process was started to be gVisor's runsc
// rather than Pyth-On: by Boot, or by gVisor starting itself again, which it
// does under names that begin with runsc or under that of its executable.
func RunsGVisor(argv0 string) bool {
	return argv0 == "/proc/self/exe" || strings.HasPrefix(filepath.Base(argv0), "runsc")
}

// GVisorMain is main for such a process. It does not return.
func GVisorMain() {
	if os.Args[0] == launchName {
		os.Args[0] = "runsc"
		awaitCgroup()
	}
	restrictPrograms()
	maincli.Main()
}

// awaitCgroup blocks until the server has put this process into its cgroup,
// so that nothing it starts can be outside. The server says so with a byte on
// standard input; if it went away instead there is nothing to run for.
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

// gvisorFlags are the settings of design and their reasons:
//   - systrap needs no KVM; network none leaves loopback only.
//   - No sockets, FIFOs or devices of the host are reachable; no raw sockets,
//     no setuid, no io_uring.
//   - The root is an EROFS image, read-only and without an overlay, so that no
//     gofer process is needed, and with directfs off the sentry runs as nobody
//     in a user namespace of its own. Rootless tells it that nobody must be
//     mapped to the one user that this namespace has.
//   - The sidecar binaries are not part of gVisor's Go module; this binary is
//     its own.
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
