package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/rootfs"
)

const lockName = "rootfs.lock"

// The function "names" returns the sorted names of all entries in a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, 0, len(entries))
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestBuildMakesOneImageInParallel(t *testing.T) {
	t.Parallel()
	want := shared(t)
	all, err := buildShared()
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, b := range all {
		if diff := cmp.Diff(want, b.image); diff != "" {
			t.Errorf("images differ:\n%s", diff)
		}
		if slices.ContainsFunc(b.steps, func(step string) bool { return strings.HasPrefix(step, "Writing") }) {
			made++
		}
	}
	if made != 1 {
		t.Errorf("the image was built %d times", made)
	}
	if diff := cmp.Diff([]string{filepath.Base(want.Path), lockName}, names(t, sharedDir)); diff != "" {
		t.Errorf("in the directory (-want +got):\n%s", diff)
	}
}

func TestBuildFindsAnExistingImage(t *testing.T) {
	t.Parallel()
	want := shared(t)
	started := time.Now()
	got, err := rootfs.Build(t.Context(), sharedDir, rootfs.Options{Progress: func(step string, _, _ int) {
		t.Errorf("an unexpected step ran: %s", step)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("finding the image took %v", time.Since(started))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBuildReplacesADamagedImage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(shared(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(shared(t).Path)
	dir := filepath.Join(t.TempDir(), "a directory * with [1] odd name")
	// Build must remove the files of a killed build, and keep all other files.
	if err := os.MkdirAll(filepath.Join(dir, ".rootfs-build-123", "python"), 0o755); err != nil {
		t.Fatal(err)
	}
	stale := name[:strings.LastIndex(name, "-")] + "-00000000.erofs" // This checksum is wrong.
	const other = "rootfs-00000000000000000000000000000000-00000000.erofs"
	for name, content := range map[string][]byte{other: nil, "notes": nil, stale: content, name: content[:len(content)/2]} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	image, err := rootfs.Build(t.Context(), dir, rootfs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(image.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, content) {
		t.Error("the image has different bytes")
	}
	if diff := cmp.Diff([]string{"notes", other, name, lockName}, names(t, dir)); diff != "" {
		t.Errorf("in the directory (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "damaged") {
		t.Errorf("the log has no message: %s", log.String())
	}
}

func TestBuildRemovesFilesWhenCanceled(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"Unpacking", "Compiling", "Writing"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dir := t.TempDir()
			reached := false
			_, err := rootfs.Build(ctx, dir, rootfs.Options{Progress: func(name string, _, _ int) {
				if strings.HasPrefix(name, step) {
					reached = true
					cancel()
				}
			}})
			if !reached || !errors.Is(err, context.Canceled) {
				t.Errorf("the step was reached: %v; error %v", reached, err)
			}
			if diff := cmp.Diff([]string{lockName}, names(t, dir)); diff != "" {
				t.Errorf("in the directory (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuildCanBeCanceledWhileItWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock := flock.New(filepath.Join(dir, lockName))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var steps []string
	_, err := rootfs.Build(ctx, dir, rootfs.Options{Progress: func(name string, _, _ int) {
		steps = append(steps, name)
		cancel()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if len(steps) != 1 || !strings.HasPrefix(steps[0], "Waiting") {
		t.Errorf("steps %v", steps)
	}
}

func TestBuildFailsWithoutADirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if image, err := rootfs.Build(t.Context(), file, rootfs.Options{}); err == nil {
		t.Errorf("made %s", image.Path)
	}
}
