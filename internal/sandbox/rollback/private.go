package rollback

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"gvisor.dev/gvisor/pkg/atomicbitops"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/mm"
	"gvisor.dev/gvisor/pkg/sentry/pgalloc"
	"gvisor.dev/gvisor/pkg/sentry/platform"
	"gvisor.dev/gvisor/pkg/sentry/usage"
)

// Names of unexported fields in gVisor's types. checkFields verifies that the
// fields exist.
const (
	// The field Task.p holds the floating-point state of a running task.
	platformField = "p"
	// The fields MemoryManager.maxRSS and ThreadGroup.maxRSS hold the highest
	// resident size, which getrusage(2) shows. ThreadGroup.maxRSS changes when a
	// thread ends.
	peakField = "maxRSS"
	// The fields Task.yieldCount and ThreadGroup.yieldCount hold the number of
	// context switches, which getrusage(2) shows.
	switchesField = "yieldCount"
	// The field ThreadGroup.ioUsage holds the input and output of threads that have
	// ended.
	ioField = "ioUsage"
	// The field MemoryFile.haveWaste is true while gVisor must still return freed
	// memory to the host.
	wasteField = "haveWaste"
	// The field PIDNamespace.last is the ID of the last thread. The next thread gets
	// its ID from this field.
	lastField = "last"
)

// checkFields returns an error if a field is absent or has another type.
func checkFields() error {
	for _, field := range []struct {
		of         reflect.Type
		name, kind string
	}{
		{reflect.TypeFor[kernel.Task](), platformField, "platform.Context"},
		{reflect.TypeFor[mm.MemoryManager](), peakField, "uint64"},
		{reflect.TypeFor[kernel.ThreadGroup](), peakField, "uint64"},
		{reflect.TypeFor[kernel.Task](), switchesField, "atomicbitops.Uint64"},
		{reflect.TypeFor[kernel.ThreadGroup](), switchesField, "atomicbitops.Uint64"},
		{reflect.TypeFor[kernel.ThreadGroup](), ioField, "*usage.IO"},
		{reflect.TypeFor[pgalloc.MemoryFile](), wasteField, "bool"},
		{reflect.TypeFor[kernel.PIDNamespace](), lastField, "kernel.ThreadID"},
	} {
		found, ok := field.of.FieldByName(field.name)
		if !ok || found.Type.String() != field.kind {
			return fmt.Errorf("rollback: this gVisor has no %s.%s of type %s", field.of, field.name, field.kind)
		}
	}
	return nil
}

// platformOf returns the task's platform context.
func platformOf(t *kernel.Task) platform.Context {
	field := reflect.ValueOf(t).Elem().FieldByName(platformField)
	return *(*platform.Context)(unsafe.Pointer(field.UnsafeAddr()))
}

// setPeak sets the highest resident size, in bytes, of the task's process. The task
// must be the only one of its process.
func setPeak(t *kernel.Task, size uint64) {
	for _, of := range []reflect.Value{reflect.ValueOf(t.MemoryManager()), reflect.ValueOf(t.ThreadGroup())} {
		field := of.Elem().FieldByName(peakField)
		atomic.StoreUint64((*uint64)(unsafe.Pointer(field.UnsafeAddr())), size)
	}
}

// switchesOf returns pointers to the numbers of context switches of a task and of
// its process.
func switchesOf(t *kernel.Task) [2]*atomicbitops.Uint64 {
	field := func(of reflect.Value) *atomicbitops.Uint64 {
		return (*atomicbitops.Uint64)(unsafe.Pointer(of.Elem().FieldByName(switchesField).UnsafeAddr()))
	}
	return [2]*atomicbitops.Uint64{field(reflect.ValueOf(t)), field(reflect.ValueOf(t.ThreadGroup()))}
}

// ioOf returns two counters of input and output: the counter of a task, and the
// counter of all ended threads of its process.
func ioOf(t *kernel.Task) [2]*usage.IO {
	field := reflect.ValueOf(t.ThreadGroup()).Elem().FieldByName(ioField)
	return [2]*usage.IO{t.IOUsage(), *(**usage.IO)(unsafe.Pointer(field.UnsafeAddr()))}
}

// lastID returns a pointer to the last thread ID in the task's PID namespace. No
// other task in the namespace may start threads or processes.
func lastID(t *kernel.Task) *kernel.ThreadID {
	field := reflect.ValueOf(t.PIDNamespace()).Elem().FieldByName(lastField)
	return (*kernel.ThreadID)(unsafe.Pointer(field.UnsafeAddr()))
}

// hasWaste reports whether gVisor must still return freed memory of the file to the
// host. It reads the field without gVisor's lock, so it can return an old value.
func hasWaste(file *pgalloc.MemoryFile) bool {
	return *(*bool)(unsafe.Pointer(reflect.ValueOf(file).Elem().FieldByName(wasteField).UnsafeAddr()))
}
