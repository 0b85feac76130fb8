package guest

import _ "embed"

//go:generate go run ./firstprocess/generate init.elf

//go:embed init.elf
var initExecutable []byte

// Init returns the static executable for protocol.InitPath: the first process of
// each run's namespaces. It mounts their /proc, closes its standard output to
// signal that, and waits. Orphans of the run become its children. When it is
// killed, the kernel kills all other processes of the run.
//
// Its source is firstprocess/code_amd64.s.
func Init() []byte { return initExecutable }
