package rollback

import (
	"sync"

	"golang.org/x/sys/unix"
)

// arena holds the saved content of a process. The memory of an arena is outside of Go's
// heap. The garbage collector ignores this memory, and the method "free" returns the
// memory to the host immediately.
type arena struct {
	mu    sync.Mutex
	bytes []byte
	used  int
}

// newArena returns an arena for at most the given number of bytes. The arena uses memory
// only for the bytes that were added.
func newArena(size int) (*arena, error) {
	bytes, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return &arena{bytes: bytes}, err
}

// The method "add" copies the data into the arena. It returns the offset of the data in
// the arena.
func (a *arena) add(data []byte) int {
	at := a.used
	a.used += copy(a.bytes[at:], data)
	return at
}

// hold makes the method "free" wait until the returned function is called. If the arena
// is already freed, the method returns nil.
func (a *arena) hold() func() {
	a.mu.Lock()
	if a.bytes == nil {
		a.mu.Unlock()
		return nil
	}
	return a.mu.Unlock
}

// The method "free" returns the memory to the host.
func (a *arena) free() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes != nil {
		_ = unix.Munmap(a.bytes)
		a.bytes = nil
	}
}
