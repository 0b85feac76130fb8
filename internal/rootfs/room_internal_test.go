package rootfs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHasImagesInAnyDirectory(t *testing.T) {
	for _, name := range []string{"data", "[data", "[a]", "a*"} {
		dir := filepath.Join(t.TempDir(), name)
		if HasImages(dir) {
			t.Errorf("%s does not exist and has images", name)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if HasImages(dir) {
			t.Errorf("%s has images without a file", name)
		}
		if err := os.WriteFile(filepath.Join(dir, imagePrefix+"x"+suffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !HasImages(dir) {
			t.Errorf("%s has no images", name)
		}
	}
}
