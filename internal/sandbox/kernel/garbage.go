package kernel

import (
	"runtime"
	"runtime/debug"
)

// These constants are values of GOGC for gVisor. During a boot gVisor allocates 7 MB, and
// most of this memory stays in use. With bootPercent, the first garbage collection starts
// when 10 MB are allocated. This happens only after the boot.
const (
	bootPercent = 250
	percent     = 100
)

// delayCollection avoids garbage collections during a boot. After the first collection,
// the garbage collector works as usual.
func delayCollection() {
	debug.SetGCPercent(bootPercent)
	// Nothing uses this object. So the first garbage collection frees the object and
	// calls its cleanup function.
	object := new([32]byte)
	runtime.AddCleanup(object, func(percent int) { debug.SetGCPercent(percent) }, percent)
}
