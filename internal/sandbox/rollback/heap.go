package rollback

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// heapGrowth is the number of bytes by which the heap of gVisor may grow before trim
// returns memory to the host. If the heap grew much more than this, the host would remove
// the sandbox.
const heapGrowth = 16 << 20

// heap returns unused memory of gVisor's own heap to the host. A program that creates
// many kernel objects, such as files or mappings, makes this heap large. Go returns the
// memory of such objects to the host only minutes later. Until then, the host would count
// this memory as memory of the next run.
type heap struct {
	mu sync.Mutex
	// The field "limit" is a size of the heap in bytes. If the heap is larger, trim
	// returns unused memory to the host. The limit is heapGrowth more than the smallest
	// heap since trim last returned memory.
	limit uint64
}

// trim returns unused memory to the host if the heap has grown by more than heapGrowth.
// The return of memory takes some milliseconds. If trim returns no memory, it takes only
// some microseconds.
func (h *heap) trim() {
	h.mu.Lock()
	defer h.mu.Unlock()
	size := heapSize()
	if h.limit != 0 && size > h.limit {
		debug.FreeOSMemory()
		size = heapSize()
		h.limit = size + heapGrowth
	}
	if h.limit == 0 || size+heapGrowth < h.limit {
		h.limit = size + heapGrowth
	}
}

// heapSize returns the memory of the host that the heap uses, in bytes. It includes
// memory of freed objects that Go has not returned to the host.
func heapSize() (bytes uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples {
		bytes += s.Value.Uint64()
	}
	return bytes
}
