package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// makeRelease makes the files of a release from the tested binary and returns their
// directory. It makes them only once for all tests. The program bin/tools/dist does the
// work of `make dist`.
var makeRelease = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(imageDir), "dist")
	return dir, runDist(dir)
})

func runDist(dir string) error {
	out, err := exec.Command("../../bin/tools/dist", "-repository=../..", "-out="+dir, "-describe=v1.2.3").CombinedOutput()
	if err != nil {
		return &distError{err, string(out)}
	}
	return nil
}

type distError struct {
	error

	output string
}

func (e *distError) Error() string { return e.error.Error() + ": " + e.output }

func (e *distError) Unwrap() error { return e.error }

// TestReleaseIsReproducible makes the files of a release twice. Both results must be
// equal.
func TestReleaseIsReproducible(t *testing.T) {
	onlyDeep(t, "it makes a whole release twice")
	t.Parallel()
	first := must(makeRelease())(t)
	second := filepath.Join(t.TempDir(), "dist")
	if err := runDist(second); err != nil {
		t.Fatal(err)
	}
	sums := readFile(t, filepath.Join(first, "SHA256SUMS"))
	if got := readFile(t, filepath.Join(second, "SHA256SUMS")); got != sums {
		t.Errorf("got %s, want %s", got, sums)
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = second
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var names []string
	for _, e := range must(os.ReadDir(second))(t) {
		names = append(names, e.Name())
	}
	want := []string{
		"SHA256SUMS", "pyth-on-1.2.3.tgz", "pyth-on_1.2.3.cdx.json", "pyth-on_1.2.3_amd64.deb", "pyth-on_1.2.3_amd64.oci.tar",
		"pyth-on_1.2.3_linux_amd64.tar.gz",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got the files %q, want %q", names, want)
	}
}

// TestInstallFilesNameExistingSettings checks the files in deploy. Each environment
// variable in these files must be a setting of the server.
func TestInstallFilesNameExistingSettings(t *testing.T) {
	t.Parallel()
	help, err := runBinary(t, "serve", "--help")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`PYTH_ON_[A-Z_]+`).FindAllString(help, -1)
	known = append(known, "PYTH_ON_ROOT_KEY", "PYTH_ON_DATABASE", "PYTH_ON_VERSION")
	found := 0
	err = filepath.WalkDir("../../deploy", func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, name := range regexp.MustCompile(`PYTH_ON_[A-Z_]*[A-Z]`).FindAllString(readFile(t, path), -1) {
			found++
			if !slices.Contains(known, name) {
				t.Errorf("%s names the variable %s, which the server does not know", path, name)
			}
		}
		return nil
	})
	if err != nil || found < 10 {
		t.Errorf("found %d variables, %v", found, err)
	}
}

// TestMaintainerScriptsAreValid checks the syntax of the maintainer scripts of the
// Debian package. The deep test TestDebianPackage runs these scripts.
func TestMaintainerScriptsAreValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		path := "../../deploy/debian/" + name
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if !strings.HasPrefix(readFile(t, path), "#!/bin/sh\n") {
			t.Errorf("%s does not begin with #!/bin/sh", name)
		}
	}
}
