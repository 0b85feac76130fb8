// Package filter gives gVisor the compiled seccomp filter of the sentry.
//
// The filter limits the system calls of gVisor itself on the host. Without this package,
// gVisor compiles the filter during each boot. The compilation takes an eighth of the
// processor time of a boot. gVisor can also use a compiled filter, but the Go module of
// gVisor contains no compiled filter.
package filter

import (
	_ "unsafe" // For go:linkname.

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	"gvisor.dev/gvisor/runsc/boot/filter"
)

//go:generate go run ./generate program.go

// Register gives the compiled filter to gVisor. It must be called before gVisor boots a
// sandbox. If gVisor runs with other options and so needs another filter, gVisor compiles
// that filter itself.
func Register() {
	p := program()
	// The map does not exist before gVisor accesses it for the first time, so access it
	// now.
	if _, ok := filter.GetPrecompiled(p.Name); !ok {
		programs[p.Name] = p
	}
}

// programs is gVisor's map of compiled filters.
//
//go:linkname programs gvisor.dev/gvisor/runsc/boot/filter.precompiledPrograms
var programs map[string]precompiledseccomp.Program
