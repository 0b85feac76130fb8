package fleet_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"sync"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// addLayer adds a layer to the store. The layer contains one package of 2 MB.
func addLayer(t *testing.T, s *imagestore.Store) pyth.LayerID {
	t.Helper()
	content := make([]byte, 2<<20)
	_, _ = rand.Read(content) // Never fails.
	c := imagestore.NewContents(4 << 20)
	if err := c.Add("site-packages/module.py", tree.File(0o644, content)); err != nil {
		t.Fatal(err)
	}
	key := imagestore.ImageKey("module")
	size, err := s.Image(t.Context(), key, 4<<20, func(to *os.File) error { return imagestore.WriteImage(t.Context(), to, c.Tree) })
	if err != nil {
		t.Fatal(err)
	}
	pinned := &pyth.PinnedPackage{Package: pyth.Package{Name: "module", SizeBytes: size}, Place: "module"}
	layer, err := s.Layer(t.Context(), pyth.PythonRuntime, []imagestore.Package{{PinnedPackage: pinned, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func TestWorkersGetPackagesDespiteLoss(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		layer := addLayer(t, c.images)
		layers := pyth.Layers{}.With(pyth.PythonRuntime, layer)
		n := 0
		c.hub.Drop(func(string, []byte) bool { n++; return n%29 == 0 })
		var runs sync.WaitGroup
		for _, id := range []string{"a", "b"} {
			runs.Go(func() {
				job := newJob(id, "user", "")
				job.Layers = layers
				c.run(job, nil)
			})
		}
		runs.Wait()
		c.hub.Drop(nil)
		images := c.machines[0].images
		if !images.Complete(layer) {
			t.Fatal("the worker does not have the packages")
		}
		want, err := c.images.Mounts(layers)
		if err != nil {
			t.Fatal(err)
		}
		got, err := images.Mounts(layers)
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		for i := range got {
			a, errA := os.ReadFile(want[i].Image)
			b, errB := os.ReadFile(got[i].Image)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%v differs from %v", got[i], want[i])
			}
		}
		// The worker already has the packages, so the server does not send them again.
		sent := len(c.hub.Sent())
		job := newJob("c", "user", "")
		job.Layers = layers
		c.run(job, nil)
		if more := len(c.hub.Sent()) - sent; more > 20 {
			t.Errorf("%d messages for a run with known packages", more)
		}
	})
}

func TestUnknownPackagesAreUnavailable(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		job := newJob("a", "user", "")
		job.Layers = pyth.Layers{}.With(pyth.PythonRuntime, "absent")
		if _, err := c.fleet.Start(t.Context(), job, nil); pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("%v", err)
		}
		c.run(newJob("b", "user", ""), nil)
	})
}

func TestJobsTooLargeTogetherAreRefused(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		job := newJob("a", "user", "")
		job.Files = []pyth.File{{Path: "f", Content: make([]byte, 40<<20)}}
		if _, err := c.fleet.Start(t.Context(), job, nil); err == nil {
			t.Error("a job of 40 MB was accepted")
		}
		c.run(newJob("b", "user", ""), nil)
	})
}
