package debian_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/rootfs/debian"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

func quiet(string, int, int) {}

// The function "unsigned" creates a Debian archive without a signature. The archive
// contains one package. The function returns the archive's path.
func unsigned(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	lists := filepath.Join(dir, "dists/s/main/binary-amd64")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(lists, "Packages"):      "Package: evil\nVersion: 1\nArchitecture: amd64\nFilename: evil.deb\nSize: 1\nSHA256: 00\n",
		filepath.Join(dir, "dists/s/Release"): "Suite: s\nCodename: s\nComponents: main\nArchitectures: amd64\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "file:" + dir
}

func TestBuildRefusesInvalidOptions(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		options debian.Options
		want    string
	}{
		"a package that nobody has signed": {t.Context(), debian.Options{Packages: []string{"evil"}, Suite: "s", Mirror: unsigned(t)}, "not signed"},
		"an option in place of a package":  {t.Context(), debian.Options{Packages: []string{"--allow-unauthenticated"}}, "is not the name"},
		"a file in place of a package":     {t.Context(), debian.Options{Packages: []string{"./evil.deb"}}, "is not the name"},
		"a mirror without a suite":         {t.Context(), debian.Options{Mirror: "file:/"}, "needs a suite"},
		"options in place of a mirror":     {t.Context(), debian.Options{Suite: "s", Mirror: "[trusted=yes] file:/"}, "is not a mirror"},
		"lines in place of a suite":        {t.Context(), debian.Options{Suite: "s\ndeb file:/ x y"}, "is not a mirror"},
		"after the deadline":               {canceled, debian.Options{Packages: []string{"evil"}, Suite: "s", Mirror: unsigned(t)}, context.Canceled.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Dir, c.options.Progress = t.TempDir(), quiet
			packages, err := debian.Build(c.ctx, c.options, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", packages, err)
			}
			if left, err := os.ReadDir(c.options.Dir); err != nil || len(left) != 0 {
				t.Errorf("remaining files: %v, %v", left, err)
			}
		})
	}
}

func TestApplyPostinstLinksLibrariesAndCommands(t *testing.T) {
	t.Parallel()
	files := tree.New()
	const libraries = "usr/lib/x86_64-linux-gnu/"
	var err error
	for _, name := range []string{
		libraries + "blas/libblas.so.3", libraries + "openblas-pthread/libblas.so.3", libraries + "lapack/liblapack.so.3",
		"usr/bin/dash", "usr/bin/mawk", "usr/share/doc/x/copyright", "usr/share/doc/x/changelog.gz", "usr/share/man/man1/x.1.gz",
	} {
		err = errors.Join(err, files.File(name, 0o755, []byte(name)))
	}
	if err := errors.Join(err, debian.ApplyPostinst(files)); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		libraries + "libblas.so.3":   "openblas-pthread/libblas.so.3",
		libraries + "liblapack.so.3": "lapack/liblapack.so.3",
		"usr/bin/sh":                 "dash",
		"usr/bin/awk":                "mawk",
		"bin":                        "usr/bin",
	} {
		if e, err := files.Lstat(at); err != nil || e.Target != want {
			t.Errorf("%s points to %q, %v", at, e.Target, err)
		}
	}
	for name, want := range map[string]bool{
		"usr/share/doc/x/copyright": true, "etc/passwd": true, libraries + "libopenblas.so.0": false,
		"usr/share/doc/x/changelog.gz": false, "usr/share/man/man1/x.1.gz": false,
	} {
		if _, err := files.Lstat(name); (err == nil) != want {
			t.Errorf("%s exists: %v", name, err == nil)
		}
	}
}
