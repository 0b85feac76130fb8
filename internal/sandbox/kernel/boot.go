package kernel

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"github.com/google/subcommands"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/hostos"
	syscalls "gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/pkg/unet"
	"gvisor.dev/gvisor/pkg/urpc"
	gvisor "gvisor.dev/gvisor/runsc/boot"
	"gvisor.dev/gvisor/runsc/cmd/sentry/sentrycmd"
	"gvisor.dev/gvisor/runsc/cmd/util"
	"gvisor.dev/gvisor/runsc/config"
	"gvisor.dev/gvisor/runsc/flag"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/filter"
	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/launch"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback"
)

// boot wraps gVisor's command "boot", which boots a sandbox. Before the command runs,
// it changes gVisor's system calls and gives gVisor the compiled seccomp filter.
type boot struct {
	sentrycmd.Boot
	// control is connected to the control socket of this process. It is nil if
	// the command "run" of another process starts the agent.
	control *urpc.Client
}

// Execute implements subcommands.Command. It returns when the sandbox has ended.
func (b *boot) Execute(ctx context.Context, f *flag.FlagSet, args ...any) subcommands.ExitStatus {
	filter.Register()
	changeCalls()
	// If Install fails, rollback is disabled, and each run gets a new interpreter. The
	// test TestCheckFields would report the error.
	_ = rollback.Install(syscalls.AMD64)
	if conf, ok := args[0].(*config.Config); ok && b.control != nil {
		go b.startAgent(f.Arg(0), conf)
	}
	return b.Boot.Execute(ctx, f, args...)
}

// startAgent creates the loopback interface and starts the agent, as soon as gVisor
// answers calls.
func (b *boot) startAgent(id string, conf *config.Config) {
	loopback := gvisor.DefaultLoopbackLink
	loopback.GVisorGRO = conf.GVisorGRO
	err := b.control.Call(gvisor.ContMgrSetNetworkArgs, &gvisor.CreateLinksAndRoutesArgs{LoopbackLinks: []gvisor.LoopbackLink{loopback}}, nil)
	if err == nil {
		err = b.control.Call(gvisor.ContMgrRootContainerStart, &id, nil)
	}
	if err != nil {
		util.Fatalf("start the agent: %v", err)
	}
	_ = b.control.Close()
}

// prepareBoot does what gVisor's command "run" does before it starts the command
// "boot": it waits for the cgroup, makes the control socket, and completes the
// arguments. It returns a connection to the control socket.
//
// The server has started this process in new namespaces, as a user without rights on
// the host.
func prepareBoot() (*urpc.Client, error) {
	// If the server has already died, awaitCgroup ends this process.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return nil, fmt.Errorf("set the parent-death signal: %w", err)
	}
	awaitCgroup()
	if err := unix.Close(launch.Executable); err != nil {
		return nil, fmt.Errorf("close the executable: %w", err)
	}
	if err := limitCapabilities(); err != nil {
		return nil, err
	}
	// The abstract address is visible only in the network namespace of this process. All
	// other processes in this namespace are stubs of gVisor. So no foreign process can
	// connect to the address.
	const address = "\x00control"
	listener, err := unet.BindAndListen(address, false)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	connection, err := unet.Connect(address, false)
	if err != nil {
		return nil, fmt.Errorf("connect to the control socket: %w", err)
	}
	socket, err := listener.Release()
	if err != nil {
		return nil, fmt.Errorf("release the control socket: %w", err)
	}
	// Open the standard streams for the agent (the first process in the sandbox).
	// gVisor closes these descriptors later.
	streams := make([]string, 3)
	for i := range streams {
		d, err := unix.FcntlInt(uintptr(i), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, fmt.Errorf("duplicate standard streams: %w", err)
		}
		streams[i] = strconv.Itoa(d)
	}
	// gVisor writes a byte to this descriptor when it has started. The command "run"
	// would read the byte. Here the byte is not needed.
	started, err := unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	memory, err := hostos.TotalSystemMemory()
	if err != nil {
		return nil, fmt.Errorf("read the size of the memory: %w", err)
	}
	at := slices.Index(os.Args, "boot") + 1
	os.Args = slices.Insert(os.Args, at,
		"--controller-fd="+strconv.Itoa(socket),
		"--start-sync-fd="+strconv.Itoa(started),
		"--stdio-fds="+streams[0]+","+streams[1]+","+streams[2],
		"--total-host-memory="+strconv.FormatUint(memory, 10),
		"--total-memory="+strconv.FormatUint(memory, 10),
	)
	return urpc.NewClient(connection), nil
}

// limitCapabilities drops the bounding set, and all capabilities except those that gVisor
// needs to change its root directory. gVisor drops the remaining capabilities later.
// gVisor could also drop the bounding set. But at that time the process has more threads,
// so the operation would take longer.
func limitCapabilities() error {
	for c := uintptr(0); ; c++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if errno == unix.EINVAL && c > 0 {
			break // The kernel has no more capabilities.
		}
		if errno != 0 {
			return fmt.Errorf("drop the bounding set: %w", errno)
		}
	}
	const needed = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_CHROOT
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: needed, Permitted: needed, Inheritable: needed}}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return fmt.Errorf("limit capabilities: %w", errno)
	}
	return nil
}

// awaitCgroup waits until the server has moved this process into its cgroup. So all
// children of this process start inside the cgroup. When the move is done, the server
// sends a byte to standard input. If the server exits without sending the byte, this
// process also exits.
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
