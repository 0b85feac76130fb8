// Package sandbox boots gVisor sandboxes and runs a job in each.
//
// It promises that a job sees nothing of the host or of another job, that its
// limits hold whatever the guest does or says, and that when Close returns no
// process, cgroup, mount, file or descriptor of the sandbox is left. What a
// killed server left behind, New removes.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// bootTimeout bounds how long a sandbox may take to say that it is ready. It
// takes a tenth of a second on an idle machine.
const bootTimeout = 30 * time.Second

// Config is what sandboxes are made from.
type Config struct {
	// Image is the EROFS image of the root file system.
	Image string
	// Runtimes are the operator's own.
	Runtimes map[pyth.Runtime]Runtime
	// StateDir is for what runs; it is emptied by New. Nobody else may use it.
	StateDir string
	// Cgroup is where limits are enforced; nil to watch from outside instead.
	Cgroup cgroup.Parent
	// Network opens the network of a run; nil when runs have none.
	Network func(pyth.Network) (Network, error)
	// Layers finds the images of packages; nil when there are none.
	Layers func(pyth.Layers) ([]Mount, error)
	// Rootless is for a process that is root of a user namespace only.
	Rootless bool
}

// Runtime is what a sandbox has in place of what is built in.
type Runtime struct {
	// Image is the EROFS image of the root file system.
	Image string
	// Preload are the modules that the interpreter has imported when a job comes.
	Preload []string
}

// Launcher boots sandboxes. It is safe for concurrent use.
type Launcher struct {
	config  Config
	bundle  string
	root    string
	forks   chan func()
	stopped sync.Once
}

// New prepares to boot, and removes what an earlier server left.
func New(config Config) (*Launcher, error) {
	// gVisor runs in / and takes absolute paths only.
	var err error
	if config.Image, err = filepath.Abs(config.Image); err != nil {
		return nil, err
	}
	if config.StateDir, err = filepath.Abs(config.StateDir); err != nil {
		return nil, err
	}
	l := &Launcher{
		config: config,
		bundle: filepath.Join(config.StateDir, "bundle"),
		root:   filepath.Join(config.StateDir, "runsc"),
		forks:  make(chan func()),
	}
	if err := l.removeLeftovers(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.root, 0o711); err != nil {
		return nil, err
	}
	if err := writeBundle(l.bundle, config.Image, nil); err != nil {
		return nil, err
	}
	for name, r := range config.Runtimes {
		image, err := filepath.Abs(r.Image)
		if err == nil {
			err = writeBundle(l.runtimeBundle(name), image, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	go func() {
		// A child's parent-death signal fires when the thread that forked it
		// ends, so one thread that lives as long as the server forks them all.
		runtime.LockOSThread()
		for f := range l.forks {
			f()
		}
	}()
	return l, nil
}

// Close ends the launcher, not its sandboxes.
func (l *Launcher) Close() error {
	l.stopped.Do(func() { close(l.forks) })
	if l.config.Cgroup != nil {
		return l.config.Cgroup.Close()
	}
	return nil
}

// Boot starts a sandbox and returns when an interpreter of the language waits
// for a job. Other languages' jobs can be run as well, but not as fast. The
// runtime is one of the operator's own, or "" for what is built in: then the
// layers are there for all that run in it.
func (l *Launcher) Boot(ctx context.Context, language pyth.Language, runtime pyth.Runtime, layers pyth.Layers) (*Sandbox, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	s := &Sandbox{launcher: l, language: language, preload: l.config.Runtimes[runtime].Preload, id: "px-" + hex.EncodeToString(random[:]), exited: make(chan struct{})}
	bundle, err := l.bundleFor(s.id, runtime, layers)
	if err != nil {
		return nil, err
	}
	if err := s.start(bundle); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: starting gVisor: %w", err), s.removeBundle())
	}
	if err := s.prepare(ctx, protocol.UsualDisk); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("sandbox: did not become ready: %w: %s", err, strings.TrimSpace(s.stderr.String()))
	}
	s.meter = newMeter(s)
	if err := s.await(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// bundleFor returns the bundle for a sandbox: its own if it has layers.
func (l *Launcher) bundleFor(id string, runtime pyth.Runtime, layers pyth.Layers) (string, error) {
	if runtime != "" {
		if _, ok := l.config.Runtimes[runtime]; !ok || layers != (pyth.Layers{}) {
			return "", fmt.Errorf("sandbox: there is no runtime %q with these packages", runtime)
		}
		return l.runtimeBundle(runtime), nil
	}
	if layers == (pyth.Layers{}) {
		return l.bundle, nil
	}
	if l.config.Layers == nil {
		return "", errors.New("sandbox: there are no packages here")
	}
	mounts, err := l.config.Layers(layers)
	if err != nil {
		return "", fmt.Errorf("sandbox: finding packages: %w", err)
	}
	dir := l.ownBundle(id)
	if err := writeBundle(dir, l.config.Image, mounts); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// runtimeBundle is where the bundle of a runtime of the operator's own is.
func (l *Launcher) runtimeBundle(name pyth.Runtime) string {
	return filepath.Join(l.config.StateDir, "runtimes", string(name))
}

// ownBundle is where the bundle of a sandbox with layers is.
func (l *Launcher) ownBundle(id string) string {
	return filepath.Join(l.config.StateDir, "bundles", id)
}

// connect makes a socket pair, of which the guest gets a blocking end.
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

// start starts the processes.
func (s *Sandbox) start(bundle string) error {
	var theirs [2]*os.File
	var err error
	if s.socket, theirs[0], err = connect("control"); err != nil {
		return err
	}
	defer theirs[0].Close()
	if s.way.socket, theirs[1], err = connect("network"); err != nil {
		return errors.Join(err, s.socket.Close())
	}
	defer theirs[1].Close()
	s.conn = protocol.NewConn(s.socket)
	l := s.launcher
	args := append([]string{launchName}, gvisorFlags(l.root, l.config.Rootless)...)
	args = append(args, "run", "--bundle="+bundle, "--pass-fd=3:3", "--pass-fd=4:4", s.id)
	s.cmd = &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       args,
		Env:        []string{}, // Nothing of the server's environment.
		Dir:        "/",
		Stderr:     &s.stderr,
		ExtraFiles: theirs[:],
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
			// The sandbox must not outlive a server that is killed. gVisor
			// ties its own children to this process in the same way.
			Pdeathsig: syscall.SIGKILL,
		},
		WaitDelay: time.Second,
	}
	release, err := s.cmd.StdinPipe()
	if err != nil {
		return errors.Join(err, s.closeSockets())
	}
	if l.config.Cgroup != nil {
		if s.group, err = l.config.Cgroup.New(s.id); err != nil {
			return errors.Join(err, s.closeSockets())
		}
		s.group.SetWeight(preparingWeight)
	}
	started := make(chan error)
	l.forks <- func() { started <- s.cmd.Start() }
	if err := <-started; err != nil {
		return errors.Join(err, s.closeSockets(), s.removeGroup())
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
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

// removeLeftovers ends and removes what a server that was killed left.
func (l *Launcher) removeLeftovers() error {
	if l.config.Cgroup != nil {
		groups, err := l.config.Cgroup.Leftovers()
		if err != nil {
			return err
		}
		for _, g := range groups {
			if err := errors.Join(g.Kill(), g.Remove()); err != nil {
				return fmt.Errorf("sandbox: removing what an earlier server left in cgroup %s: %w", g.Name(), err)
			}
		}
	}
	for _, pid := range processesWith("--root=" + l.root) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return os.RemoveAll(l.config.StateDir)
}
