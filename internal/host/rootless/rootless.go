// Package rootless lets ordinary users run sandboxes. It starts this program again as
// root of a new user namespace. In this namespace, gVisor can create the namespaces that
// it needs. On the host, the process has only the permissions of the user.
package rootless

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// The constant "needed" is the set of capabilities that gVisor needs to start a
// sandbox: CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT and CAP_SYS_ADMIN (capabilities(7)).
const needed = 1<<6 | 1<<7 | 1<<18 | 1<<21

// ErrNoNamespace means that the host does not allow user namespaces for ordinary users.
// The text of the error says how to allow user namespaces.
var ErrNoNamespace = errors.New("this host does not allow ordinary users to create user namespaces; " +
	"allow them with `sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000` " +
	"(and on Ubuntu `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`), or run as root")

// Privileged reports whether this process has the capabilities to start
// sandboxes.
func Privileged() bool {
	have, err := effectiveCapabilities()
	return err == nil && have&needed == needed
}

// Inside reports whether this process is root only in a user namespace. In this case,
// the result "uid" is the ID of the process's user on the host.
func Inside() (uid int, inside bool) {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b))
	if len(fields) < 3 {
		return 0, false
	}
	outside, err := strconv.Atoi(fields[1])
	// Run creates namespaces that map exactly one user. The initial namespace of the host
	// maps all users.
	return outside, err == nil && fields[2] == "1"
}

// Run starts this program again in a new user namespace, with the same arguments and the
// same environment. It waits until the child process has ended, and returns its exit
// code. Meanwhile, it forwards signals to the child process. The child process receives
// the files as descriptors 3, 4 and so on.
func Run(files ...*os.File) (int, error) {
	// The kernel kills the child process when the thread that started it ends. The Go
	// runtime may end threads at any time. So lock this thread until the child process
	// has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES) {
			return 0, fmt.Errorf("%w (%w)", ErrNoNamespace, err)
		}
		return 0, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	go func() {
		for s := range signals {
			// A terminal sends SIGINT and SIGQUIT to all processes in the foreground. So
			// the child process has already received the signal.
			if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
				continue
			}
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

func effectiveCapabilities() (uint64, error) {
	self, err := procfs.Self()
	if err != nil {
		return 0, err
	}
	status, err := self.NewStatus()
	return status.CapEff, err
}
