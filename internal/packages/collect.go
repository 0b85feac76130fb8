package packages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// grace is how long a layer stays that no list has any more: a job that has been
// given it may wait for a sandbox. One that has a sandbox does not need the name.
const grace = 10 * time.Minute

// collect removes layers that no list has, and then, oldest first, what is in
// excess of the cache: images that no layer has, and archives.
func (s *Service) collect(ctx context.Context) error {
	if !s.collecting.TryLock() {
		return nil // What is made now is followed by another collection.
	}
	defer s.collecting.Unlock()
	used, err := s.config.Store.UsedLayers(ctx)
	if err != nil {
		return err
	}
	wanted := map[pyth.LayerID]bool{}
	for _, layer := range used {
		wanted[layer] = true
	}
	s.mu.Lock()
	for layer, at := range s.recent {
		if s.config.Clock().Sub(at) < grace {
			wanted[layer] = true
		} else {
			delete(s.recent, layer)
		}
	}
	s.mu.Unlock()
	images, err := s.removeLayers(wanted)
	if err != nil {
		return err
	}
	return s.removeExcess(images)
}

// removeLayers removes the layers that are not wanted, and returns the keys of
// the images that the others have.
func (s *Service) removeLayers(wanted map[pyth.LayerID]bool) (map[string]bool, error) {
	entries, err := os.ReadDir(s.disk.sets)
	if err != nil {
		return nil, err
	}
	images := map[string]bool{}
	for _, e := range entries {
		layer := layerOf(e.Name())
		if !wanted[layer] {
			err = errors.Join(err, os.Remove(filepath.Join(s.disk.sets, e.Name())))
			continue
		}
		if !strings.HasSuffix(e.Name(), setSuffix) {
			continue
		}
		set, failed := s.images.read(layer)
		if failed != nil {
			// It is made again when it is needed.
			err = errors.Join(err, os.Remove(filepath.Join(s.disk.sets, e.Name())))
			continue
		}
		for _, i := range set.Images {
			images[i.Key] = true
		}
	}
	return images, err
}

// removeExcess keeps what no layer has within its bound. npm itself is such an
// image, and is as good as new whenever it is used.
func (s *Service) removeExcess(wanted map[string]bool) error {
	type spare struct {
		path string
		size int64
		used time.Time
	}
	var spares []spare
	var total int64
	for _, dir := range []string{s.disk.images, s.disk.downloads} {
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
			spares = append(spares, spare{filepath.Join(dir, e.Name()), info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(spares, func(a, b spare) int { return a.used.Compare(b.used) })
	for _, one := range spares {
		if total <= s.config.CacheBytes {
			break
		}
		if err := os.Remove(one.path); err != nil {
			return err
		}
		total -= one.size
	}
	return nil
}
