// Package guest carries into sandboxes what works there: the guest agent, which
// is the first process of each, the first process of each run, and the hook by
// which an interpreter waits for its job. The agent's code is in guest/agent,
// what it says in guest/protocol.
package guest

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed all:bin
var binaries embed.FS

//go:embed hook/python/*.py
var pythonHook embed.FS

//go:embed hook/python/pyth_on
var pythonPackages embed.FS

//go:embed hook/javascript/*.cjs hook/javascript/warm.ts
var javaScriptHook embed.FS

// Where files of this package belong in a sandbox.
const (
	AgentPath      = "/pyth-on/guest"
	TypeScriptPath = "/pyth-on/typescript"
)

// Where packages of the user are mounted. Node looks for modules in the second
// by itself, whatever imports them.
const (
	PythonLayerPath = "/opt/pyth-on/python-packages"
	NodeLayerPath   = "/node_modules"
	// ToolPath is where what finds packages is mounted for that alone, and
	// PipPath where every image has pip for it.
	ToolPath = "/opt/pyth-on/tool"
	PipPath  = "/pyth-on/pip"
)

// Agent is the static executable to be placed at AgentPath.
func Agent() ([]byte, error) {
	b, err := binaries.ReadFile("bin/pyth-on-guest")
	if err != nil {
		return nil, errors.New("this binary was built without its guest agent; build it with `make build`")
	}
	return b, nil
}

// TypeScript is the static executable to be placed at TypeScriptPath. The hook
// of Node runs it for TypeScript that Node cannot compile.
func TypeScript() ([]byte, error) {
	b, err := binaries.ReadFile("bin/pyth-on-typescript")
	if err != nil {
		return nil, errors.New("this binary was built without its TypeScript compiler; build it with `make build`")
	}
	return b, nil
}

// PythonPackages are what programs can import besides the standard library, to
// be placed in site-packages.
func PythonPackages() (fs.FS, error) { return fs.Sub(pythonPackages, "hook/python") }

// PythonSite is what is to be placed in site-packages as a .pth file: by it the
// interpreters that programs start have the user's packages. The one that waits
// for a program has them by its hook, so that nothing of theirs runs before. The
// codec by which such files are read is not there without one.
func PythonSite() []byte {
	return []byte(`import os, sys; "/pyth-on/python" in sys.path or os.path.isdir("` + PythonLayerPath +
		`/.store") and __import__("site").addsitedir("` + PythonLayerPath + `"); sys.modules.pop("encodings.utf_8_sig", None)` + "\n")
}

// PythonHook returns the modules to be placed in protocol.PythonHookDir.
func PythonHook() (fs.FS, error) { return fs.Sub(pythonHook, "hook/python") }

// JavaScriptHook are the modules to be placed in protocol.JavaScriptHookDir.
func JavaScriptHook() (fs.FS, error) { return fs.Sub(javaScriptHook, "hook/javascript") }
