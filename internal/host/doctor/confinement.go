package doctor

import (
	"os"
	"strings"
)

// Confinement contains the restrictions of this process by a container or a service
// manager.
type Confinement struct {
	// Seccomp is true if a seccomp filter checks the system calls of this process.
	Seccomp bool
	// Profile is the AppArmor profile of this process. It is "" without a profile.
	Profile string
}

// ReadConfinement returns the confinement of this process. If a file in /proc cannot be
// read, it reports no confinement of this kind.
func ReadConfinement() Confinement {
	status, _ := os.ReadFile("/proc/self/status")
	label, _ := os.ReadFile("/proc/self/attr/current")
	return ParseConfinement(string(status), string(label))
}

// ParseConfinement returns the confinement of a process from the content of
// /proc/PID/status (proc_pid_status(5)) and /proc/PID/attr/current.
func ParseConfinement(status, label string) Confinement {
	// Mode 2 is a filter.
	c := Confinement{Seccomp: strings.Contains(status, "\nSeccomp:\t2\n")}
	// Without AppArmor, the file may contain a label of another security module.
	if profile, _, ok := strings.Cut(strings.TrimRight(label, "\x00\n"), " ("); ok && profile != "unconfined" {
		c.Profile = profile
	}
	return c
}

// containerFix is the advice how to start a container, so that sandboxes work in it.
const containerFix = "in Docker or Podman, use `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`; " +
	"in Kubernetes, set seccompProfile and appArmorProfile of the pod to Unconfined. Sandboxes need no capabilities and no privileged container"

// fix returns a text that says how to remove the confinement; "" if there is no
// confinement.
func (c Confinement) fix() string {
	var found []string
	if c.Seccomp {
		found = append(found, "a seccomp filter")
	}
	if c.Profile != "" {
		found = append(found, "the AppArmor profile "+c.Profile)
	}
	if len(found) == 0 {
		return ""
	}
	return "this process has " + strings.Join(found, " and ") + ", which may forbid user namespaces: " + containerFix
}
