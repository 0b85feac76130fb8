package sandbox

import "strconv"

// gvisorFlags returns the global flags of runsc. They have these effects:
//   - With platform=systrap, gVisor needs no KVM. With network=none, a sandbox has only
//     loopback.
//   - Programs cannot reach sockets, FIFOs and devices of the host. Raw sockets, setuid
//     and io_uring are disabled.
//   - The root file system is a read-only EROFS image without an overlay. So gVisor needs
//     no gofer process (a process that opens files for gVisor).
//   - Without directfs, the sentry runs as the user nobody in a separate user namespace.
//     With rootless, gVisor maps the user nobody to the only user of the server's user
//     namespace.
//   - A release of gVisor has sidecar binaries, which run parts of gVisor. The Go module
//     of gVisor lacks these binaries. With this sidecar policy, the executable of
//     sandboxes replaces them.
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
