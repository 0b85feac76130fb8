package node

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// entry is one file of a test package.
type entry struct {
	name, content, link string
}

// pack returns a compressed npm package that contains the given entries.
func pack(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.content)), Typeflag: tar.TypeReg, Linkname: e.link}
		if e.link != "" {
			h.Typeflag, h.Size = tar.TypeSymlink, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func integrityOf(b []byte) string {
	sum := sha512.Sum512(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// registry is a server that returns the same package for each path. It records
// the paths.
type registry struct {
	*httptest.Server
	asked []string
	mu    sync.Mutex
}

func serve(t *testing.T, status int, content []byte) *registry {
	r := new(registry)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, q.URL.Path)
		r.mu.Unlock()
		w.WriteHeader(status)
		_, _ = w.Write(content)
	}))
	t.Cleanup(r.Close)
	return r
}

func options(dir, registry, integrity string) Options {
	return Options{
		Dir: dir, Registry: registry,
		release: release{name: "node-test", version: "99.1.2", integrity: integrity},
	}
}

var good = []entry{
	{name: "package/package.json", content: "{}"},
	{name: "package/bin/node", content: "\x7fELF and more"},
	{name: "package/README.md", content: "later"},
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFetchDownloadsOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	content := pack(t, good...)
	r := serve(t, http.StatusOK, content)
	o := options(dir, r.URL+"/npm/", integrityOf(content))
	var steps []string
	o.Progress = func(step string, done, total int) {
		if done == total {
			steps = append(steps, step)
		}
	}
	if b, err := Find(o); b != nil || err != nil {
		t.Fatalf("before the download: found %v, %v", b, err)
	}
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	paths := make([]string, 3)
	for i := range paths {
		group.Go(func() {
			own := o
			if i > 0 {
				own.Progress = nil
			}
			b, err := Fetch(t.Context(), own)
			if err != nil {
				failed.Store(&err)
				return
			}
			paths[i] = b.Path
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	b, err := Find(o)
	if err != nil || b == nil || b.Version != "99.1.2" || !slices.Equal(paths, []string{b.Path, b.Path, b.Path}) {
		t.Fatalf("found %v, %v after %v", b, err, paths)
	}
	got, err := os.ReadFile(b.Path)
	info, _ := os.Stat(b.Path)
	if err != nil || string(got) != good[1].content || info.Mode() != 0o755 {
		t.Errorf("the file has content %q, mode %v, %v", got, info.Mode(), err)
	}
	if want := []string{"/npm/node-test/-/node-test-99.1.2.tgz"}; !slices.Equal(r.asked, want) {
		t.Errorf("the registry got requests for %v", r.asked)
	}
	if len(steps) > 1 || len(steps) == 1 && steps[0] != "Downloading Node 99.1.2" {
		t.Errorf("the reported steps are %v", steps)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("remaining files: %v", got)
	}
}

func TestFetchReplacesDamagedAndOtherBinaries(t *testing.T) {
	dir := t.TempDir()
	content := pack(t, good...)
	r := serve(t, http.StatusOK, content)
	o := options(dir, r.URL, integrityOf(content))
	b, err := Fetch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for name, what := range map[string]string{b.Path: "damaged", filepath.Join(dir, "node-98.0.0-12345678"): "old", filepath.Join(dir, temporaryPrefix+"1"): "left"} {
		if err := os.WriteFile(name, []byte(what), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Find(o); found != nil || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	again, err := Fetch(t.Context(), o)
	if err != nil || again.Path != b.Path || len(r.asked) != 2 {
		t.Fatalf("got %v, %v after %d fetches", again, err, len(r.asked))
	}
	if got := names(t, dir); !slices.Equal(got, []string{filepath.Base(b.Path)}) {
		t.Errorf("remaining files: %v", got)
	}
}

func TestFetchRefusesOtherPackages(t *testing.T) {
	content := pack(t, good...)
	for name, c := range map[string]struct {
		content   []byte
		integrity string
		status    int
		want      string
	}{
		"another content":            {content, integrityOf([]byte("other")), 200, errIntegrity.Error()},
		"a truncated package":        {content[:len(content)-9], integrityOf(content), 200, errIntegrity.Error()},
		"something appended":         {append(bytes.Clone(content), 0), integrityOf(content), 200, errIntegrity.Error()},
		"no package":                 {[]byte("<html>"), integrityOf(content), 200, errIntegrity.Error()},
		"nothing":                    {nil, integrityOf(content), 200, errIntegrity.Error()},
		"an error":                   {content, integrityOf(content), 404, "404 Not Found"},
		"a package without node":     {pack(t, good[0]), "", 200, "has no package/bin/node"},
		"a link instead of node":     {pack(t, entry{name: "package/bin/node", link: "/etc/passwd"}), "", 200, "not a regular file"},
		"path outside the directory": {pack(t, entry{name: "package/bin/../../../node", content: "x"}), "", 200, "has no package/bin/node"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.integrity == "" {
				c.integrity = integrityOf(c.content)
			}
			r := serve(t, c.status, c.content)
			b, err := Fetch(t.Context(), options(dir, r.URL, c.integrity))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", b, err)
			}
			if left := names(t, dir); len(left) > 0 {
				t.Errorf("remaining files: %v", left)
			}
			if up := names(t, filepath.Dir(dir)); len(up) > 1 {
				t.Errorf("files outside the directory: %v", up)
			}
		})
	}
}

func TestFetchLimitsSizes(t *testing.T) {
	for _, l := range []struct {
		size, left int64
		want       error
	}{{10, 10, nil}, {11, 10, errTooLarge}} {
		n, err := io.Copy(io.Discard, &limitedReader{r: bytes.NewReader(make([]byte, l.size)), left: l.left})
		if !errors.Is(err, l.want) || n > l.left {
			t.Errorf("%d bytes were sent and %d read: %v", l.size, n, err)
		}
	}
	// The package must also limit the unpacked size of a download.
	bomb := pack(t, entry{name: "package/filler", content: strings.Repeat("\x00", 1<<20)}, good[1])
	z, err := gzip.NewReader(bytes.NewReader(bomb))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, &limitedReader{r: z, left: 1 << 19}); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestFetchReportsUnreachableRegistries(t *testing.T) {
	r := serve(t, http.StatusOK, nil)
	r.Close()
	for name, url := range map[string]string{"down": r.URL, "no URL": "localhost", "another scheme": "file:///etc"} {
		if b, err := Fetch(t.Context(), options(t.TempDir(), url, "")); err == nil {
			t.Errorf("%s: got %v", name, b)
		}
	}
}

func TestFetchRemovesFilesWhenInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	stuck := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 1000))
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-q.Context().Done()
	}))
	defer stuck.Close()
	if _, err := Fetch(ctx, options(dir, stuck.URL, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("remaining files: %v", left)
	}
}

// The function "npm" installs a shell script as the command "npm" for one test. PATH
// contains no other command. If the parameter "script" is "", PATH contains no command.
func npm(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestRegistryReadsTheConfigurationOfNpm(t *testing.T) {
	content := pack(t, good...)
	r := serve(t, http.StatusOK, content)
	npm(t, `[ "$*" = "config get registry" ] && echo '`+r.URL+`/'`)
	if _, err := Fetch(t.Context(), options(t.TempDir(), "", integrityOf(content))); err != nil {
		t.Error(err)
	}
	for name, script := range map[string]string{"no npm": "", "npm that fails": "exit 1", "npm without one": "echo undefined"} {
		npm(t, script)
		if _, err := Fetch(t.Context(), options(t.TempDir(), "", "")); !errors.Is(err, ErrNoRegistry) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCustomRefusesOldAndOtherPrograms(t *testing.T) {
	script := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho v24.0.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, answer, want string }{
		"a recent one":    {self, "v24.3.0", ""},
		"an old one":      {self, "v22.9.0", "24 or later"},
		"another program": {self, "Python 3.14", "not Node"},
		"a script":        {script, "", "not an ELF program"},
		"a missing one":   {script + "x", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := custom(t.Context(), c.path, []string{answerVariable + "=" + c.answer})
			switch {
			case c.want == "" && (err != nil || b.Version != "24.3.0" || b.Path != self):
				t.Errorf("got %v, %v", b, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, %v; want %s", b, err, c.want)
			}
		})
	}
}

// answerVariable is the name of an environment variable. If the variable is set, the test
// binary prints its value and runs no tests.
const answerVariable = "NODEJS_TEST_ANSWER"

func TestMain(m *testing.M) {
	if answer := os.Getenv(answerVariable); answer != "" {
		_, _ = io.WriteString(os.Stdout, answer+"\n")
		return
	}
	os.Exit(m.Run())
}
