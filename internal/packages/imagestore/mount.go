package imagestore

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
)

// Mount describes an image and the path where the sandbox mounts it.
type Mount struct {
	// Image is the path of an EROFS image on the host. Path is the mount point in
	// the sandbox.
	Image, Path string
}

// AddTemporary adds a layer that contains only the image m. The store keeps this layer in
// memory, not on disk. The caller must call RemoveTemporary after the end of the job that
// uses the layer.
func (s *Store) AddTemporary(m Mount) pyth.LayerID {
	layer := pyth.LayerID(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temporary[layer] = []Mount{m}
	return layer
}

// RemoveTemporary removes a layer that AddTemporary made.
func (s *Store) RemoveTemporary(layer pyth.LayerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.temporary, layer)
}

// Mounts returns the images of the given layers. A sandbox must mount the images in the
// order of the result.
func (s *Store) Mounts(layers pyth.Layers) ([]Mount, error) {
	var all []Mount
	for _, layer := range layers {
		if layer == "" {
			continue
		}
		mounts, err := s.mounts(layer)
		if err != nil {
			return nil, fmt.Errorf("packages: read layer %.12s: %w", layer, err)
		}
		all = append(all, mounts...)
	}
	return all, nil
}

// Complete reports whether all images of the layer exist.
func (s *Store) Complete(layer pyth.LayerID) bool {
	mounts, err := s.mounts(layer)
	return err == nil && !slices.ContainsFunc(mounts, func(m Mount) bool { return !exists(m.Image) })
}

// mounts returns the images of one layer. A sandbox must mount the images in the order of
// the result.
func (s *Store) mounts(layer pyth.LayerID) ([]Mount, error) {
	s.mu.Lock()
	temporary, ok := s.temporary[layer]
	s.mu.Unlock()
	if ok {
		return temporary, nil
	}
	list, err := s.readList(layer)
	if err != nil {
		return nil, err
	}
	root := list.Runtime.LayerPath()
	mounts := []Mount{{Image: s.linksPath(layer), Path: root}}
	for _, i := range list.Images {
		mounts = append(mounts, Mount{Image: s.ImagePath(i.Key), Path: path.Join(root, i.Path)})
	}
	return mounts, nil
}

// imageList is the content of LAYER.json, the file that lists a layer's images.
type imageList struct {
	Runtime pyth.Runtime  `json:"runtime"`
	Images  []listedImage `json:"images"`
}

type listedImage struct {
	Key string `json:"key"`
	// Path is the mount point, relative to the mount point of the layer.
	Path string `json:"path"`
}

func (s *Store) readList(layer pyth.LayerID) (*imageList, error) {
	if string(layer) != filepath.Base(string(layer)) {
		return nil, fs.ErrNotExist
	}
	b, err := os.ReadFile(s.listPath(layer))
	if err != nil {
		return nil, err
	}
	list := new(imageList)
	return list, json.Unmarshal(b, list)
}
