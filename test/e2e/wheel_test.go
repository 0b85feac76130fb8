package e2e_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/indextest"
)

type wheel = indextest.Wheel

type index struct{ *indextest.Index }

func newIndex(t testing.TB) *index {
	t.Helper()
	x := must(indextest.Start())(t)
	t.Cleanup(x.Close)
	return &index{x}
}

func (x *index) add(t testing.TB, wheels ...wheel) *index {
	t.Helper()
	if err := x.Add(wheels...); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *index) putFile(filename string, content []byte) {
	x.Set(func() { x.Files[filename] = content })
}

// addDebianWheels adds the wheels that scripts/prerequisites has downloaded to the
// package index.
func (x *index) addDebianWheels(t testing.TB) {
	t.Helper()
	found := must(fs.Glob(os.DirFS("../../bin/wheels"), "*.whl"))(t)
	if len(found) < 3 {
		t.Fatalf("there are no wheels in bin/wheels: run scripts/prerequisites")
	}
	for _, name := range found {
		x.putFile(name, must(os.ReadFile(filepath.Join("../../bin/wheels", name)))(t))
	}
}

// buildExtension compiles a Python extension module and returns its path. The function
// answer() of this module returns 42. The source declares the needed parts of CPython's
// stable ABI itself, because CPython's headers may be missing.
func buildExtension(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	source := `
typedef struct { long refcnt; void *type; void *(*init)(void); long index; void *copy; } Base;
typedef struct { const char *name; void *(*call)(void *, void *); int flags; const char *doc; } Method;
typedef struct { Base base; const char *name, *doc; long size; Method *methods; void *slots, *traverse, *clear, *free; } Module;
extern void *PyLong_FromLong(long);
extern void *PyModule_Create2(Module *, int);
static void *answer(void *self, void *none) { return PyLong_FromLong(42); }
static Method methods[] = {{"answer", answer, 4, 0}, {0, 0, 0, 0}};
static Module module = {{1, 0, 0, 0, 0}, "NAME", 0, -1, methods, 0, 0, 0, 0};
void *PyInit_NAME(void) { return PyModule_Create2(&module, 3); }
`
	at := filepath.Join(dir, "x.c")
	if err := os.WriteFile(at, []byte(strings.ReplaceAll(source, "NAME", name)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", filepath.Join(dir, "x.so"), at).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(must(os.ReadFile(filepath.Join(dir, "x.so")))(t))
}
