package rollback

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/mm"
	"gvisor.dev/gvisor/pkg/sentry/platform"
)

// Fields of gVisor's types that are not exported. checkFields verifies that they
// exist.
const (
	// platformField is Task.p, which holds the floating-point state of a running task.
	platformField = "p"
	// peakField is MemoryManager.maxRSS, the peak that getrusage(2) shows.
	peakField = "maxRSS"
)

// checkFields returns an error if a field is absent or has another type.
func checkFields() error {
	for _, field := range []struct {
		of         reflect.Type
		name, kind string
	}{
		{reflect.TypeFor[kernel.Task](), platformField, "platform.Context"},
		{reflect.TypeFor[mm.MemoryManager](), peakField, "uint64"},
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

// setPeak sets the highest resident size of a process in bytes. Only the single task
// of this process may call it.
func setPeak(m *mm.MemoryManager, size uint64) {
	field := reflect.ValueOf(m).Elem().FieldByName(peakField)
	atomic.StoreUint64((*uint64)(unsafe.Pointer(field.UnsafeAddr())), size)
}
