package kernel

import (
	"unsafe"

	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"

	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/batch"
)

// These constants describe the layout of batch.Call in bytes.
const (
	callSize   = int(unsafe.Sizeof(batch.Call{}))
	resultAt   = unsafe.Offsetof(batch.Call{}.Result)
	wordSize   = 8
	indirectAt = unsafe.Offsetof(batch.Call{}.Indirect)
)

// runBatch implements the system call batch.Number. Only the agent can make it. For each
// call of the batch, the effects and the checks are the same as for a separate call.
func runBatch(t *kernel.Task, _ uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
	if isProgram(t) {
		return 0, nil, linuxerr.ENOSYS
	}
	at, count := args[0].Pointer(), args[1].Uint64()
	if count > batch.Max {
		return 0, nil, linuxerr.EINVAL
	}
	for done := range count {
		result, err := runCall(t, at)
		if err != nil {
			result = -int64(kernel.ExtractErrno(err, batch.Number))
		}
		var word [wordSize]byte
		hostarch.ByteOrder.PutUint64(word[:], uint64(result))
		if _, err := t.CopyOutBytes(at+hostarch.Addr(resultAt), word[:]); err != nil {
			return 0, nil, err
		}
		if err != nil {
			return uintptr(done), nil, nil
		}
		at += hostarch.Addr(callSize)
	}
	return uintptr(count), nil, nil
}

// runCall reads a system call of the batch from the agent's memory and makes it. It
// refuses calls that end the task or change how the task continues.
func runCall(t *kernel.Task, at hostarch.Addr) (int64, error) {
	var b [callSize]byte
	if _, err := t.CopyInBytes(at, b[:]); err != nil {
		return 0, err
	}
	number := uintptr(hostarch.ByteOrder.Uint64(b[:]))
	indirect := hostarch.ByteOrder.Uint64(b[indirectAt:])
	var args arch.SyscallArguments
	for i := range args {
		value := uintptr(hostarch.ByteOrder.Uint64(b[(i+1)*wordSize:]))
		if indirect&(1<<i) != 0 {
			var integer [4]byte
			if _, err := t.CopyInBytes(hostarch.Addr(value), integer[:]); err != nil {
				return 0, err
			}
			value = uintptr(hostarch.ByteOrder.Uint32(integer[:]))
		}
		args[i] = arch.SyscallArgument{Value: value}
	}
	call := t.SyscallTable().Lookup(number)
	if call == nil || number == batch.Number {
		return 0, linuxerr.ENOSYS
	}
	result, control, err := call(t, number, args)
	if control != nil {
		return 0, linuxerr.EINVAL
	}
	return int64(result), err
}
