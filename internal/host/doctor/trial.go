package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// trial is a program that breaks a limit, with the expected outcome.
type trial struct {
	name   string
	code   string
	limits func(*pyth.Job)
	// status is the expected status, and stdout the expected output.
	status pyth.Status
	stdout string
	// how says what enforces the limit.
	how   string
	level Level
	fix   string
}

const (
	byServer = "bounded by the server, from outside of the sandbox"
	byGVisor = "bounded by gVisor's kernel, inside of the sandbox"
)

func trials(kernel bool) []trial {
	memory := trial{
		name:   "memory",
		code:   "block = bytearray(512 << 20)\nprint('not bounded')",
		limits: func(j *pyth.Job) { j.Limits.MemoryBytes = 64 << 20 },
		status: pyth.StatusOutOfMemory,
		how:    "bounded by the host's kernel, with a cgroup for each sandbox",
		level:  OK,
	}
	if !kernel {
		memory.how = "watched by the server, which ends a sandbox a few hundredths of a second after it exceeds its limit"
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
			// Write two files, so that the space stops the second one and not
			// the size of a file.
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
			how: "nothing can be reached from sandboxes", level: OK,
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
		f.Level, f.Detail, f.Fix = Failure, err.Error(), sandboxFix
	case o.Status != t.status || string(o.Stdout) != t.stdout:
		f.Level = Failure
		f.Detail = fmt.Sprintf("not bounded: a program that broke the limit ended as %s and printed %.60q", o.Status, o.Stdout)
		f.Fix = "do not run untrusted programs on this host; please report this"
	}
	return f
}

// boots runs a program that breaks no limit.
func boots(ctx context.Context, d pyth.Dispatcher) Finding {
	started := time.Now()
	o, err := pyth.Dispatch(ctx, d, job("print(6 * 7)"), nil)
	switch {
	case err != nil:
		return NoSandbox(err)
	case o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n":
		return NoSandbox(fmt.Errorf("a trial run ended as %s", o.Status))
	}
	return Finding{
		Name: "sandbox", Level: OK,
		Detail: fmt.Sprintf("gVisor (systrap) boots and runs a program in %d ms", time.Since(started).Milliseconds()),
	}
}

// Node checks that Node runs programs. A binary that the operator chose may
// fail.
func Node(ctx context.Context, d pyth.Dispatcher, version string) Finding {
	j := job("const answer: number = 6 * 7; console.log(answer);")
	j.Language = pyth.TypeScript
	o, err := pyth.Dispatch(ctx, d, j, nil)
	if err == nil && (o.Status != pyth.StatusSucceeded || string(o.Stdout) != "42\n") {
		err = fmt.Errorf("a trial run in TypeScript ended as %s and printed %.200q", o.Status, o.Stderr)
	}
	if err != nil {
		return Finding{
			Name: "node", Level: Failure, Detail: fmt.Sprintf("Node %s does not run: %v", version, err),
			Fix: "leave out --node, so that the release that this program was tested with is fetched",
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
