package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tarball returns an npm package with one file.
func tarball(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	if err := archive.WriteHeader(&tar.Header{Name: "package/index.js", Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{archive, compressed} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// writeLockfile writes a lockfile with one package, and returns its folder.
func writeLockfile(t *testing.T, location, integrity string) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`{"packages": {"": {}, %q: {"version": "1.0.0", "integrity": %q}}}`, location, integrity)
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func integrity(data []byte) string {
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestReadLockfileRefusesPackagesWithoutSHA512(t *testing.T) {
	good := integrity([]byte("x"))
	for name, c := range map[string]struct{ location, integrity string }{
		"no hash":      {"node_modules/x", ""},
		"SHA-1":        {"node_modules/x", "sha1-" + strings.TrimPrefix(good, "sha512-")},
		"short hash":   {"node_modules/x", "sha512-AAAA"},
		"two versions": {"node_modules/y/node_modules/x", good},
	} {
		if l, err := readLockfile(writeLockfile(t, c.location, c.integrity)); err == nil {
			t.Errorf("%s: %v", name, l)
		}
	}
}

// TestRunNeedsNoNPM builds the page with the packages in the repository.
func TestRunNeedsNoNPM(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	o := options{source: "../../web", client: "../../clients/javascript", packages: "packages", cache: t.TempDir(), out: t.TempDir()}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html.gz", "frame.html.gz", "licenses.txt.gz"} {
		if _, err := os.Stat(filepath.Join(o.out, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestPackagesAreThoseOfTheLockfile(t *testing.T) {
	l, err := readLockfile("../../web")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.packages) < 10 {
		t.Errorf("only %d packages", len(l.packages))
	}
	var want, got []string
	for _, p := range l.packages {
		want = append(want, p.file())
	}
	files, err := os.ReadDir("packages")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got = append(got, f.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder packages has %q, package-lock.json has %q; run make page-packages", got, want)
	}
}

func TestInstallRefusesOtherContent(t *testing.T) {
	l, err := readLockfile(writeLockfile(t, "node_modules/x", integrity(tarball(t, "export {};"))))
	if err != nil {
		t.Fatal(err)
	}
	o := options{cache: t.TempDir(), packages: t.TempDir()}
	if dir, err := install(o, l); err == nil || !strings.Contains(err.Error(), "make page-packages") {
		t.Errorf("without a tarball: %s, %v", dir, err)
	}
	if err := os.WriteFile(filepath.Join(o.packages, "x-1.0.0.tgz"), tarball(t, "steal();"), 0o600); err != nil {
		t.Fatal(err)
	}
	if dir, err := install(o, l); err == nil || !strings.Contains(err.Error(), "does not have the hash") {
		t.Errorf("%s, %v", dir, err)
	}
	if left, err := os.ReadDir(o.cache); err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}
