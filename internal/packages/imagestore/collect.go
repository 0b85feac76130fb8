package imagestore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// gracePeriod is the time for which Collect keeps an unreferenced layer after its last
// use. In this time, jobs may still wait for a sandbox with the layer. A running sandbox
// does not need the grace period, because it keeps the files open.
const gracePeriod = 10 * time.Minute

// Use tells the store that a run uses the layers. Collect then keeps them for the grace
// period.
func (s *Store) Use(layers ...pyth.LayerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, layer := range layers {
		if layer != "" {
			s.used[layer] = s.clock()
		}
	}
}

// Hold prevents Collect from removing files until the caller calls the function
// "release". Call Hold before you make new files, and call "release" after Layer returns.
// After that, the grace period protects the layer.
func (s *Store) Hold() (release func()) {
	s.collecting.RLock()
	return s.collecting.RUnlock
}

// Collect calls the function "referenced" to get the layers that are needed. It
// removes all other layers, unless they were used recently. If archives and unneeded
// images take more than cacheBytes, Collect removes the least recently used of these
// files.
//
// Between a call of Hold and the call of "release", Collect does nothing. A later call of
// Collect then removes the files.
func (s *Store) Collect(cacheBytes int64, referenced func() ([]pyth.LayerID, error)) error {
	if !s.collecting.TryLock() {
		return nil
	}
	defer s.collecting.Unlock()
	layers, err := referenced()
	if err != nil {
		return err
	}
	wanted := s.recentlyUsed()
	for _, layer := range layers {
		wanted[layer] = true
	}
	images, err := s.removeLayers(wanted)
	if err != nil {
		return err
	}
	return s.removeExcess(images, cacheBytes)
}

// recentlyUsed returns the layers whose grace period has not ended. It removes all other
// layers from s.used.
func (s *Store) recentlyUsed() map[pyth.LayerID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := map[pyth.LayerID]bool{}
	for layer, at := range s.used {
		if s.clock().Sub(at) < gracePeriod {
			recent[layer] = true
		} else {
			delete(s.used, layer)
		}
	}
	return recent
}

// removeLayers removes all layers except the layers in "wanted". It returns the keys of
// the images that the remaining layers need.
func (s *Store) removeLayers(wanted map[pyth.LayerID]bool) (map[string]bool, error) {
	entries, err := os.ReadDir(s.sets)
	if err != nil {
		return nil, err
	}
	images := map[string]bool{}
	for _, e := range entries {
		layer := layerOf(e.Name())
		if !wanted[layer] {
			err = errors.Join(err, os.Remove(filepath.Join(s.sets, e.Name())))
			continue
		}
		if !strings.HasSuffix(e.Name(), listSuffix) {
			continue
		}
		list, failed := s.readList(layer)
		if failed != nil {
			// The file with the list of the layer's images is damaged, so remove the
			// file. The next run with this layer makes the layer again.
			err = errors.Join(err, os.Remove(filepath.Join(s.sets, e.Name())))
			continue
		}
		for _, i := range list.Images {
			images[i.Key] = true
		}
	}
	return images, err
}

// removeExcess removes archives and unneeded images. It starts with the least recently
// used file and stops when the remaining files take at most cacheBytes. The image of npm
// is always unneeded, because no layer contains it. But each use of npm makes this image
// the most recently used file, so removeExcess normally removes this image last.
func (s *Store) removeExcess(wanted map[string]bool, cacheBytes int64) error {
	type spareFile struct {
		path string
		size int64
		used time.Time
	}
	var spares []spareFile
	var total int64
	for _, dir := range []string{s.images, s.downloads} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if key, ok := strings.CutSuffix(e.Name(), imageSuffix); ok && wanted[key] {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			spares = append(spares, spareFile{filepath.Join(dir, e.Name()), info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(spares, func(a, b spareFile) int { return a.used.Compare(b.used) })
	for _, spare := range spares {
		if total <= cacheBytes {
			break
		}
		if err := os.Remove(spare.path); err != nil {
			return err
		}
		total -= spare.size
	}
	return nil
}
