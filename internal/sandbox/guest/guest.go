// Package guest embeds the files that run inside a sandbox: the guest agent, the first
// process of each run, and the interpreters' hooks. A hook makes an interpreter wait
// for jobs. The agent is the sandbox's first process. Its code is in guest/agent, and
// its protocol is in guest/protocol.
package guest

import (
	"embed"
	"errors"
	"io/fs"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed all:bin
var binaries embed.FS

//go:embed hook/python/*.py
var pythonHook embed.FS

//go:embed hook/python/pyth_on
var pythonPackages embed.FS

//go:embed hook/javascript/*.cjs hook/javascript/warm.ts
var javaScriptHook embed.FS

//go:embed hook/bash/session.sh
var bashHook embed.FS

// Paths of this package's executables in a sandbox.
const (
	AgentPath      = "/pyth-on/guest"
	TypeScriptPath = "/pyth-on/typescript"
)

// ToolPath is the mount point of the package manager npm in sandboxes that resolve
// JavaScript packages. PipPath is the path of pip in every image.
const (
	ToolPath = "/opt/pyth-on/tool"
	PipPath  = "/pyth-on/pip"
)

// Agent returns the static executable for AgentPath.
func Agent() ([]byte, error) {
	b, err := binaries.ReadFile("bin/pyth-on-guest")
	if err != nil {
		return nil, errors.New("this binary was built without its guest agent; build it with `make build`")
	}
	return b, nil
}

// TypeScript returns the static executable for TypeScriptPath. The Node hook runs
// it for TypeScript that Node itself cannot compile.
func TypeScript() ([]byte, error) {
	b, err := binaries.ReadFile("bin/pyth-on-typescript")
	if err != nil {
		return nil, errors.New("this binary was built without its TypeScript compiler; build it with `make build`")
	}
	return b, nil
}

// PythonPackages returns the packages to add to site-packages. Programs can
// import them like the standard library.
func PythonPackages() (fs.FS, error) { return fs.Sub(pythonPackages, "hook/python") }

// PythonSite returns the content of a .pth file for site-packages. Through this file,
// an interpreter that a program starts finds the user's packages. In the waiting
// interpreter the file does nothing. There the hook adds the packages later, so that no
// code of a package runs before the program. The file also unloads the codec that
// Python has loaded to read .pth files.
func PythonSite() []byte {
	layer := pyth.PythonRuntime.LayerPath()
	return []byte(`import os, sys; "/pyth-on/python" in sys.path or os.path.isdir("` + layer +
		`/.store") and __import__("site").addsitedir("` + layer + `"); sys.modules.pop("encodings.utf_8_sig", None)` + "\n")
}

// PythonHook returns the modules for protocol.PythonHookDir.
func PythonHook() (fs.FS, error) { return fs.Sub(pythonHook, "hook/python") }

// BashHook returns the files for protocol.BashHookDir.
func BashHook() (fs.FS, error) { return fs.Sub(bashHook, "hook/bash") }

// JavaScriptHook returns the modules for protocol.JavaScriptHookDir.
func JavaScriptHook() (fs.FS, error) { return fs.Sub(javaScriptHook, "hook/javascript") }
