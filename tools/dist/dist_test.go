package main

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func TestVersion(t *testing.T) {
	at := time.Date(2026, 11, 29, 18, 47, 14, 0, time.UTC)
	for describe, want := range map[string]string{
		"v1.2.3":                   "1.2.3",
		"1.2.3":                    "1.2.3",
		"v1.2.3-4-gab86c5c8":       "1.2.3+4.gab86c5c8",
		"v1.2.3-4-gab86c5c8-dirty": "1.2.3+4.gab86c5c8.dirty",
		"v1.2.3-dirty":             "1.2.3+dirty",
		"ab86c5c8":                 "0.0.0+20261129184714.gab86c5c8",
		"ab86c5c8-dirty":           "0.0.0+20261129184714.gab86c5c8.dirty",
		"other-3-gab86c5c8":        "0.0.0+20261129184714.gab86c5c8",
		"unknown":                  "0.0.0+20261129184714.gab86c5c8",
	} {
		if got := version(describe, "ab86c5c8aaaaaaaa", at); got != want {
			t.Errorf("%s: got %s, want %s", describe, got, want)
		}
	}
}

// testRelease returns a release of this repository. Its binary is not a real binary,
// but a short text.
func testRelease(t *testing.T) *release {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"LICENSE", "README.md", "docs/operations.md", "docs/server.md", "deploy"} {
		target, err := filepath.Abs(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/pyth-on"), []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &release{Version: "1.2.3+4.gab86c5c8", Commit: "ab86c5c8", Time: time.Unix(1_790_000_000, 0).UTC(), Repository: dir}
}

// testBase creates a small root file system as a tar file and returns its path.
func testBase(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range [][2]string{
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"},
		{"etc/group", "root:x:0:\n"},
		{"usr/share/ca-certificates/mozilla/B.crt", "B\n\n"},
		{"usr/share/ca-certificates/mozilla/A.crt", "A"},
		{"usr/share/ca-certificates/README", "no certificate"},
	} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f[0], Size: int64(len(f[1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "base.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesAreReproducible(t *testing.T) {
	r, base := testRelease(t), testBase(t)
	for name, write := range map[string]func(string) error{
		"archive": r.writeArchive, "deb": r.writeDeb, "chart": r.writeChart,
		"image": func(to string) error { return r.writeImage(base, to) },
	} {
		dir := t.TempDir()
		var contents [2][]byte
		for i := range contents {
			path := filepath.Join(dir, string(rune('a'+i)))
			if err := write(path); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var err error
			if contents[i], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
		if len(contents[0]) == 0 || !bytes.Equal(contents[0], contents[1]) {
			t.Errorf("%s: two files differ", name)
		}
	}
}

func TestDebHasFilesAndScripts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pyth-on.deb")
	if err := testRelease(t).writeDeb(path); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		option string
		want   []string
	}{
		{"--info", []string{"Version: 1.2.3+4.gab86c5c8\n", "Architecture: amd64\n", "adduser", "conffiles", "postinst", "prerm", "postrm"}},
		{"--contents", []string{"-rwxr-xr-x root/root", "./usr/bin/pyth-on\n", "./usr/lib/systemd/system/pyth-on.service\n", "./etc/pyth-on/pyth-on.toml\n", "./usr/share/doc/pyth-on/copyright\n"}},
	} {
		out, err := exec.CommandContext(t.Context(), "dpkg-deb", c.option, path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in %s", c.option, want, out)
			}
		}
	}
}

func TestImageHasServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := testRelease(t).writeImage(testBase(t), path); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "tar", "-xf", path, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3-4.gab86c5c8" {
		t.Fatalf("got %+v", manifest.Manifests)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "10001:10001" || config.Architecture != "amd64" || len(config.RootFS.DiffIDs) != 2 || len(config.History) != 2 {
		t.Errorf("got %+v", config)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	server, err := layers[1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	found := make(map[string]string)
	for r := tar.NewReader(server); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		var b bytes.Buffer
		_, _ = b.ReadFrom(r)
		found[h.Name] = b.String()
	}
	for name, want := range map[string]string{
		"usr/bin/pyth-on":                   "program",
		"etc/ssl/certs/ca-certificates.crt": "A\nB\n",
		"etc/passwd":                        "root:x:0:0:root:/root:/bin/sh\npyth-on:x:10001:10001::/var/lib/pyth-on:/usr/sbin/nologin\n",
		"etc/group":                         "root:x:0:\npyth-on:x:10001:\n",
		"var/lib/pyth-on/":                  "",
		"tmp/":                              "",
	} {
		if got, ok := found[name]; !ok || got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestWithVersion(t *testing.T) {
	got, err := withVersion([]byte("name: x\nversion: 0.0.0\nappVersion: 0.0.0\n"), "1.2.3+4.g5")
	if want := "name: x\nversion: 1.2.3+4.g5\nappVersion: 1.2.3-4.g5\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := withVersion([]byte("name: x\nversion: 1.0.0\n"), "1.2.3"); err == nil {
		t.Error("a chart without the version 0.0.0 was accepted")
	}
}

func TestChecksumsLeaveOutHiddenFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", ".base.tar"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "SHA256SUMS")
	if err := writeChecksums(dir, path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	const x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	if want := x + "  a\n" + x + "  b\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}
