package rollback

import (
	"runtime"
	"testing"
)

// TestHeapTrim checks that trim returns the memory of many dead objects. It also checks
// that the memory of live objects does not cause a garbage collection at each call.
func TestHeapTrim(t *testing.T) {
	var h heap
	h.trim()
	before := heapSize()
	objects := make([][]byte, 0, 64)
	for range cap(objects) {
		objects = append(objects, make([]byte, 1<<20))
	}
	h.trim()
	if got := heapSize(); got < 64<<20 {
		t.Fatalf("the heap has %d bytes with 64 MiB of live objects", got)
	}
	collections := countCollections()
	h.trim()
	if got := countCollections(); got != collections {
		t.Errorf("live objects caused %d more collections", got-collections)
	}
	runtime.KeepAlive(objects)

	objects = make([][]byte, 0, 64)
	for range cap(objects) {
		objects = append(objects, make([]byte, 1<<20))
	}
	clear(objects)
	h.trim()
	if got := heapSize(); got > before+2*heapGrowth {
		t.Errorf("the heap has %d bytes after its objects are dead, and %d before", got, before)
	}
}

func countCollections() uint32 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NumGC
}
