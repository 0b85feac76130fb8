package guest

import _ "embed"

//go:generate go run ./firstprocess/generate init.elf

//go:embed init.elf
var initExecutable []byte

// Init returns the static executable for protocol.InitPath, the first process in the
// namespaces of each run. The process mounts /proc, and after that closes its standard
// output. Then it waits. If a process of the run ends before its children, these children
// become children of the first process. When the first process is killed, the
// kernel kills all other processes of the run.
//
// The source of the executable is firstprocess/code_amd64.s.
func Init() []byte { return initExecutable }
