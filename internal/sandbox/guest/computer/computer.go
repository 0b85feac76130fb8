// Package computer runs processes beside the interpreter of a session. The agent uses it
// to serve the streams of a session (package protocol).
//
// The processes run in the namespaces of the session's interpreter, as the same user.
// They survive the stream that started them, and end with the sandbox. No process has a
// descriptor of the agent, except its own pipes or terminal.
//
// The agent's main thread waits only for processes that it has started itself. So this
// package can wait for its processes in separate goroutines.
package computer

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Config describes the session in which processes run.
type Config struct {
	// Init is the ID of the first process in the session's namespaces. In tests, it can
	// be 0: processes then run in the namespaces of this process, and as its user.
	Init int
	// UserID is both the user ID and the group ID of the processes in this session.
	UserID int
	// Dir is the working directory of the session.
	Dir string
	// Env contains the environment of processes as NAME=VALUE.
	Env []string
	// Processes is the maximum number of running processes that Start has started. Zero
	// means protocol.MaxProcesses.
	Processes int
}

// Computer runs the processes of a session. It is safe for concurrent use.
type Computer struct {
	config Config
	// The channel "forks" carries functions to a thread in the session's namespaces. It
	// is nil until the first process starts.
	forks   chan func()
	joining sync.Once
	joined  error

	mu sync.Mutex
	// The field "stopped" is true if no process may start anymore.
	stopped bool
	// all contains the processes that are remembered, oldest first.
	all []*process
	// The field "running" is the number of processes in "all" that have not ended.
	running int
	// starting counts the processes that are being started.
	starting int
	// idle is signaled when "starting" becomes 0.
	idle *sync.Cond
	// kept is the size of the kept output of all processes in bytes.
	kept int
	// prepared contains unused pipes for the output of the next process.
	prepared []outputPipe

	// preparing is locked while a goroutine adds pipes to the field "prepared".
	preparing sync.Mutex

	// buffer is used to read output.
	buffering sync.Mutex
	buffer    []byte
}

// New returns a Computer without processes.
func New(config Config) *Computer {
	if config.Processes <= 0 || config.Processes > protocol.MaxProcesses {
		config.Processes = protocol.MaxProcesses
	}
	c := &Computer{config: config, forks: make(chan func())}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// Stop waits until no process is being started. After Stop has returned, no process can
// start. The caller then kills all processes.
func (c *Computer) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for c.starting > 0 {
		c.idle.Wait()
	}
}

// Owned returns the IDs of the running processes that belong to this computer: the
// processes that it has started, and their descendants. The IDs are those in the agent's
// namespace.
func (c *Computer) Owned() map[int]bool {
	c.mu.Lock()
	roots := map[int]bool{}
	for _, p := range c.all {
		if !p.ended() {
			roots[p.agentID] = true
		} else {
			// Descendants of an ended process are still in its session.
			roots[-p.agentID] = true
		}
	}
	c.mu.Unlock()
	if len(roots) == 0 {
		return nil
	}
	return descendants(roots)
}

// take counts a process that is about to start. If there are too many processes, it
// returns EAGAIN. After a call of Stop, it returns ESRCH.
func (c *Computer) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped:
		return unix.ESRCH
	case c.running+c.starting >= c.config.Processes:
		return unix.EAGAIN
	}
	c.starting++
	return nil
}

// began stores a process that was started. If p is nil, the start has failed.
func (c *Computer) began(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.starting--; c.starting == 0 {
		c.idle.Broadcast()
	}
	if p == nil {
		return
	}
	c.running++
	// After a process has ended, the kernel may give its ID to another process. So forget
	// an old process with the same ID.
	c.forgetLocked(func(old *process) bool { return old.id == p.id })
	if len(c.all) >= protocol.MaxRemembered {
		oldest := slices.IndexFunc(c.all, (*process).ended)
		if oldest >= 0 {
			victim := c.all[oldest]
			c.forgetLocked(func(old *process) bool { return old == victim })
		}
	}
	c.all = append(c.all, p)
}

func (c *Computer) forgetLocked(which func(*process) bool) {
	c.all = slices.DeleteFunc(c.all, func(p *process) bool {
		if !which(p) || !p.ended() {
			return false
		}
		c.kept -= p.output.drop(p.output.size)
		p.output.forgotten = true
		return true
	})
}

// find returns the process with the ID, or nil.
func (c *Computer) find(id int) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.all {
		if p.id == id {
			return p
		}
	}
	return nil
}

// list returns the descriptions of all processes.
func (c *Computer) list() []*protocol.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*protocol.Process, 0, len(c.all))
	for _, p := range c.all {
		all = append(all, p.viewLocked())
	}
	return all
}

// process is a process that the computer has started. The lock of the computer protects
// the fields that change.
type process struct {
	computer *Computer
	// id is the process ID in the session's namespace. agentID is the process ID in the
	// agent's namespace.
	id, agentID int
	name        string
	command     string
	// The field "pidfd" becomes readable when the process has ended.
	pidfd *os.File
	// stdin is nil if the process has no input. If the process has a terminal, stdin and
	// the first of outputs are the master of the terminal.
	stdin   *os.File
	writing sync.Mutex
	outputs []*reader
	// The field "reading" is the number of outputs that are open.
	reading  atomic.Int32
	terminal bool
	started  time.Time
	timeout  *time.Timer

	output output
	// status and endedAt are set before the channel "exited" is closed.
	timedOut bool
	status   unix.WaitStatus
	endedAt  time.Time
	exited   chan struct{}
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

func (p *process) view() *protocol.Process {
	p.computer.mu.Lock()
	defer p.computer.mu.Unlock()
	return p.viewLocked()
}

func (p *process) viewLocked() *protocol.Process {
	m := &protocol.Process{
		ID: p.id, Name: p.name, Command: p.command, Terminal: p.terminal, TimedOut: p.timedOut,
		StartedMs: p.started.UnixMilli(), OutputBytes: p.output.end,
	}
	if p.ended() {
		m.Exited, m.EndedMs = true, p.endedAt.UnixMilli()
		if p.status.Signaled() {
			m.Signal = int(p.status.Signal())
		} else {
			m.Code = p.status.ExitStatus()
		}
	}
	return m
}
