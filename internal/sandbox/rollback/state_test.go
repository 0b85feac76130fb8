package rollback

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/mm"
)

// stateOfProcess returns the types of gVisor that contain the state of a process.
func stateOfProcess() []reflect.Type {
	memory := reflect.TypeFor[mm.MemoryManager]()
	return []reflect.Type{
		reflect.TypeFor[kernel.Task](), reflect.TypeFor[kernel.ThreadGroup](), reflect.TypeFor[kernel.TaskImage](),
		reflect.TypeFor[kernel.FSContext](), reflect.TypeFor[kernel.SignalHandlers](), reflect.TypeFor[kernel.PIDNamespace](),
		memory, fieldType(memory, vmasField, rootField, valuesField), fieldType(memory, "pmas", rootField, valuesField),
		reflect.TypeFor[arch.Context64](), reflect.TypeFor[arch.State](),
	}
}

// TestStateIsReviewed compares the fields of gVisor's types with testdata/state.txt. For
// each field, the file explains why a later run cannot see changes by an earlier run. The
// test fails if a new version of gVisor adds, renames, removes or changes a field.
func TestStateIsReviewed(t *testing.T) {
	const path = "testdata/state.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reviewed := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(strings.TrimSpace(line), " | ")
		if len(parts) != 3 {
			t.Fatalf("%s: %q has no field, type and reason", path, line)
		}
		reviewed[parts[0]] = parts[1]
	}
	for _, of := range stateOfProcess() {
		if of.NumField() == 0 {
			t.Error("gVisor stores mappings in another way than before")
		}
		for i := range of.NumField() {
			field := of.Field(i)
			name, now := of.String()+"."+field.Name, field.Type.String()
			switch before, found := reviewed[name]; {
			case !found:
				t.Errorf("gVisor has the new field %s of type %s: make sure that a run cannot change it for the next run, and add the field to %s", name, now, path)
			case before != now:
				t.Errorf("the field %s had the type %s and now has the type %s: review the field, and change %s", name, before, now, path)
			}
			delete(reviewed, name)
		}
	}
	for name := range reviewed {
		t.Errorf("gVisor has no field %s any more: review the code that needs the field, and remove it from %s", name, path)
	}
}
