package agent

import (
	"path"

	"github.com/pyth-on/pyth-on/guest/protocol"
)

// interpreter is what runs programs of a language. It is started with a hook
// by which it waits for its job on the control descriptor.
type interpreter struct {
	path string
	args []string
	// env is what it gets besides the usual until its job's is known.
	env []string
	// control is the number of the descriptor.
	control int
	// threads are those that it has for itself: they do not count against the
	// processes that a program may have.
	threads int
	// named is whether it has to be told the program's file.
	named bool
}

// nodeControl is so high that it takes no number that something in Node would
// have, or the program's first files.
const nodeControl = 100

// nodeThreads are V8's four, the scheduler of delayed tasks, the one that waits
// for a debugger, and the four that do what blocks.
const nodeThreads = 10

// nodeHeap is the megabytes at which V8 would give up by itself: far above the
// memory that any job may have, so that the job's limit is what ends a program.
const nodeHeap = "16384"

// interpreterOf is the one for a language. Node starts with the same hook for
// both of its languages, and sees from the file's name what to have ready.
func interpreterOf(language string) interpreter {
	node := interpreter{
		path:    "/usr/local/bin/node",
		env:     []string{"NODE_OPTIONS=--require=" + protocol.JavaScriptHookDir + "/hook.cjs --max-old-space-size=" + nodeHeap},
		control: nodeControl,
		threads: nodeThreads,
		named:   true,
	}
	switch language {
	case "javascript":
		node.args = []string{"node", "main.js"}
		return node
	case "typescript":
		node.args = []string{"node", "main.ts"}
		return node
	default:
		return interpreter{
			path:    "/usr/local/bin/python3",
			args:    []string{"python3", "main.py"},
			env:     []string{"PYTHONPATH=" + protocol.PythonHookDir},
			control: 3,
		}
	}
}

// environment is what it starts with.
func (i interpreter) environment() []string {
	return append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/sandbox", "LANG=C.UTF-8"}, i.env...)
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

// arguments are what its hook is told.
func (i interpreter) arguments(j *protocol.Job) []string {
	if !i.named {
		return j.Args
	}
	return append([]string{path.Join(workDir, j.Program)}, j.Args...)
}

// suits is whether the program that waits can run the job.
func (p *program) suits(j *protocol.Job) bool {
	return p.disk == j.DiskBytes && p.interpreter.path == interpreterOf(j.Language).path
}
