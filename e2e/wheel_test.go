package e2e_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// wheel is one in the making.
type wheel struct {
	name, version string
	requires      []string
	// tag is "py3-none-any" if it is "".
	tag   string
	files map[string]string
	// raw are entries that no tool would write.
	raw []*zip.FileHeader
}

func (w wheel) filename() string {
	tag := w.tag
	if tag == "" {
		tag = "py3-none-any"
	}
	return fmt.Sprintf("%s-%s-%s.whl", strings.ReplaceAll(w.name, "-", "_"), w.version, tag)
}

// pack makes the file.
func (w wheel) pack(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	info := fmt.Sprintf("%s-%s.dist-info/", strings.ReplaceAll(w.name, "-", "_"), w.version)
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.name, w.version)
	for _, r := range w.requires {
		metadata += "Requires-Dist: " + r + "\n"
		if _, extra, ok := strings.Cut(r, "extra == "); ok {
			metadata += "Provides-Extra: " + strings.Trim(extra, "'") + "\n"
		}
	}
	files := maps.Clone(w.files)
	if files == nil {
		files = map[string]string{}
	}
	files[info+"METADATA"] = metadata + "\n"
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
	files[info+"RECORD"] = ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := must(z.Create(name))(t)
		must(f.Write([]byte(files[name])))(t)
	}
	for _, h := range w.raw {
		f := must(z.CreateHeader(h))(t)
		must(f.Write([]byte("/etc/passwd")))(t)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// index is an index of Python packages on loopback, which is not of the public
// Internet, with links to be followed and hashes to be held against it.
type index struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	// hashes are what it says of files where that is not true.
	hashes map[string]string
	// credentials are what it asks for; "" for none.
	credentials string
	// broken has it fail.
	broken bool
	// asked are the paths, and who asked with credentials.
	asked []string
	// hold is waited for before a wheel is sent; nil for no waiting.
	hold chan struct{}
	// holding is told when somebody waits.
	holding chan struct{}
}

func newIndex(t testing.TB) *index {
	x := &index{files: map[string][]byte{}, hashes: map[string]string{}, holding: make(chan struct{}, 100)}
	x.Server = httptest.NewServer(http.HandlerFunc(x.serve))
	t.Cleanup(x.Close)
	return x
}

// flag is that by which a server uses it.
func (x *index) flag() string { return "--python-index=" + x.URL + "/simple/" }

func (x *index) add(t testing.TB, wheels ...wheel) *index {
	t.Helper()
	for _, w := range wheels {
		x.put(w.filename(), w.pack(t))
	}
	return x
}

func (x *index) put(filename string, content []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.files[filename] = content
}

func (x *index) set(change func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change()
}

// addDebian adds the wheels that scripts/prerequisites fetched.
func (x *index) addDebian(t testing.TB) {
	t.Helper()
	found := must(fs.Glob(os.DirFS("../bin/wheels"), "*.whl"))(t)
	if len(found) < 3 {
		t.Fatalf("there are no wheels in bin/wheels: run scripts/prerequisites")
	}
	for _, name := range found {
		x.put(name, must(os.ReadFile(filepath.Join("../bin/wheels", name)))(t))
	}
}

var runs = regexp.MustCompile(`[-_.]+`)

func (x *index) serve(w http.ResponseWriter, q *http.Request) {
	x.mu.Lock()
	user, pass, given := q.BasicAuth()
	x.asked = append(x.asked, q.Method+" "+q.URL.Path)
	broken, hold := x.broken, x.hold
	denied := x.credentials != "" && (!given || user+":"+pass != x.credentials)
	x.mu.Unlock()
	if broken {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if denied {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	if project, ok := strings.CutPrefix(q.URL.Path, "/simple/"); ok {
		x.page(w, q, strings.TrimSuffix(project, "/"))
		return
	}
	name, ok := strings.CutPrefix(q.URL.Path, "/files/")
	x.mu.Lock()
	content, known := x.files[name]
	x.mu.Unlock()
	if !ok || !known {
		http.NotFound(w, q)
		return
	}
	if hold != nil {
		x.holding <- struct{}{}
		select {
		case <-hold:
		case <-q.Context().Done():
			return
		}
	}
	_, _ = w.Write(content)
}

func (x *index) page(w http.ResponseWriter, q *http.Request, project string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var page strings.Builder
	for _, name := range slices.Sorted(maps.Keys(x.files)) {
		first, _, _ := strings.Cut(name, "-")
		if strings.ToLower(runs.ReplaceAllString(first, "-")) != project {
			continue
		}
		hash := fmt.Sprintf("%x", sha256.Sum256(x.files[name]))
		if h, ok := x.hashes[name]; ok {
			hash = h
		}
		fmt.Fprintf(&page, "<a href=\"../../files/%s#sha256=%s\">%s</a>\n", html.EscapeString(name), hash, html.EscapeString(name))
	}
	if page.Len() == 0 {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<!DOCTYPE html><html><body>%s</body></html>", page.String())
}

// extension compiles an extension module whose answer() is 42. It declares what
// it needs of CPython's stable ABI itself: there are no headers here.
func extension(t testing.TB, name string) string {
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
