package filter

import (
	"reflect"
	"testing"

	"gvisor.dev/gvisor/runsc/boot/filter"
	"gvisor.dev/gvisor/runsc/boot/filter/config"
)

// TestRegisterMatchesGVisor compares the registered filter with the filter that gVisor
// compiles itself, instruction by instruction. The test fails if an update of gVisor has
// changed the filter. In this case, run `go generate ./internal/sandbox/kernel/filter`.
func TestRegisterMatchesGVisor(t *testing.T) {
	Register()
	for _, descriptor := range []uint32{3, 7, 1000} {
		o, err := options()
		if err != nil {
			t.Fatal(err)
		}
		o.ControllerFD = descriptor
		registered, ok := filter.GetPrecompiled(o.ConfigKey())
		if !ok {
			t.Fatalf("no filter is registered for %s; run go generate", o.ConfigKey())
		}
		got, err := registered.RenderInstructions(o.Vars())
		if err != nil {
			t.Fatal(err)
		}
		allowed, denied := config.Rules(o)
		want, _, err := newProgram(o, allowed, denied).Build()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("with control socket %d the registered filter (%d instructions) differs from gVisor's (%d instructions); run go generate",
				descriptor, len(got), len(want))
		}
	}
}

func TestProgramIsUpToDate(t *testing.T) {
	want, err := Compile()
	if err != nil {
		t.Fatal(err)
	}
	got := program()
	if got.Name != want.Name || !reflect.DeepEqual(got.VarOffsets, want.VarOffsets) || !reflect.DeepEqual(got.Bytecode32, want.Bytecode32) {
		t.Error("program.go differs from the result of Compile; run go generate")
	}
}
