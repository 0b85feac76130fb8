package rootfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/rootfs"
)

// withOthers builds an image in a directory that also contains files of earlier servers.
func withOthers(t *testing.T) *rootfs.Image {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{
		"rootfs-a-00000000.erofs", "rootfs-b-00000000.erofs", "rootfs-b-11111111.erofs", ".rootfs-build-1/python/bin/python3",
		"rootfs.txt", "other.erofs", "rootfs-b-notes", "pyth-on.db", "run/bundle/rootfs-a-00000000.erofs",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return &rootfs.Image{Path: filepath.Join(dir, "rootfs-b-00000000.erofs")}
}

func TestRemoveOthersRemovesOtherImagesOnly(t *testing.T) {
	t.Parallel()
	image := withOthers(t)
	for _, want := range []int{3, 0} {
		if removed, err := image.RemoveOthers(); removed != want || err != nil {
			t.Errorf("%d files were removed, want %d, %v", removed, want, err)
		}
		left := []string{"other.erofs", "pyth-on.db", "rootfs-b-00000000.erofs", "rootfs-b-notes", lockName, "rootfs.txt", "run"}
		if diff := cmp.Diff(left, names(t, filepath.Dir(image.Path))); diff != "" {
			t.Errorf("in the directory (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"rootfs-a-00000000.erofs"}, names(t, filepath.Join(filepath.Dir(image.Path), "run", "bundle"))); diff != "" {
			t.Errorf("below the directory: %s", diff)
		}
	}
}

func TestRemoveOthersRemovesNothingDuringABuild(t *testing.T) {
	t.Parallel()
	image := withOthers(t)
	lock := flock.New(filepath.Join(filepath.Dir(image.Path), lockName))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	before := names(t, filepath.Dir(image.Path))
	if removed, err := image.RemoveOthers(); removed != 0 || err != nil {
		t.Errorf("%d files were removed, %v", removed, err)
	}
	if diff := cmp.Diff(before, names(t, filepath.Dir(image.Path))); diff != "" {
		t.Error(diff)
	}
}
