// Package batch defines a system call for the guest agent. With this call, the agent
// makes several system calls in one step. In a sandbox, entering the kernel takes longer
// than the work of most calls.
package batch

// Number is the number of the batch system call. Linux has no system call with this
// number. The arguments are the address of the first Call and the number of calls.
// The kernel makes the calls in order, until one fails. It returns the number of
// calls that have succeeded. A program that makes the batch system call gets ENOSYS.
const Number = 1901

// Max is the largest number of calls in one batch.
const Max = 64

// Call is a system call. The kernel writes its result.
type Call struct {
	Number    uint64
	Arguments [6]uint64
	// Indirect has a bit for each argument. If the bit is set, the argument is the
	// address of a 32-bit integer, such as the result of an earlier call. The kernel
	// reads the integer just before it makes the call.
	Indirect uint64
	// Result is the result of the call, or the negative error number.
	Result int64
}
