package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/rootfs"
)

const lockName = "rootfs.lock"

// names are the entries of a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func sameBytes(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

func TestBuildersAtOnceMakeOneImageWithTheSameBytesAsAnyOther(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on the way [1]")
	var group sync.WaitGroup
	images := make([]*rootfs.Image, 3)
	var mu sync.Mutex
	compiled := 0
	for i := range images {
		group.Go(func() {
			image, err := rootfs.Build(t.Context(), dir, rootfs.Options{Progress: func(step string, done, total int) {
				mu.Lock()
				defer mu.Unlock()
				if strings.HasPrefix(step, "Compiling") && done == total {
					compiled++
				}
			}})
			if err != nil {
				t.Error(err)
				return
			}
			images[i] = image
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	if compiled != 1 {
		t.Errorf("it was made %d times", compiled)
	}
	for _, image := range images {
		if diff := cmp.Diff(images[0], image); diff != "" {
			t.Errorf("images differ:\n%s", diff)
		}
	}
	path := images[0].Path
	if diff := cmp.Diff([]string{filepath.Base(path), lockName}, names(t, dir)); diff != "" {
		t.Errorf("in the directory (-want +got):\n%s", diff)
	}
	if got, want := filepath.Base(path), filepath.Base(shared(t).Path); got != want {
		t.Errorf("it is called %s, another %s", got, want)
	}
	sameBytes(t, path, shared(t).Path)
}

func TestAnImageIsFoundAgainQuickly(t *testing.T) {
	t.Parallel()
	want := shared(t)
	started := time.Now()
	got, err := rootfs.Build(t.Context(), sharedDir, rootfs.Options{Progress: func(step string, _, _ int) {
		t.Errorf("something is done: %s", step)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("found in %v", time.Since(started))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestADamagedImageIsMadeAnew(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(shared(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(shared(t).Path)
	for damage, damaged := range map[string][]byte{
		"cut short": content[:len(content)/2],
		"one bit changed": func() []byte {
			changed := bytes.Clone(content)
			changed[len(changed)/2] ^= 1
			return changed
		}(),
	} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), damaged, 0o444); err != nil {
				t.Fatal(err)
			}
			// What a build that was killed left goes too; what is not ours stays.
			if err := os.MkdirAll(filepath.Join(dir, ".rootfs-build-123", "python"), 0o755); err != nil {
				t.Fatal(err)
			}
			other := "rootfs-00000000000000000000000000000000-00000000.erofs"
			for _, name := range []string{other, "notes"} {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			image, err := rootfs.Build(t.Context(), dir, rootfs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, image.Path, shared(t).Path)
			if diff := cmp.Diff([]string{"notes", other, name, lockName}, names(t, dir)); diff != "" {
				t.Errorf("in the directory (-want +got):\n%s", diff)
			}
			if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "damaged") {
				t.Errorf("the log does not tell: %s", log.String())
			}
		})
	}
}

func TestABuildThatIsCanceledLeavesNothing(t *testing.T) {
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

func TestWaitingForAnotherBuilderCanBeCanceled(t *testing.T) {
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

func TestADirectoryThatCannotBeUsedIsAnError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if image, err := rootfs.Build(t.Context(), file, rootfs.Options{}); err == nil {
		t.Errorf("made %s", image.Path)
	}
}
