// Package sandbox boots gVisor sandboxes and runs jobs in them.
//
// The package guarantees isolation, limits and cleanup:
//   - A job cannot see the host or another job.
//   - The limits of a job hold, even if the guest is hostile.
//   - After Sandbox.Close, no process, cgroup, mount, file or descriptor of the
//     sandbox remains. If the server was killed, the next call of New removes them.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/launch"
)

// bootTimeout limits the time from the start of gVisor until an interpreter is
// ready. On an idle machine this takes 100 ms.
const bootTimeout = 30 * time.Second

// Config configures a Launcher.
type Config struct {
	// Executable is the path of the executable of sandboxes.
	Executable string
	// Image is the path of the EROFS image with the built-in root file system.
	Image string
	// Images maps the names of custom images to their description.
	Images map[pyth.Runtime]Image
	// StateDir is the directory for the state of running sandboxes. New deletes all files
	// in this directory. No other process may use the directory.
	StateDir string
	// Cgroup enforces limits. If it is nil, the package polls the resource usage
	// of sandboxes instead.
	Cgroup cgroup.Parent
	// Network opens the network of a run. If it is nil, runs have no network.
	Network func(pyth.Network) (Network, error)
	// Layers returns the mounts with the packages of a job. If it is nil, runs
	// have no packages.
	Layers func(pyth.Layers) ([]Mount, error)
	// Rollback lets several runs of a tenant use one interpreter. With the zero
	// value, each run gets a new interpreter.
	Rollback Rollback
	// Rootless must be true if the process is root only in a user namespace.
	Rootless bool
}

// Rollback configures how long an interpreter is used for several runs of one
// tenant. After each run, the kernel restores the state that the interpreter had
// before the run.
type Rollback struct {
	// Runs is the maximum number of runs of one interpreter. 0 disables rollback.
	// CPU is the maximum processor time of one interpreter.
	Runs int
	CPU  time.Duration
	// If Recycled is not nil, it is called after a sandbox was recycled. The parameter
	// "reason" is "" if the interpreter was restored. Otherwise it is the reason why
	// the interpreter was not restored. Recycled must not block.
	Recycled func(reason string)
}

// Image describes a custom image, which a sandbox uses instead of the built-in image.
type Image struct {
	// Path is the path of the EROFS image with the root file system.
	Path string
	// Preload contains the modules that the interpreter imports before a job arrives.
	Preload []string
}

// Launcher boots sandboxes. It is safe for concurrent use.
type Launcher struct {
	config Config
	bundle bundle
	images map[pyth.Runtime]bundle
	// root is an argument of all sandboxes' processes. With this argument, New finds
	// processes that an earlier server has left.
	root    string
	forks   chan func()
	stopped sync.Once
}

// New returns a launcher. If an earlier server was killed, New removes the
// processes, cgroups and files that remain from it.
func New(config Config) (*Launcher, error) {
	// Use absolute paths, because gVisor runs in the directory /.
	var err error
	if config.Executable, err = filepath.Abs(config.Executable); err != nil {
		return nil, err
	}
	if config.Image, err = filepath.Abs(config.Image); err != nil {
		return nil, err
	}
	if config.StateDir, err = filepath.Abs(config.StateDir); err != nil {
		return nil, err
	}
	l := &Launcher{
		config: config,
		images: make(map[pyth.Runtime]bundle),
		root:   filepath.Join(config.StateDir, "runsc"),
		forks:  make(chan func()),
	}
	if err := l.removeLeftovers(); err != nil {
		return nil, err
	}
	if l.bundle, err = writeBundle(filepath.Join(config.StateDir, "bundle"), config.Image, nil); err != nil {
		return nil, err
	}
	for name, i := range config.Images {
		image, err := filepath.Abs(i.Path)
		if err == nil {
			l.images[name], err = writeBundle(filepath.Join(config.StateDir, "images", string(name)), image, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	go func() {
		// When the thread that forked a child ends, the kernel sends the parent-death
		// signal to the child. So one locked thread forks all children. This thread does
		// not end while the server runs.
		runtime.LockOSThread()
		// Ignore an error, because the timer slack only saves processor time.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
		for f := range l.forks {
			f()
		}
	}()
	return l, nil
}

// timerSlack is the maximum delay that the host may add to timers of a sandbox's
// processes. The processes inherit this setting. The default of Linux is 50 µs. While a
// Go program such as gVisor is busy, the monitor of the Go runtime wakes up again and
// again (sysmon in runtime/proc.go). The interval is 20 µs plus the timer slack. The
// timer slack also extends the sleeps of programs.
const timerSlack = 500 * time.Microsecond

// Close stops the launcher. It does not close the sandboxes.
func (l *Launcher) Close() error {
	l.stopped.Do(func() { close(l.forks) })
	if l.config.Cgroup != nil {
		return l.config.Cgroup.Close()
	}
	return nil
}

// Boot starts a sandbox. It returns when an interpreter of the language waits for a
// job. Jobs in other languages can also run in the sandbox, but start more slowly.
//
// The parameter "runtime" is the name of a custom image, or "" for the built-in image.
// The packages in "layers" are mounted for all runs of the sandbox. Only the built-in
// image can have layers.
func (l *Launcher) Boot(ctx context.Context, language pyth.Language, runtime pyth.Runtime, layers pyth.Layers) (*Sandbox, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	s := &Sandbox{launcher: l, language: language, preload: l.config.Images[runtime].Preload, id: "px-" + hex.EncodeToString(random[:]), exited: make(chan struct{})}
	bundle, err := l.bundleFor(s.id, runtime, layers)
	if err != nil {
		return nil, err
	}
	if err := s.start(bundle); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: start gVisor: %w", err), s.removeBundle())
	}
	if err := s.prepare(ctx, protocol.DefaultDiskBytes); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("sandbox: wait for the interpreter: %w: %s", err, strings.TrimSpace(s.stderr.String()))
	}
	s.meter = newMeter(s)
	if err := s.applyDefaultLimits(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// bundleFor returns the OCI bundle for a sandbox. For a sandbox with layers, it writes a
// separate bundle. removeBundle deletes this bundle later.
func (l *Launcher) bundleFor(id string, runtime pyth.Runtime, layers pyth.Layers) (bundle, error) {
	if runtime != "" {
		b, ok := l.images[runtime]
		if !ok || layers != (pyth.Layers{}) {
			return bundle{}, fmt.Errorf("sandbox: no custom image %q with these packages", runtime)
		}
		return b, nil
	}
	if layers == (pyth.Layers{}) {
		return l.bundle, nil
	}
	if l.config.Layers == nil {
		return bundle{}, errors.New("sandbox: packages are not configured")
	}
	mounts, err := l.config.Layers(layers)
	if err != nil {
		return bundle{}, fmt.Errorf("sandbox: find package layers: %w", err)
	}
	dir := l.layerBundle(id)
	b, err := writeBundle(dir, l.config.Image, mounts)
	if err != nil {
		return bundle{}, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (l *Launcher) layerBundle(id string) string {
	return filepath.Join(l.config.StateDir, "bundles", id)
}

// connect returns a socket pair. The end for the host is non-blocking, and the end for
// the guest (the code inside the sandbox) is blocking.
func connect(name string) (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(pair[1], false); err != nil {
		return nil, nil, errors.Join(err, unix.Close(pair[0]), unix.Close(pair[1]))
	}
	return os.NewFile(uintptr(pair[0]), name), os.NewFile(uintptr(pair[1]), name), nil
}

// The method "start" starts gVisor in a new cgroup and connects the sandbox's sockets.
func (s *Sandbox) start(bundle bundle) error {
	var theirs [3]*os.File
	var err error
	if s.socket, theirs[0], err = connect("control"); err != nil {
		return err
	}
	defer theirs[0].Close()
	if s.tunnel.socket, theirs[1], err = connect("network"); err != nil {
		return errors.Join(err, s.socket.Close())
	}
	defer theirs[1].Close()
	if s.streams.socket, theirs[2], err = connect("streams"); err != nil {
		return errors.Join(err, s.socket.Close(), s.tunnel.close())
	}
	defer theirs[2].Close()
	s.conn = protocol.NewConn(s.socket)
	files, err := s.launcher.open(bundle)
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	if err != nil {
		return errors.Join(err, s.closeSockets())
	}
	s.cmd = s.launcher.command(bundle, s.id, append(theirs[:], files...))
	s.cmd.Stderr = &s.stderr
	release, err := s.cmd.StdinPipe()
	if err != nil {
		return errors.Join(err, s.closeSockets())
	}
	if s.launcher.config.Cgroup != nil {
		if s.group, err = s.launcher.config.Cgroup.New(s.id); err != nil {
			return errors.Join(err, s.closeSockets())
		}
		s.setWeight(preparingWeight)
	}
	started := make(chan error)
	s.launcher.forks <- func() { started <- s.cmd.Start() }
	if err := <-started; err != nil {
		return errors.Join(explainStart(s.launcher.config.Executable, err), s.closeSockets(), s.removeGroup())
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	s.unlimitLockedMemory()
	if s.group != nil {
		if err := s.group.Add(s.cmd.Process.Pid); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	_, err = release.Write([]byte{1})
	if err = errors.Join(err, release.Close()); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// The method "open" opens the files that gVisor needs, in the order of their
// descriptors.
func (l *Launcher) open(b bundle) ([]*os.File, error) {
	executable, err := unix.Open(l.config.Executable, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, explainStart(l.config.Executable, err)
	}
	files := []*os.File{os.NewFile(uintptr(executable), l.config.Executable)}
	for _, path := range append([]string{b.specification()}, b.images...) {
		f, err := os.Open(path)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// The constant "nobody" is the user and the group of gVisor's processes in their user
// namespace.
const nobody = 65534

// command returns the command that boots gVisor. In the new process, the first file has
// the descriptor 3, and the others follow. The process starts in new namespaces as the
// user nobody. It has the capabilities to replace its root directory in these namespaces.
func (l *Launcher) command(b bundle, id string, files []*os.File) *exec.Cmd {
	host := nobody
	if l.config.Rootless {
		host = os.Getuid()
	}
	identity := []syscall.SysProcIDMap{{ContainerID: nobody, HostID: host, Size: 1}}
	args := append([]string{launch.Name}, gvisorFlags(l.root, l.config.Rootless)...)
	return &exec.Cmd{
		// Use a descriptor of the executable, because the user nobody may have no access
		// to the path of the executable.
		Path:       "/proc/self/fd/" + strconv.Itoa(launch.Executable),
		Args:       append(args, launch.Arguments(b.dir, id, len(b.images))...),
		Env:        []string{}, // gVisor must not see the server's environment.
		Dir:        "/",
		ExtraFiles: files,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
			// If the server is killed, the kernel also kills the sandbox.
			Pdeathsig: syscall.SIGKILL,
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
				unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
			UidMappings: identity,
			GidMappings: identity,
			AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP},
		},
		WaitDelay: time.Second,
	}
}

// unlimitLockedMemory lets gVisor lock memory, which makes large allocations faster.
// The call needs a right that the server may not have, so errors are ignored.
func (s *Sandbox) unlimitLockedMemory() {
	none := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	_ = unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_MEMLOCK, &none, nil)
}

// explainStart adds two parts to an error of the start of gVisor: the path of the
// executable, and advice for the operator.
func explainStart(executable string, err error) error {
	// Remove the path from err, because it is a path in /proc that means nothing to the
	// operator.
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	err = fmt.Errorf("execute %s: %w", executable, err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; the file was removed: restart the server, which creates it again", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w; the server has no right to start a process in new namespaces: give it the capabilities CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID, or run it as an ordinary user", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; this host does not allow the execution of the file: allow it, or choose another directory", err)
	}
	return err
}

// removeLeftovers removes processes, cgroups and files of an earlier server that was
// killed.
func (l *Launcher) removeLeftovers() error {
	if l.config.Cgroup != nil {
		groups, err := l.config.Cgroup.Leftovers()
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := errors.Join(g.Kill(), g.Remove()); err != nil {
				return fmt.Errorf("sandbox: remove leftover cgroup %s: %w", g.Name(), err)
			}
		}
	}
	for _, pid := range processesWith("--root=" + l.root) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return os.RemoveAll(l.config.StateDir)
}
