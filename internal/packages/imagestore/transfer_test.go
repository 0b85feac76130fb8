package imagestore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The function "exported" returns a store that contains a layer. It also returns the
// manifest of this layer.
func exported(t *testing.T) (*Store, pyth.LayerID, *Manifest) {
	t.Helper()
	s := openStore(t)
	packages := []Package{
		addPackage(t, s, pinned("a", "a"), map[string]string{"site-packages/a/__init__.py": "A = 1"}),
		addPackage(t, s, pinned("b", "b"), map[string]string{"site-packages/b.py": strings.Repeat("b", 10_000)}),
	}
	layer, err := s.Layer(t.Context(), pyth.PythonRuntime, packages)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Manifest(layer)
	if err != nil {
		t.Fatal(err)
	}
	return s, layer, m
}

// fetchFrom returns a function that gets images from the store.
func fetchFrom(s *Store, layer pyth.LayerID) func(*ManifestImage, io.Writer) error {
	return func(i *ManifestImage, to io.Writer) error {
		f, err := s.OpenImage(layer, i.Key)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(to, f)
		return err
	}
}

func TestImportCopiesLayer(t *testing.T) {
	t.Parallel()
	from, layer, m := exported(t)
	to := openStore(t)
	var fetches atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			err := to.Import(t.Context(), layer, m, func(i *ManifestImage, w io.Writer) error {
				fetches.Add(1)
				return fetchFrom(from, layer)(i, w)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if !to.Complete(layer) || fetches.Load() != 3 {
		t.Fatalf("complete: %v, %d fetches", to.Complete(layer), fetches.Load())
	}
	want, err := from.Mounts(pyth.Layers{layer})
	if err != nil {
		t.Fatal(err)
	}
	got, err := to.Mounts(pyth.Layers{layer})
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for i := range got {
		a, errA := os.ReadFile(want[i].Image)
		b, errB := os.ReadFile(got[i].Image)
		if got[i].Path != want[i].Path || errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
			t.Errorf("%v differs from %v", got[i], want[i])
		}
	}
}

func TestImportRefusesChangedImages(t *testing.T) {
	t.Parallel()
	from, layer, _ := exported(t)
	for name, change := range map[string]func(b []byte) []byte{
		"one bit":    func(b []byte) []byte { b[100] ^= 1; return b },
		"too short":  func(b []byte) []byte { return b[:len(b)-1] },
		"too long":   func(b []byte) []byte { return append(b, 0) },
		"no content": func([]byte) []byte { return nil },
	} {
		m, err := from.Manifest(layer)
		if err != nil {
			t.Fatal(err)
		}
		to := openStore(t)
		err = to.Import(t.Context(), layer, m, func(i *ManifestImage, w io.Writer) error {
			var b bytes.Buffer
			if err := fetchFrom(from, layer)(i, &b); err != nil {
				return err
			}
			_, err := w.Write(change(b.Bytes()))
			return err
		})
		if !errors.Is(err, ErrManifest) || to.Complete(layer) {
			t.Errorf("%s: %v", name, err)
		}
		for _, dir := range []string{to.tmp, to.images, to.sets} {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%s: %v in %s, %v", name, left, dir, err)
			}
		}
	}
}

func TestImportRefusesInvalidManifests(t *testing.T) {
	t.Parallel()
	from, layer, _ := exported(t)
	for name, change := range map[string]func(m *Manifest){
		"no images":           func(m *Manifest) { m.Images = nil },
		"unknown runtime":     func(m *Manifest) { m.Runtime = "cobol" },
		"key is a path":       func(m *Manifest) { m.Images[1].Key = "../../etc/passwd" },
		"no key":              func(m *Manifest) { m.Images[1].Key = "" },
		"absolute path":       func(m *Manifest) { m.Images[1].Path = "/etc" },
		"path leads outside":  func(m *Manifest) { m.Images[1].Path = "../x" },
		"negative size":       func(m *Manifest) { m.Images[0].SizeBytes = -1 },
		"hash of wrong size":  func(m *Manifest) { m.Images[0].SHA256 = []byte("x") },
		"links are a package": func(m *Manifest) { m.Images[0] = m.Images[1] },
	} {
		m, err := from.Manifest(layer)
		if err != nil {
			t.Fatal(err)
		}
		change(m)
		if err := openStore(t).Import(t.Context(), layer, m, fetchFrom(from, layer)); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := from.Manifest(layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := openStore(t).Import(t.Context(), "../x", m, fetchFrom(from, layer)); !errors.Is(err, ErrManifest) {
		t.Errorf("layer that is a path: %v", err)
	}
	if _, err := from.OpenImage("../x", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := from.Manifest("absent"); err == nil {
		t.Error("manifest of an unknown layer")
	}
}

// sharedImages is a fake Shared that keeps images in memory.
type sharedImages struct {
	mu     sync.Mutex
	images map[string][]byte
	gets   int
}

func (s *sharedImages) Get(_ context.Context, hash []byte, to io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	b, ok := s.images[string(hash)]
	if !ok {
		return fs.ErrNotExist
	}
	_, err := to.Write(b)
	return err
}

func (s *sharedImages) Put(hash []byte, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images[string(hash)] = b
}

func TestImportUsesSharedImages(t *testing.T) {
	t.Parallel()
	from, layer, m := exported(t)
	shared := &sharedImages{images: map[string][]byte{}}
	imported := func() (fetches int) {
		t.Helper()
		to := openStore(t)
		to.Share(shared)
		err := to.Import(t.Context(), layer, m, func(i *ManifestImage, w io.Writer) error {
			fetches++
			return fetchFrom(from, layer)(i, w)
		})
		if err != nil || !to.Complete(layer) {
			t.Fatal(err)
		}
		return fetches
	}
	if n := imported(); n != 3 || len(shared.images) != 2 {
		t.Errorf("the first store fetched %d images and shared %d", n, len(shared.images))
	}
	if n := imported(); n != 1 { // Stores do not share the image with the links.
		t.Errorf("the second store fetched %d images", n)
	}
	// The shared store has an image whose content does not match its hash. The import
	// must fetch this image again and replace the image in the shared store.
	hash := string(m.Images[1].SHA256)
	shared.images[hash] = []byte("damaged")
	if n := imported(); n != 2 || string(shared.images[hash]) == "damaged" {
		t.Errorf("with a damaged image, the store fetched %d images", n)
	}
}
