package rollback

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"unsafe"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/atomicbitops"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/eventfd"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/ktime"
	"gvisor.dev/gvisor/pkg/sentry/mm"
	"gvisor.dev/gvisor/pkg/sentry/pgalloc"
	"gvisor.dev/gvisor/pkg/sentry/platform"
	"gvisor.dev/gvisor/pkg/sentry/usage"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
)

// These constants are the names of unexported fields in gVisor's types. checkFields
// verifies that the fields exist.
const (
	// The field Task.p of gVisor holds the floating-point state of a running task.
	platformField = "p"
	// The fields MemoryManager.maxRSS and ThreadGroup.maxRSS hold the highest resident
	// size, which a program can read with getrusage(2). ThreadGroup.maxRSS changes when a
	// thread ends.
	peakField = "maxRSS"
	// The fields Task.yieldCount and ThreadGroup.yieldCount hold the number of context
	// switches, which a program can read with getrusage(2).
	switchesField = "yieldCount"
	// The field ThreadGroup.ioUsage holds the input and output of threads that have
	// ended.
	ioField = "ioUsage"
	// The field MemoryFile.haveWaste is true while gVisor must still return freed
	// memory to the host.
	wasteField = "haveWaste"
	// clearTIDField is the name of the field Task.cleartid. This field is the address of
	// a word in memory that gVisor sets to 0 when the thread ends.
	clearTIDField = "cleartid"
	// startField is the name of the field Task.startTime. A program can read this time in
	// /proc.
	startField = "startTime"
	// savedMaskField is the name of the field Task.haveSavedSignalMask. It is true while
	// a thread waits in a call such as ppoll(2). Such a call sets another signal mask
	// during the wait.
	savedMaskField = "haveSavedSignalMask"
	// interestField is the name of the field EpollInstance.interest. This field is a map.
	// Its keys have the fields fileField and numberField, and its values have the fields
	// maskField and dataField.
	interestField, fileField, numberField, maskField, dataField = "interest", "file", "num", "mask", "userData"
	// semaphoreField and valueField are the names of the fields semMode and val of
	// EventFileDescription.
	semaphoreField, valueField = "semMode", "val"
	// MemoryManager.vmas is a tree of mappings. The following names are fields of the
	// nodes in this tree.
	vmasField, rootField, countField, branchField, keysField, valuesField, childrenField = "vmas", "root", "nrSegments", "hasChildren", "keys", "values", "children"
	// dontForkField and isStackField are the names of two fields of a mapping. The type
	// mappingAttributes explains these fields.
	dontForkField, isStackField = "dontfork", "isStack"
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
		{reflect.TypeFor[mm.MemoryManager](), vmasField, "mm.vmaSet"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField), rootField, "mm.vmanode"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField), countField, "int"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField), branchField, "bool"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField), keysField, "[15]hostarch.AddrRange"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField), valuesField, "[15]mm.vma"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField), childrenField, "[16]*mm.vmanode"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField, valuesField), dontForkField, "bool"},
		{fieldType(reflect.TypeFor[mm.MemoryManager](), vmasField, rootField, valuesField), isStackField, "bool"},
		{reflect.TypeFor[kernel.Task](), clearTIDField, "hostarch.Addr"},
		{reflect.TypeFor[kernel.Task](), startField, "ktime.Time"},
		{reflect.TypeFor[kernel.Task](), savedMaskField, "bool"},
		{reflect.TypeFor[eventfd.EventFileDescription](), semaphoreField, "bool"},
		{reflect.TypeFor[eventfd.EventFileDescription](), valueField, "uint64"},
		{reflect.TypeFor[vfs.EpollInstance](), interestField, "map[vfs.epollInterestKey]*vfs.epollInterest"},
		{interestOf().Key(), fileField, "*vfs.FileDescription"},
		{interestOf().Key(), numberField, "int32"},
		{interestOf().Elem().Elem(), maskField, "uint32"},
		{interestOf().Elem().Elem(), dataField, "[2]int32"},
	} {
		found, ok := field.of.FieldByName(field.name)
		if !ok || found.Type.String() != field.kind {
			return fmt.Errorf("rollback: this gVisor has no %s.%s of type %s", field.of, field.name, field.kind)
		}
	}
	return nil
}

// fieldType returns the type of a nested field. Each name selects a field of the type
// that the previous name has selected. If a field is an array, fieldType uses the type of
// its elements instead. If there is no such field, fieldType returns an empty struct.
func fieldType(of reflect.Type, names ...string) reflect.Type {
	for _, name := range names {
		field, ok := of.FieldByName(name)
		if !ok {
			return reflect.TypeFor[struct{}]()
		}
		if of = field.Type; of.Kind() == reflect.Array {
			of = of.Elem()
		}
	}
	return of
}

// attributesOfMappings returns a map from the address of each mapping to its attributes.
// The caller must be the only thread that can change the mappings.
func attributesOfMappings(m *mm.MemoryManager) map[hostarch.Addr]mappingAttributes {
	all := make(map[hostarch.Addr]mappingAttributes)
	root := reflect.ValueOf(m).Elem().FieldByName(vmasField).FieldByName(rootField)
	// Look up the indexes of the fields only once, because this function runs twice for
	// each run of a program.
	node, mapping := indexes(root.Type(), countField, branchField, keysField, valuesField, childrenField), indexes(fieldType(root.Type(), valuesField), dontForkField, isStackField)
	var visit func(reflect.Value)
	visit = func(at reflect.Value) {
		count, keys, values := int(at.Field(node[0]).Int()), at.Field(node[2]), at.Field(node[3])
		for i := range count {
			value := values.Index(i)
			all[hostarch.Addr(keys.Index(i).Field(0).Uint())] = mappingAttributes{
				dontFork: value.Field(mapping[0]).Bool(), isStack: value.Field(mapping[1]).Bool(),
			}
		}
		if at.Field(node[1]).Bool() {
			for i := range count + 1 {
				visit(at.Field(node[4]).Index(i).Elem())
			}
		}
	}
	visit(root)
	return all
}

// indexes returns the index of each named field in the type.
func indexes(of reflect.Type, names ...string) []int {
	all := make([]int, len(names))
	for i, name := range names {
		field, _ := of.FieldByName(name)
		all[i] = field.Index[0]
	}
	return all
}

// interestOf returns the type of the map that holds the files of an epoll instance.
func interestOf() reflect.Type {
	field, ok := reflect.TypeFor[vfs.EpollInstance]().FieldByName(interestField)
	if !ok {
		return reflect.TypeFor[map[struct{}]*struct{}]()
	}
	return field.Type
}

// interestsOf returns the files of an epoll instance. No other thread may use the
// instance.
func interestsOf(e *vfs.EpollInstance) []interest {
	var all []interest
	for each := reflect.ValueOf(e).Elem().FieldByName(interestField).MapRange(); each.Next(); {
		key, value := each.Key(), each.Value().Elem()
		data := value.FieldByName(dataField)
		all = append(all, interest{
			file: (*vfs.FileDescription)(key.FieldByName(fileField).UnsafePointer()),
			fd:   int32(key.FieldByName(numberField).Int()),
			event: linux.EpollEvent{
				Events: uint32(value.FieldByName(maskField).Uint()),
				Data:   [2]int32{int32(data.Index(0).Int()), int32(data.Index(1).Int())},
			},
		})
	}
	return all
}

// isSemaphore reports whether an eventfd works as a semaphore (EFD_SEMAPHORE).
func isSemaphore(e *eventfd.EventFileDescription) bool {
	return reflect.ValueOf(e).Elem().FieldByName(semaphoreField).Bool()
}

// valueOf returns the value of an eventfd. No other thread may use the eventfd during
// the call.
func valueOf(e *eventfd.EventFileDescription) uint64 {
	return reflect.ValueOf(e).Elem().FieldByName(valueField).Uint()
}

// clearTIDOf returns the address of the word in memory that is set to 0 when the thread
// ends.
func clearTIDOf(t *kernel.Task) hostarch.Addr {
	return hostarch.Addr(reflect.ValueOf(t).Elem().FieldByName(clearTIDField).Uint())
}

// startOf returns a pointer to the time when a thread has started. The thread must be
// stopped.
func startOf(t *kernel.Task) *ktime.Time {
	return (*ktime.Time)(unsafe.Pointer(reflect.ValueOf(t).Elem().FieldByName(startField).UnsafeAddr()))
}

// hasSavedMask reports whether a stopped thread waits in a call that has replaced its
// signal mask, such as ppoll(2).
func hasSavedMask(t *kernel.Task) bool {
	return reflect.ValueOf(t).Elem().FieldByName(savedMaskField).Bool()
}

// platformOf returns the task's platform context.
func platformOf(t *kernel.Task) platform.Context {
	field := reflect.ValueOf(t).Elem().FieldByName(platformField)
	return *(*platform.Context)(unsafe.Pointer(field.UnsafeAddr()))
}

// setPeak sets the highest resident size, in bytes, of the task's process. The process
// must have no other task.
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

// hasWaste reports whether gVisor must still return freed memory of the file to the host.
// It reads gVisor's field without holding gVisor's lock, so the result may be out of
// date.
func hasWaste(file *pgalloc.MemoryFile) bool {
	return *(*bool)(unsafe.Pointer(reflect.ValueOf(file).Elem().FieldByName(wasteField).UnsafeAddr()))
}
