package doctor

import (
	"os"
	"strings"
)

// Confinement describes how a container or a service manager restricts this process.
type Confinement struct {
	// Seccomp is true if a seccomp filter checks the system calls of this process.
	Seccomp bool
	// Profile is the name of the AppArmor profile of this process. It is "" if the
	// process has no profile.
	Profile string
}

// ReadConfinement returns the confinement of this process. If it cannot read a file in
// /proc, it reports no restriction of the kind that this file describes.
func ReadConfinement() Confinement {
	status, _ := os.ReadFile("/proc/self/status")
	label, _ := os.ReadFile("/proc/self/attr/current")
	return ParseConfinement(string(status), string(label))
}

// ParseConfinement returns the confinement of a process from the content of
// /proc/PID/status (proc_pid_status(5)) and /proc/PID/attr/current.
func ParseConfinement(status, label string) Confinement {
	// Seccomp mode 2 means that a filter checks the system calls.
	c := Confinement{Seccomp: strings.Contains(status, "\nSeccomp:\t2\n")}
	// On a host without AppArmor, the file may contain a label of another security
	// module.
	if profile, _, ok := strings.Cut(strings.TrimRight(label, "\x00\n"), " ("); ok && profile != "unconfined" {
		c.Profile = profile
	}
	return c
}

// containerFix tells the operator how to start a container in which sandboxes work.
const containerFix = "in Docker or Podman, use `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`; " +
	"in Kubernetes, set seccompProfile and appArmorProfile of the pod to Unconfined. Sandboxes need no capabilities and no privileged container"

// fix returns a message that tells the operator how to remove the restrictions. It
// returns "" if there are no restrictions.
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
