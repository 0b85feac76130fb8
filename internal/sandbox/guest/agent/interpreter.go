package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// interpreter describes how to start the interpreter of a language. Its hook waits
// for a job on the control descriptor.
type interpreter struct {
	// args is the command line. Its first element is the name of the executable.
	args []string
	// env lists the variables that the interpreter gets at its start, in addition to
	// the default environment. The environment of the job replaces them later.
	env []string
	// control is the number of the control descriptor in the interpreter.
	control int
	// threads is the number of threads that the interpreter itself needs. A
	// session needs sessionThreads more. The process limit of a program does not
	// count them.
	threads, sessionThreads int
	// inputByPipe is true if a session gives each run a pipe as standard input.
	inputByPipe bool
	// replacesControl is true if a session replaces the control descriptor after
	// its start, because child processes would inherit the first one.
	replacesControl bool
	// interruptsOnce is true if one interrupt is enough to end any run of a session.
	interruptsOnce bool
	// makesCheckpoint is true if the interpreter's hook makes a checkpoint (package
	// rollback) when it is ready.
	makesCheckpoint bool
	// options returns the value of NODE_OPTIONS with which the interpreter must
	// restart for a job. memory is the job's limit in bytes. options returns "" if
	// no restart is needed.
	options func(memory int64) string
}

// nodeControl is the number of Node's control descriptor. It is high enough not to
// collide with Node's own descriptors or the first files of the program.
const nodeControl = 100

// nodeThreads counts Node's threads: four of V8, one for delayed tasks, one for
// the debugger, and four for blocking work.
const nodeThreads = 10

// nodeSessionThreads counts two threads: one interrupts runs, and the other one
// receives signals for it.
const nodeSessionThreads = 2

// defaultMemory is the memory in bytes for which the waiting interpreter is
// configured. Jobs with a larger limit need other options.
const defaultMemory = 512 << 20

// nodeOptions returns the Node options for a job with the memory in bytes. V8 may
// use twice the memory, so that the job's limit takes effect first. Up to
// defaultMemory, a small semi-space makes V8 collect garbage early.
func nodeOptions(memory int64) string {
	options := fmt.Sprintf("--require=%s/hook.cjs --max-old-space-size=%d", protocol.JavaScriptHookDir, 2*memory>>20)
	if memory <= defaultMemory {
		options += " --max-semi-space-size=8"
	}
	return options
}

// nodeOptionsForMore returns the Node options for a job that needs more memory than
// the waiting interpreter is configured for; "" for other jobs.
func nodeOptionsForMore(memory int64) string {
	if memory <= defaultMemory {
		return ""
	}
	return nodeOptions(memory)
}

// path returns the path of the interpreter. It searches the directories in the order
// of PATH, since a custom image may have the interpreter in another directory than
// the built-in image.
func (i interpreter) path() string {
	const last = "/usr/bin/"
	for _, dir := range []string{"/usr/local/bin/", last} {
		if unix.Access(dir+i.args[0], unix.X_OK) == nil {
			return dir + i.args[0]
		}
	}
	return last + i.args[0]
}

// interpreterOf returns the interpreter for the language. JavaScript and
// TypeScript share Node and its hook, which tells the languages apart by the file
// name.
func interpreterOf(wanted *protocol.Prepare) interpreter {
	node := interpreter{
		env:             []string{"NODE_OPTIONS=" + nodeOptions(defaultMemory)},
		control:         nodeControl,
		threads:         nodeThreads,
		sessionThreads:  nodeSessionThreads,
		replacesControl: true,
		interruptsOnce:  true,
		options:         nodeOptionsForMore,
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
			args:            []string{"python3", "main.py"},
			env:             []string{"PYTHONPATH=" + protocol.PythonHookDir},
			control:         3,
			inputByPipe:     true,
			options:         func(int64) string { return "" },
			makesCheckpoint: true,
		}
		if len(wanted.Preload) > 0 {
			python.env = append(python.env, "PYTH_ON_PRELOAD="+strings.Join(wanted.Preload, ","))
		}
		return python
	}
}

// environment returns the environment with which the interpreter starts.
func (i interpreter) environment() []string {
	return append(defaultEnvironment(), i.env...)
}

// defaultEnvironment returns the environment of a program without variables in its
// job. The host gives it to the agent, together with the variables that configure
// the agent's Go runtime.
func defaultEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GO") })
}

// files returns the descriptors for the new process: the standard streams, and the
// control socket as descriptor i.control.
func (i interpreter) files(given []uintptr) []uintptr {
	const none = ^uintptr(0)
	files := append(make([]uintptr, 0, i.control+1), given[:3]...)
	for len(files) < i.control {
		files = append(files, none)
	}
	return append(files, given[3])
}

// canRun reports whether the waiting interpreter can run the job.
func (p *program) canRun(j *protocol.Job) bool {
	return p.disk == j.DiskBytes && p.interpreter.args[0] == interpreterOf(&protocol.Prepare{Language: j.Language}).args[0]
}
