package imagestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
)

// Manifest describes the images of a layer. With a manifest, another store can get these
// images.
type Manifest struct {
	Runtime pyth.Runtime
	// Images contains the images of the layer. The first image contains the links to the
	// packages. The other images contain the packages.
	Images []ManifestImage
}

// ManifestImage describes an image of a layer.
type ManifestImage struct {
	// Key is the key of the image. It is "" for the image with the links, because this
	// image belongs to only one layer.
	Key string
	// Path is the mount point, relative to the mount point of the layer.
	Path      string
	SizeBytes int64
	// SHA256 is the hash of the image.
	SHA256 []byte
}

// ErrManifest means that a manifest is not valid. It can also mean that an image does not
// match the size and the hash in the manifest.
var ErrManifest = errors.New("packages: the image differs from its description")

// maxImages is the maximum number of images in a manifest.
const maxImages = 2 * maxMounts

// Manifest returns the manifest of a layer in this store.
func (s *Store) Manifest(layer pyth.LayerID) (*Manifest, error) {
	s.Use(layer)
	list, err := s.readList(layer)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Runtime: list.Runtime, Images: []ManifestImage{{}}}
	for _, i := range list.Images {
		m.Images = append(m.Images, ManifestImage{Key: i.Key, Path: i.Path})
	}
	for i := range m.Images {
		if err := s.describe(layer, &m.Images[i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// describe sets the size and the hash of an image. The store computes the hash only once,
// because images never change.
func (s *Store) describe(layer pyth.LayerID, i *ManifestImage) error {
	f, err := s.OpenImage(layer, i.Key)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	i.SizeBytes = info.Size()
	if known, ok := s.hashes.Load(f.Name()); ok {
		i.SHA256 = known.([]byte)
		return nil
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return err
	}
	i.SHA256 = h.Sum(nil)
	s.hashes.Store(f.Name(), i.SHA256)
	return nil
}

// OpenImage opens an image of the layer. The parameter "key" is the field Key of the
// image in the manifest.
func (s *Store) OpenImage(layer pyth.LayerID, key string) (*os.File, error) {
	if key == "" {
		if !validName(string(layer)) {
			return nil, os.ErrNotExist
		}
		return os.Open(s.linksPath(layer))
	}
	if !validName(key) {
		return nil, os.ErrNotExist
	}
	return os.Open(s.ImagePath(key))
}

// validName reports whether the text has the form of a result of fileName.
func validName(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == sha256.Size && name == strings.ToLower(name)
}

// Shared is a store of images that several machines use.
type Shared interface {
	// Get writes the image with the given SHA-256 hash to the writer. The caller must
	// check the hash of the content.
	Get(ctx context.Context, hash []byte, to io.Writer) error
	// Put adds an image to the store in the background. The image is in the file at the
	// path. The parameter "hash" is the SHA-256 hash of the image.
	Put(hash []byte, path string)
}

// Share sets a store of images that several machines use. Import then gets images from
// this store. Call Share before Import.
func (s *Store) Share(with Shared) { s.shared = with }

// Import adds a layer of another store to this store. It gets each image from the shared
// store if possible, and otherwise with the function "fetch". It verifies the hash of
// each image. Several concurrent calls fetch each image only once.
func (s *Store) Import(ctx context.Context, layer pyth.LayerID, m *Manifest, fetch func(*ManifestImage, io.Writer) error) error {
	if err := checkManifest(layer, m); err != nil {
		return err
	}
	defer s.Hold()()
	s.Use(layer)
	list := imageList{Runtime: m.Runtime}
	for i := range m.Images[1:] {
		image := &m.Images[1+i]
		list.Images = append(list.Images, listedImage{Key: image.Key, Path: image.Path})
		fetched := false
		if _, err := s.Image(ctx, image.Key, image.SizeBytes, func(to *os.File) (err error) {
			fetched, err = s.fetchImage(ctx, image, to, fetch)
			return err
		}); err != nil {
			return fmt.Errorf("packages: import image %.12s: %w", image.Key, err)
		}
		if fetched && s.shared != nil {
			s.shared.Put(image.SHA256, s.ImagePath(image.Key))
		}
	}
	return s.making.Do(ctx, string(layer), func() error {
		if s.Complete(layer) {
			return nil
		}
		links := &m.Images[0]
		if err := s.write(s.linksPath(layer), func(f *os.File) error { return fetchVerified(links, f, fetch) }); err != nil {
			return fmt.Errorf("packages: import layer %.12s: %w", layer, err)
		}
		// Write the list of images last, because a layer is complete only if this list
		// exists.
		return s.write(s.listPath(layer), func(f *os.File) error { return json.MarshalWrite(f, list) })
	})
}

func checkManifest(layer pyth.LayerID, m *Manifest) error {
	if !validName(string(layer)) || m.Runtime.LayerPath() == "" || len(m.Images) == 0 || len(m.Images) > maxImages {
		return ErrManifest
	}
	for n, i := range m.Images {
		inside := i.Path != "" && !path.IsAbs(i.Path) && path.Clean(i.Path) == i.Path && i.Path != ".." && !strings.HasPrefix(i.Path, "../")
		if i.SizeBytes < 0 || len(i.SHA256) != sha256.Size || (n > 0) != (validName(i.Key) && inside) {
			return ErrManifest
		}
	}
	return nil
}

// fetchImage gets an image from the shared store if possible, and otherwise with the
// function "fetch". The result is true if fetchImage has called "fetch".
func (s *Store) fetchImage(ctx context.Context, i *ManifestImage, to *os.File, fetch func(*ManifestImage, io.Writer) error) (fetched bool, err error) {
	if s.shared != nil {
		err := fetchVerified(i, to, func(i *ManifestImage, w io.Writer) error { return s.shared.Get(ctx, i.SHA256, w) })
		if err == nil || ctx.Err() != nil {
			return false, err
		}
		if err := to.Truncate(0); err != nil {
			return false, err
		}
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
	}
	return true, fetchVerified(i, to, fetch)
}

// fetchVerified writes the content of an image to a file. It returns an error if the
// content does not match the size and the hash in the manifest.
func fetchVerified(i *ManifestImage, to *os.File, fetch func(*ManifestImage, io.Writer) error) error {
	h := sha256.New()
	limited := &limitedWriter{io.MultiWriter(to, h), i.SizeBytes}
	if err := fetch(i, limited); err != nil {
		return err
	}
	if limited.left != 0 || string(h.Sum(nil)) != string(i.SHA256) {
		return ErrManifest
	}
	return nil
}

// limitedWriter is a writer that returns an error if more bytes are written than its
// limit.
type limitedWriter struct {
	to   io.Writer
	left int64
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > w.left {
		return 0, ErrManifest
	}
	w.left -= int64(len(b))
	return w.to.Write(b)
}
