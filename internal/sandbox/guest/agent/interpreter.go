package agent

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// interpreter is what runs programs of a language. It is started with a hook
// by which it waits for its job on the control descriptor.
type interpreter struct {
	// args begin with the name by which it is found.
	args []string
	// env is what it gets besides the usual until its job's is known.
	env []string
	// control is the number of the descriptor.
	control int
	// threads are those that it has for itself, and sessionThreads those that it
	// has besides in a session: they do not count against the processes that a
	// program may have.
	threads, sessionThreads int
	// inputByPipe is whether a session gives each run a pipe as its standard input.
	inputByPipe bool
	// renewsControl is whether a session gets another control descriptor once it
	// has begun, since the first would be inherited by what the program starts.
	renewsControl bool
	// interruptsOnce is whether a session needs one interrupt to end any run.
	interruptsOnce bool
	// arguments are what its hook is told of the job ahead of the environment.
	arguments func(*protocol.Job) []string
}

// nodeControl is so high that it takes no number that something in Node would
// have, or the program's first files.
const nodeControl = 100

// nodeThreads are V8's four, the scheduler of delayed tasks, the one that waits
// for a debugger, and the four that do what blocks.
const nodeThreads = 10

// nodeSessionThreads are the one that interrupts and the one by which that hears
// of signals.
const nodeSessionThreads = 2

// usualMemory is up to how much memory for a job the interpreter that waits will
// do.
const usualMemory = 512 << 20

// nodeOptions are those of an interpreter for a job with so much memory. V8
// gives up by itself at twice of it: so the job's limit is what ends a program,
// and yet V8 collects garbage as one does that has little.
func nodeOptions(memory int64) string {
	options := fmt.Sprintf("--require=%s/hook.cjs --max-old-space-size=%d", protocol.JavaScriptHookDir, 2*memory>>20)
	if memory <= usualMemory {
		options += " --max-semi-space-size=8"
	}
	return options
}

// nodeArguments returns the program's file, the options that the interpreter
// needs if it cannot be the waiting one, the memory of the job in bytes, and the
// arguments of the program.
func nodeArguments(j *protocol.Job) []string {
	options := ""
	if j.MemoryBytes > usualMemory {
		options = nodeOptions(j.MemoryBytes)
	}
	return append([]string{path.Join(workDir, j.Program), options, fmt.Sprint(j.MemoryBytes)}, j.Args...)
}

// pythonArguments are the limits of the run that the hook has to keep when it
// shows values at the end, in milliseconds and bytes, and the program's own.
func pythonArguments(j *protocol.Job) []string {
	return append([]string{fmt.Sprint(j.TimeoutMs), fmt.Sprint(j.MemoryBytes)}, j.Args...)
}

// path is where the interpreter is: where a shell would find it. An image of the
// operator's own may have it elsewhere than that which is built in.
func (i interpreter) path() string {
	const last = "/usr/bin/"
	for _, dir := range []string{"/usr/local/bin/", last} {
		if unix.Access(dir+i.args[0], unix.X_OK) == nil {
			return dir + i.args[0]
		}
	}
	return last + i.args[0]
}

// interpreterOf is the one for what is wanted. Node starts with the same hook
// for both of its languages, and sees from the file's name what to have ready.
func interpreterOf(wanted *protocol.Prepare) interpreter {
	node := interpreter{
		env:            []string{"NODE_OPTIONS=" + nodeOptions(usualMemory)},
		control:        nodeControl,
		threads:        nodeThreads,
		sessionThreads: nodeSessionThreads,
		renewsControl:  true,
		interruptsOnce: true,
		arguments:      nodeArguments,
	}
	switch wanted.Language {
	case "javascript":
		node.args = []string{"node", "main.js"}
		return node
	case "typescript":
		node.args = []string{"node", "main.ts"}
		return node
	default:
		python := interpreter{
			args:        []string{"python3", "main.py"},
			env:         []string{"PYTHONPATH=" + protocol.PythonHookDir},
			control:     3,
			inputByPipe: true,
			arguments:   pythonArguments,
		}
		if len(wanted.Preload) > 0 {
			python.env = append(python.env, "PYTH_ON_PRELOAD="+strings.Join(wanted.Preload, ","))
		}
		return python
	}
}

// environment is what it starts with.
func (i interpreter) environment() []string {
	return append(usualEnvironment(), i.env...)
}

// usualEnvironment is that of a program which was given none.
func usualEnvironment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/sandbox", "LANG=C.UTF-8"}
}

// files are its descriptors: the standard streams and the control.
func (i interpreter) files(given []uintptr) []uintptr {
	const none = ^uintptr(0)
	files := append(make([]uintptr, 0, i.control+1), given[:3]...)
	for len(files) < i.control {
		files = append(files, none)
	}
	return append(files, given[3])
}

// suits is whether the program that waits can run the job.
func (p *program) suits(j *protocol.Job) bool {
	return p.disk == j.DiskBytes && p.interpreter.args[0] == interpreterOf(&protocol.Prepare{Language: j.Language}).args[0]
}
