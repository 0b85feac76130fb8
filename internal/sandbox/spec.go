package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

// agentCapabilities contains the agent's capabilities inside the sandbox. The agent
// creates and joins namespaces, mounts file systems, sets owners and limits, and
// kills the user's processes. On the host it has no capabilities.
var agentCapabilities = []string{
	"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER",
	"CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_RESOURCE",
}

// Mount describes an EROFS image that a sandbox mounts in addition to its root
// file system.
type Mount struct {
	// Image is the path of the image file, which gVisor opens at boot.
	Image string
	// Path is the mount point. The root file system or an earlier mount must contain a
	// directory with this path.
	Path string
}

// bundle describes an OCI bundle.
type bundle struct {
	dir string
	// images contains the paths of the images: the root file system, and then the
	// mounts in their order.
	images []string
}

// specification returns the path of the bundle's configuration.
func (b bundle) specification() string { return filepath.Join(b.dir, "config.json") }

// writeBundle writes an OCI bundle to dir, for sandboxes with this image and these
// mounts. Programs can read the bundle's configuration inside the sandbox. So the
// configuration must not contain data of a tenant. Only the list of mounted packages is
// visible.
func writeBundle(dir, image string, mounts []Mount) (bundle, error) {
	written := bundle{dir: dir, images: []string{image}}
	empty := filepath.Join(dir, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return bundle{}, err
	}
	spec := specs.Spec{
		Version:  "1.2.0",
		Hostname: "sandbox",
		Root:     &specs.Root{Path: empty, Readonly: true},
		Process: &specs.Process{
			Args: []string{guest.AgentPath},
			// The agent passes this environment to programs, except for the variables of
			// the Go runtime.
			Env: append(environ(pyth.BaseEnv()), "GOMAXPROCS=2", "GOGC=50",
				// These settings save 30 system calls, because Go then does not name its
				// memory mappings and does not read the limits of cgroups.
				"GODEBUG=decoratemappings=0,containermaxprocs=0,updatemaxprocs=0"),
			Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{
				Bounding: agentCapabilities, Effective: agentCapabilities, Permitted: agentCapabilities,
			},
			NoNewPrivileges: true,
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_NOFILE", Hard: 4096, Soft: 4096},
				{Type: "RLIMIT_CORE", Hard: 0, Soft: 0},
			},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=0755", "size=64k", "nr_inodes=256"}},
			{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "noexec", "mode=0755", "size=1m", "nr_inodes=64"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.MountNamespace},
			},
		},
		Annotations: map[string]string{
			"dev.gvisor.spec.rootfs.source": image,
			"dev.gvisor.spec.rootfs.type":   "erofs",
		},
	}
	for _, m := range mounts {
		// The sentry itself reads these images and the root image. So no gofer process (a
		// process that opens files for gVisor) is needed.
		written.images = append(written.images, m.Image)
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: m.Path, Type: "erofs", Source: m.Image, Options: []string{"ro", "nosuid", "nodev"},
		})
	}
	b, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return bundle{}, err
	}
	return written, os.WriteFile(written.specification(), b, 0o644)
}
