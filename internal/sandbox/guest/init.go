package guest

import _ "embed"

//go:generate go run ./firstprocess/generate init.elf

//go:embed init.elf
var initExecutable []byte

// Init returns the static executable for protocol.InitPath. It runs as the first
// process in the namespaces of each run. It mounts /proc and closes its standard
// output to report that. Then it waits. It adopts orphans of the run. When it is
// killed, the kernel kills all other processes of the run.
//
// Its source is firstprocess/code_amd64.s.
func Init() []byte { return initExecutable }
