package rollback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/rand"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/usermem"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// generatorSize is the size in bytes of V8's RandomNumberGenerator, which consists of a
// seed and two words of state. maxSteps limits the number of random values that V8 draws
// before the checkpoint. V8 13.6 draws 30 values for an isolate, and 220 values for
// addresses.
const (
	generatorSize = 24
	maxSteps      = 2048
)

// chunkHeader is the word before each block of 24 bytes that glibc's malloc returns. The
// word contains the size of the chunk and the flag PREV_INUSE.
const chunkHeader = 0x21

// findGenerators returns the addresses of V8's random number generators. V8 draws the
// seeds of Math.random from the generator of the isolate, which is on the heap of
// malloc. Other generators are in static variables. findGenerators returns an error if
// it does not find the isolate's generator, for example because the process does not
// use glibc.
//
// findGenerators recognizes a generator by its content, because the two words of state
// can be computed from the seed. The objects of V8's heap cannot contain generators, so
// only memory below the program break (the end of the heap of malloc) is searched. On the
// heap, only blocks with the size of a generator are examined, because the test takes
// several microseconds.
func (c *checkpoint) findGenerators() ([]hostarch.Addr, error) {
	var all []hostarch.Addr
	isFound := false
	for _, part := range c.content {
		if part.zero || part.at.Start >= c.brk {
			continue
		}
		isHeap := c.isHeap(part.at.Start)
		data := c.arena.bytes[part.offset : part.offset+int(part.at.Length())]
		for at := 0; at+generatorSize <= len(data); at += 8 {
			if isHeap && (at == 0 || binary.LittleEndian.Uint64(data[at-8:]) != chunkHeader) {
				continue
			}
			if isGenerator(data[at : at+generatorSize]) {
				all = append(all, part.at.Start+hostarch.Addr(at))
				isFound = isFound || isHeap
			}
		}
	}
	if !isFound {
		return nil, errors.New("the process has no random number generator on its heap")
	}
	return all, nil
}

// isHeap reports whether an address is in the memory below the program break (the end of
// the heap of malloc).
func (c *checkpoint) isHeap(at hostarch.Addr) bool {
	return slices.ContainsFunc(c.regions, func(r region) bool { return r.name == "[heap]" && r.Contains(at) })
}

// isGenerator reports whether data is a random number generator of V8. The result is
// reliable: other data matches with a probability of only 2^-117.
func isGenerator(data []byte) bool {
	seed, want0, want1 := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]), binary.LittleEndian.Uint64(data[16:])
	// The data is a pointer or a small number. Random values are almost never so small.
	if seed>>48 == 0 || want0>>48 == 0 || want1>>48 == 0 {
		return false
	}
	state0 := mixBits(seed)
	state1 := mixBits(^state0)
	for range maxSteps {
		if state0 == want0 && state1 == want1 {
			return true
		}
		state0, state1 = nextState(state0, state1)
	}
	return false
}

// mixBits is the hash function MurmurHash3 in the form that V8 uses.
func mixBits(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// nextState is the generator XorShift128 in the form that V8 uses.
func nextState(state0, state1 uint64) (next0, next1 uint64) {
	next0, next1 = state1, state0
	next1 ^= next1 << 23
	next1 ^= next1 >> 17
	next1 ^= next0
	next1 ^= next0 >> 26
	return next0, next1
}

// reseed gives new states to the random number generators of the process. Then it makes
// getpid return a wrong process ID until the interpreter's hook has made OpenSSL draw a
// value. To detect a fork, OpenSSL compares the current process ID with the process ID at
// the last draw. If the two IDs differ, OpenSSL gets a new seed from the kernel.
func (i *interpreter) reseed(t *kernel.Task, c *checkpoint) error {
	var state [generatorSize - 8]byte
	for _, at := range c.generators {
		if _, err := rand.Read(state[:]); err != nil {
			return fmt.Errorf("get random bytes: %w", err)
		}
		if _, err := t.MemoryManager().CopyOut(t, at+8, state[:], usermem.IOOpts{}); err != nil {
			return fmt.Errorf("reseed a generator: %w", err)
		}
	}
	if c.compiles {
		i.seeds.Store(0)
		i.reseeding.Store(true)
	}
	return nil
}

// wrongProcessID is a process ID that no process has. See reseed.
const wrongProcessID = 1 << 30

// processID wraps getpid(2). While an interpreter reseeds OpenSSL, the call returns
// wrongProcessID.
func (m *Manager) processID(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if i := m.active(t); i != nil && i.reseeding.Load() && isLeader(t) {
			return wrongProcessID, nil, nil
		}
		return call(t, number, args)
	}
}

// random wraps getrandom(2). While an interpreter reseeds OpenSSL, the call also counts
// the seeds that the interpreter gets.
func (m *Manager) random(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		result, control, err := call(t, number, args)
		if i := m.active(t); i != nil && i.reseeding.Load() && isLeader(t) && err == nil && result >= minSeed {
			i.seeds.Add(1)
		}
		return result, control, err
	}
}

// minSeed is the minimum size of a seed in bytes.
const minSeed = 32

// endReseeding makes getpid return the real process ID again, after a call of reseed. It
// returns false if OpenSSL has not received a new seed.
func (i *interpreter) endReseeding() bool {
	if !i.reseeding.Swap(false) || i.seeds.Load() == 0 {
		i.retire(abi.Failed)
		return false
	}
	return true
}
