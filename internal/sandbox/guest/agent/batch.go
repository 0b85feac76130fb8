package agent

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/batch"
)

// calls is a list of system calls that the kernel makes one after the other, in one
// batch system call (package batch).
type calls struct {
	list  []batch.Call
	names []string
	// The field "kept" refers to all memory whose address is an argument. So Go's garbage
	// collector does not free this memory.
	kept []any
	// The field "assignments" lists variables and the results to store in them when all
	// calls have succeeded.
	assignments []assignment
}

// newCalls returns an empty list with room for the given number of calls. The list must
// be on the heap, because the kernel gets the addresses of its elements and Go can move a
// stack. If newCalls were inlined, the list could be on the stack of the caller. So
// newCalls is marked as noinline.
//
//go:noinline
func newCalls(room int) *calls {
	return &calls{list: make([]batch.Call, 0, room), names: make([]string, 0, room)}
}

// The constant "few" is the usual number of calls in a list. Only a list of calls that
// mount file systems needs more room.
const few = 16

type assignment struct {
	to   *int
	from *int32
}

// The method "add" adds a call and returns a pointer to its result. The name describes
// the call in errors. The kernel gets an integer argument unchanged. For a string, a byte
// slice or a pair, the kernel gets the address. For a pointer to the result of an earlier
// call, the kernel gets the value of this result.
func (c *calls) add(name string, number uintptr, args ...any) *int32 {
	if len(c.list) == cap(c.list) {
		panic("no room for another call") // A larger list would be at another address.
	}
	c.list, c.names = append(c.list, batch.Call{Number: uint64(number)}), append(c.names, name)
	call := &c.list[len(c.list)-1]
	for i, arg := range args {
		c.kept = append(c.kept, arg)
		switch arg := arg.(type) {
		case int:
			call.Arguments[i] = uint64(arg)
		case string:
			b := append([]byte(arg), 0)
			c.kept = append(c.kept, b)
			call.Arguments[i] = uint64(uintptr(unsafe.Pointer(&b[0])))
		case []byte:
			call.Arguments[i] = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
		case *[2]int32:
			call.Arguments[i] = uint64(uintptr(unsafe.Pointer(arg)))
		case *unix.Rlimit:
			call.Arguments[i] = uint64(uintptr(unsafe.Pointer(arg)))
		case *int32:
			call.Arguments[i] = uint64(uintptr(unsafe.Pointer(arg)))
			call.Indirect |= 1 << i
		default:
			panic(fmt.Sprintf("argument of type %T", arg))
		}
	}
	return (*int32)(unsafe.Pointer(&call.Result)) // The low half: the target is little-endian.
}

// assign copies the result of a call to *to when all calls have succeeded.
func (c *calls) assign(to *int, from *int32) {
	c.kept = append(c.kept, from)
	c.assignments = append(c.assignments, assignment{to, from})
}

// close adds a call that closes the descriptor *fd, and sets *fd to -1. If *fd is
// negative, the method does nothing.
func (c *calls) close(fd *int) {
	if *fd >= 0 {
		c.add("close", unix.SYS_CLOSE, *fd)
		*fd = -1
	}
}

// run makes the calls of the list. It stops at the first call that fails, and returns
// the error of this call.
func (c *calls) run() error {
	for next := 0; next < len(c.list); {
		done, _, errno := unix.Syscall(batch.Number, uintptr(unsafe.Pointer(&c.list[next])), uintptr(len(c.list)-next), 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("make system calls: %w", errno)
		}
		next += int(done)
		if next == len(c.list) {
			break
		}
		if err := unix.Errno(-c.list[next].Result); !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("%s: %w", c.names[next], err)
		}
	}
	for _, a := range c.assignments {
		*a.to = int(*a.from)
	}
	runtime.KeepAlive(c)
	return nil
}
