// Package doctor checks whether a host can run programs safely.
//
// The package reports only facts that it has tested. For example, it reports that a limit
// is enforced only after the limit has stopped a program. Each finding that reports a
// problem also says how to fix it.
package doctor

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
)

// Level is the severity of a finding.
type Level string

// OK requires no action. Warning means that a feature is missing or slow. Failure
// means that programs cannot run, or that a limit is not enforced.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Failure Level = "failure"
)

// Finding is the result of one check. The operator sees it.
type Finding struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	// Fix says how to fix the problem. It is empty if Level is OK.
	Fix string `json:"fix,omitempty"`
}

// Failed reports whether at least one finding has the level Failure.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Failure {
			return true
		}
	}
	return false
}

// System returns a finding about the kernel and the architecture.
func System() Finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Finding{Name: "system", Level: Warning, Detail: "the version of the host's kernel cannot be read: " + err.Error()}
	}
	release := unix.ByteSliceToString(u.Release[:])
	f := Finding{
		Name: "system", Level: OK,
		Detail: fmt.Sprintf("Linux %s on %s, %d processors", release, runtime.GOARCH, runtime.NumCPU()),
	}
	if runtime.GOARCH != "amd64" {
		f.Level, f.Fix = Warning, "use a machine with x86-64, because other architectures are not tested"
	}
	return f
}

// Identity returns a finding about the user who starts sandboxes. If the parameter
// "namespaced" is true, this process is root only in a user namespace. Then hostUID is
// the ID of its user on the host.
func Identity(hostUID int, namespaced bool) Finding {
	f := Finding{Name: "identity", Level: OK, Detail: "root"}
	if namespaced {
		f.Detail = fmt.Sprintf("user %d, as root of a separate user namespace", hostUID)
	}
	return f
}

// NoIdentity returns the finding that this user cannot start sandboxes. The text of err
// says how to fix this problem. If the confinement c is the probable cause, the finding
// first says how to remove this confinement.
func NoIdentity(err error, c Confinement) Finding {
	f := Finding{Name: "identity", Level: Failure, Detail: "this user cannot start sandboxes", Fix: err.Error()}
	if fix := c.fix(); fix != "" {
		f.Fix = fix + ". Otherwise: " + f.Fix
	}
	return f
}

// minFree is the minimum free disk space in bytes. If less space is free, Disk returns a
// warning.
const minFree = 1 << 30

// Disk returns a finding about the free space in the file system of the directory.
func Disk(dir string) Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Finding{Name: "disk", Level: Failure, Detail: fmt.Sprintf("%s: %v", dir, err), Fix: "choose another directory with --cache-dir"}
	}
	free := st.Bavail * uint64(st.Bsize)
	f := Finding{Name: "disk", Level: OK, Detail: fmt.Sprintf("%s free in %s", humanize.IBytes(free), dir)}
	if free < minFree {
		f.Level, f.Fix = Warning, "free some space: images and the database need about "+humanize.IBytes(minFree)
	}
	return f
}

// Python returns a finding with the version of the built-in Python.
func Python(version string) Finding {
	return Finding{Name: "python", Level: OK, Detail: "Python " + version + " is built in"}
}

// NoNode returns the finding that Node is not available. The finding contains the reason
// and the fix.
func NoNode(reason error, fix string) Finding {
	return Finding{Name: "node", Level: Warning, Detail: "JavaScript and TypeScript are not available: " + reason.Error(), Fix: fix}
}

// Tools returns a finding about common commands. The parameter "missing" lists the
// commands that sandboxes do not have.
func Tools(missing []string) Finding {
	if len(missing) == 0 {
		return Finding{Name: "tools", Level: OK, Detail: "sandboxes have a shell and the common commands"}
	}
	return Finding{
		Name: "tools", Level: Warning,
		Detail: "commands missing in sandboxes, because this host does not have them: " + strings.Join(missing, ", "),
		Fix:    "install them on the host if programs need them; Python itself does not need them",
	}
}

// NoImage returns the finding that the built-in image could not be built.
func NoImage(err error) Finding {
	return Finding{Name: "python", Level: Failure, Detail: err.Error(), Fix: "fix the cause in the message, then run doctor again"}
}

// NoExecutable returns the finding that the executable for sandboxes could not be
// unpacked or cannot run.
func NoExecutable(err error) Finding {
	return Finding{Name: "sandbox", Level: Failure, Detail: err.Error(), Fix: "fix the cause in the message, then run doctor again"}
}

// Cgroup returns a finding about cgroups. The parameter "version" is the version of the
// cgroups that enforce limits. It is 0 if the server cannot use cgroups. In this case,
// the parameter "reason" contains the cause.
func Cgroup(version int, reason error) Finding {
	if version != 0 {
		return Finding{Name: "cgroup", Level: OK, Detail: fmt.Sprintf("version %d", version)}
	}
	return Finding{
		Name: "cgroup", Level: Warning,
		Detail: reason.Error(),
		Fix: "run as root, or as a user with a delegated cgroup v2: " +
			"`systemd-run --user --scope -p Delegate=yes pyth-on …`",
	}
}

// NoSandbox returns the finding that no sandbox could be prepared.
func NoSandbox(err error) Finding {
	return Finding{Name: "sandbox", Level: Failure, Detail: err.Error(), Fix: sandboxFix(ReadConfinement())}
}

func sandboxFix(c Confinement) string {
	if fix := c.fix(); fix != "" {
		return fix
	}
	return "gVisor needs user, PID, network and mount namespaces, seccomp and ptrace; containers often forbid them: " + containerFix
}

// Sandboxes returns a finding for each limit. To test a limit, it runs a program that
// exceeds the limit. The parameter "kernel" is true if a cgroup enforces the memory
// limit.
func Sandboxes(ctx context.Context, d pyth.Dispatcher, kernel bool) []Finding {
	first := tryBoot(ctx, d)
	findings := []Finding{first}
	if first.Level == Failure {
		return findings
	}
	for _, t := range trials(kernel) {
		findings = append(findings, t.run(ctx, d))
	}
	return findings
}
