package disk_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

func TestSpaceMatchesFileSystem(t *testing.T) {
	t.Parallel()
	space, err := disk.SpaceOf(t.TempDir())
	if err != nil || space.FreeBytes <= 0 || space.FreeBytes > space.TotalBytes || space.ReadOnly {
		t.Errorf("%+v, %v", space, err)
	}
	if _, err := disk.SpaceOf(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a missing path has free space")
	}
}

func TestNeedReportsFreeSpace(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "not", "there", "yet")} {
		if err := disk.Need(dir, 1, "a byte"); err != nil {
			t.Error(err)
		}
		err := disk.Need(dir, math.MaxInt64, "all of it")
		short, ok := errors.AsType[*disk.NoRoomError](err)
		if !ok || short.FreeBytes <= 0 || !strings.HasPrefix(err.Error(), "all of it needs 8.0 EiB of disk space in "+dir+", but only ") {
			t.Error(err)
		}
	}
}
