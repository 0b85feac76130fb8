package agent

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// interpreter describes how to start an interpreter. The hook in the interpreter
// waits for a job on the control descriptor.
type interpreter struct {
	// args is the command line. args[0] is the name of the executable.
	args []string
	// env contains variables that the interpreter gets when it starts, in addition to the
	// default environment. When a job arrives, the job's environment replaces all these
	// variables.
	env []string
	// control is the number of the control descriptor inside the interpreter.
	control int
	// threads is the number of threads that the interpreter needs without a program. A
	// session needs sessionThreads more. These threads do not count against the process
	// limit of a job.
	threads, sessionThreads int
	// inputByPipe is true if each run of a session gets a new pipe as standard
	// input.
	inputByPipe bool
	// replacesControl is true if a session gets a second control descriptor when the
	// session starts, because child processes would inherit the first descriptor.
	replacesControl bool
	// interruptsOnce is true if one interrupt is enough to end any run of a session.
	interruptsOnce bool
	// makesCheckpoint is true if the hook makes a checkpoint (package rollback)
	// before it waits for a job.
	makesCheckpoint bool
	// The field "compiles" is true if the interpreter compiles programs to machine
	// code, in several threads.
	compiles bool
	// options returns the value of NODE_OPTIONS if the interpreter must restart
	// for a job, or "". memory is the job's limit in bytes.
	options func(memory int64) string
}

// nodeControl is the number of Node's control descriptor. Node's own descriptors
// and the first files of the program have lower numbers.
const nodeControl = 100

// nodeThreads is the number of threads of Node: four threads of V8, one thread for
// delayed tasks, one for the debugger, and four for blocking work.
const nodeThreads = 10

// nodeSessionThreads is the number of additional threads in a session: the interrupt
// thread (watch.cjs), and the thread that receives signals for the interrupt thread.
const nodeSessionThreads = 2

// The waiting Node process has the options for jobs with a memory limit of up to
// defaultMemory bytes. A job with a higher memory limit needs other options.
const defaultMemory = 512 << 20

// nodeOptions returns the value of NODE_OPTIONS for a memory limit in bytes. V8's
// own limit is twice as high, so that the job's limit takes effect first. Up to
// defaultMemory, a small semi-space makes V8 collect garbage early.
func nodeOptions(memory int64) string {
	options := fmt.Sprintf("--require=%s/hook.cjs --max-old-space-size=%d", protocol.JavaScriptHookDir, 2*memory>>20)
	if memory <= defaultMemory {
		options += " --max-semi-space-size=8"
	}
	return options
}

// nodeOptionsForMore returns the value of NODE_OPTIONS for a limit above
// defaultMemory. For any other limit it returns "".
func nodeOptionsForMore(memory int64) string {
	if memory <= defaultMemory {
		return ""
	}
	return nodeOptions(memory)
}

// path returns the path of the executable. It searches the directories in the
// order of PATH, because custom images may have the interpreter in another
// directory than the built-in image.
func (i interpreter) path() string {
	const last = "/usr/bin/"
	for _, dir := range []string{"/usr/local/bin/", last} {
		if unix.Access(dir+i.args[0], unix.X_OK) == nil {
			return dir + i.args[0]
		}
	}
	return last + i.args[0]
}

// interpreterOf returns the interpreter that waits for a job in the language. JavaScript
// and TypeScript both use Node with the same hook. The hook tells them apart by the file
// name. Bash does not wait (shell.go). For bash, Python waits instead, because a user of
// bash may also use Python.
func interpreterOf(wanted *protocol.Prepare) interpreter {
	node := interpreter{
		env:             []string{"NODE_OPTIONS=" + nodeOptions(defaultMemory)},
		control:         nodeControl,
		threads:         nodeThreads,
		sessionThreads:  nodeSessionThreads,
		replacesControl: true,
		interruptsOnce:  true,
		makesCheckpoint: true,
		compiles:        true,
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

func (i interpreter) environment() []string {
	return append(defaultEnvironment(), i.env...)
}

// defaultEnvironment returns the environment of a program whose job sets no variables.
// The agent has the same environment, with additional variables for its Go runtime.
// gVisor gives the variables in random order, so sort them: PATH first, as in a job.
func defaultEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GO") })
	slices.Sort(env)
	if i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }); i > 0 {
		path := env[i]
		env = slices.Insert(slices.Delete(env, i, i+1), 0, path)
	}
	return env
}

// files returns the descriptors for the new process. The parameter "given" holds the
// standard streams and the control socket, which becomes descriptor i.control.
func (i interpreter) files(given []uintptr) []uintptr {
	const none = ^uintptr(0)
	files := append(make([]uintptr, 0, i.control+1), given[:3]...)
	for len(files) < i.control {
		files = append(files, none)
	}
	return append(files, given[3])
}

// canRun reports whether the job can run in the namespaces of the waiting interpreter. A
// bash script needs no waiting interpreter.
func (p *program) canRun(j *protocol.Job) bool {
	if p.disk == j.DiskBytes && j.Language == shellLanguage {
		return true
	}
	return p.disk == j.DiskBytes && p.interpreter.args[0] == interpreterOf(&protocol.Prepare{Language: j.Language}).args[0]
}
