package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// trial is a program that exceeds a limit, together with the expected outcome.
type trial struct {
	name   string
	code   string
	limits func(*pyth.Job)
	status pyth.Status
	stdout string
	// The field "how" is a description for the operator. It names the component that
	// enforces the limit.
	how   string
	level Level
	fix   string
}

const (
	byServer = "enforced by the server, outside the sandbox"
	byGVisor = "enforced by gVisor's kernel, inside the sandbox"
)

func trials(kernel bool) []trial {
	memory := trial{
		name:   "memory",
		code:   "block = bytearray(512 << 20)\nprint('not bounded')",
		limits: func(j *pyth.Job) { j.Limits.MemoryBytes = 64 << 20 },
		status: pyth.StatusOutOfMemory,
		how:    "enforced by the host's kernel, with a cgroup for each sandbox",
		level:  OK,
	}
	if !kernel {
		memory.how = "enforced by the server, which destroys a sandbox within 0.1 s after it exceeds its limit"
		memory.level = Warning
		memory.fix = "see cgroup"
	}
	return []trial{
		memory,
		{
			name:   "processes",
			code:   "import os, signal\nn = 0\ntry:\n    while n < 100:\n        if os.fork() == 0:\n            signal.pause()\n        n += 1\nexcept BlockingIOError:\n    print('bounded', n == 9)\n",
			limits: func(j *pyth.Job) { j.Limits.Processes = 10 },
			status: pyth.StatusSucceeded, stdout: "bounded True\n", how: byGVisor, level: OK,
		},
		{
			name: "disk",
			// The program writes two files. So it reaches the limit of all files together
			// before the limit of one file.
			code: "import errno, os\nos.write(os.open('a', os.O_CREAT | os.O_WRONLY), bytes(400 << 10))\n" +
				"f = os.open('/tmp/b', os.O_CREAT | os.O_WRONLY)\ntry:\n    for _ in range(100):\n        os.write(f, bytes(4 << 10))\n" +
				"except OSError as e:\n    print(errno.errorcode[e.errno])\n",
			limits: func(j *pyth.Job) { j.Limits.DiskBytes = 512 << 10 },
			status: pyth.StatusSucceeded, stdout: "ENOSPC\n", how: byGVisor, level: OK,
		},
		{
			name:   "output",
			code:   "print('x' * 100_000)",
			limits: func(j *pyth.Job) { j.Limits.OutputBytes = 1000 },
			status: pyth.StatusOutputLimit, stdout: strings.Repeat("x", 1000), how: byServer, level: OK,
		},
		{
			name:   "time",
			code:   "while True: pass",
			limits: func(j *pyth.Job) { j.Timeout = 300 * time.Millisecond },
			status: pyth.StatusTimedOut, how: byServer + ", and by its guest agent", level: OK,
		},
		{
			name:   "cpu",
			code:   "while True: pass",
			limits: func(j *pyth.Job) { j.Limits.CPU = 200 * time.Millisecond },
			status: pyth.StatusTimedOut, how: byServer, level: OK,
		},
		{
			name:   "network",
			code:   "import socket\ns = socket.socket()\ns.settimeout(1)\ntry:\n    s.connect(('192.0.2.1', 80))\nexcept OSError as e:\n    import errno\n    print(errno.errorcode.get(e.errno))\n",
			limits: func(*pyth.Job) {}, status: pyth.StatusSucceeded, stdout: "ENETUNREACH\n",
			how: "sandboxes cannot connect to any host", level: OK,
		},
	}
}

func (t trial) run(ctx context.Context, d pyth.Dispatcher) Finding {
	job := job(t.code)
	t.limits(job)
	o, err := pyth.Dispatch(ctx, d, job, nil)
	f := Finding{Name: t.name, Level: t.level, Detail: t.how, Fix: t.fix}
	switch {
	case err != nil:
		f.Level, f.Detail, f.Fix = Failure, err.Error(), sandboxFix(ReadConfinement())
	case o.Status != t.status || string(o.Stdout) != t.stdout:
		f.Level = Failure
		f.Detail = fmt.Sprintf("not enforced: a program that exceeded the limit ended with status %s and printed %.60q", o.Status, o.Stdout)
		f.Fix = "do not run untrusted programs on this host, and report this as a bug"
	}
	return f
}

// tryBoot runs a program in a new sandbox, and returns a finding about the
// sandbox.
func tryBoot(ctx context.Context, d pyth.Dispatcher) Finding {
	started := time.Now()
	o, err := pyth.Dispatch(ctx, d, job("print(6 * 7)"), nil)
	switch {
	case err != nil:
		return NoSandbox(err)
	case o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n":
		return NoSandbox(fmt.Errorf("the trial program ended with status %s", o.Status))
	}
	return Finding{
		Name: "sandbox", Level: OK,
		Detail: fmt.Sprintf("gVisor (systrap) starts and runs a program in %d ms", time.Since(started).Milliseconds()),
	}
}

// Node executes a program with Node and returns a finding. The test is needed, because
// the Node binary that the operator configures may not work in sandboxes.
func Node(ctx context.Context, d pyth.Dispatcher, version string) Finding {
	j := job("const answer: number = 6 * 7; console.log(answer);")
	j.Language = pyth.TypeScript
	o, err := pyth.Dispatch(ctx, d, j, nil)
	if err == nil && (o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n") {
		err = fmt.Errorf("the trial program in TypeScript ended with status %s and printed %.200q", o.Status, o.Stderr)
	}
	if err != nil {
		return Finding{
			Name: "node", Level: Failure, Detail: fmt.Sprintf("Node %s does not run: %v", version, err),
			Fix: "remove --node, and `pyth-on` downloads the release of Node with which it was tested",
		}
	}
	return Finding{Name: "node", Level: OK, Detail: "Node " + version + " runs JavaScript and TypeScript"}
}

func job(code string) *pyth.Job {
	return &pyth.Job{
		ID: "doctor", Language: pyth.Python, Code: []byte(code), Timeout: 10 * time.Second,
		Isolation: pyth.IsolationExecution,
		Limits:    pyth.DefaultLimits(),
	}
}
