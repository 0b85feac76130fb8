// Package oci reads container images from files. It supports files of `docker save` and
// `podman save`, and OCI image layouts in a tar file. It also supports tar files with a
// root file system, for example files of `docker export`.
//
// The package unpacks the blobs of an image to a temporary directory. The file name of a
// blob is its digest. The package checks the digest of each layer.
package oci

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is a container image or a plain root file system. The caller must call
// Close.
type Image struct {
	layers []layer
	dir    string
}

// layer is a tar archive. The layers of an image are unpacked in order, each over the
// files of the earlier layers.
type layer struct {
	open func() (io.ReadCloser, error)
	// The field "digest" is the SHA-256 hash that the content must have, in hexadecimal.
	// It is "" if the file contains no digest.
	digest string
}

// Open opens the file. It unpacks blobs to a temporary directory below dir. Close
// removes the temporary directory.
func Open(file, dir string) (*Image, error) {
	docker, ociLayout, err := kind(file)
	if err != nil {
		return nil, fmt.Errorf("oci: %s: %w", file, err)
	}
	i := new(Image)
	switch {
	case docker:
		err = i.openDocker(file)
	case ociLayout:
		err = i.openLayout(file, dir)
	default:
		i.layers = []layer{{open: func() (io.ReadCloser, error) { return openTar(file) }}}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("oci: %s: %w", file, err), i.Close())
	}
	return i, nil
}

// Close removes the files that were unpacked from the image.
func (i *Image) Close() error {
	if i.dir == "" {
		return nil
	}
	return os.RemoveAll(i.dir)
}

// Layers calls the function "use" with the tar archive of each layer, in order. Before
// each layer, it calls the function "progress" with the number of layers already read and
// the number of all layers.
func (i *Image) Layers(use func(io.Reader) error, progress func(done, total int)) error {
	for n, l := range i.layers {
		progress(n, len(i.layers))
		if err := l.read(use); err != nil {
			return fmt.Errorf("oci: layer %d of %d: %w", n+1, len(i.layers), err)
		}
	}
	progress(len(i.layers), len(i.layers))
	return nil
}

func (l layer) read(use func(io.Reader) error) error {
	r, err := l.open()
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if err := use(io.TeeReader(r, sum)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); l.digest != "" && got != l.digest {
		return fmt.Errorf("its SHA-256 is %s, not %s: the file is damaged", got, l.digest)
	}
	return nil
}

// kind returns the format of the file. It searches for the manifest of `docker save`, and
// for the file oci-layout (OCI image specification, "Image Layout"). A file may contain
// both of these files. If it contains neither of them, it is a plain root file system.
func kind(file string) (docker, ociLayout bool, err error) {
	err = names(file, func(name string, _ io.Reader) error {
		docker = docker || name == "manifest.json"
		ociLayout = ociLayout || name == "oci-layout"
		return nil
	})
	return docker, ociLayout, err
}

// The function "names" calls the function "visit" for each regular file in a tar file.
func names(file string, visit func(name string, content io.Reader) error) error {
	r, err := openTar(file)
	if err != nil {
		return err
	}
	defer r.Close()
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is not a tar file: %w", err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := visit(path.Clean(h.Name), archive); err != nil {
				return err
			}
		}
	}
}

// openTar opens a tar file. The file may be compressed with gzip.
func openTar(file string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, errors.Join(fmt.Errorf("it is not a tar file: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if head[0] != 0x1f || head[1] != 0x8b { // RFC 1952, section 2.3.1
		return f, nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{unpacked, f}, nil
}

func (i *Image) openDocker(file string) error {
	opener := func() (io.ReadCloser, error) { return openTar(file) }
	all, err := tarball.LoadManifest(opener)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("it contains %d images; save only one", len(all))
	}
	image, err := tarball.Image(opener, nil)
	if err != nil {
		return err
	}
	return i.use(image)
}

func (i *Image) openLayout(file, dir string) (err error) {
	if i.dir, err = os.MkdirTemp(dir, ".oci-"); err != nil {
		return err
	}
	// Unpack only files that belong to an image layout.
	blob := regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)
	err = names(file, func(name string, content io.Reader) error {
		if !blob.MatchString(name) {
			return nil
		}
		at := filepath.Join(i.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return err
	}
	index, err := layout.ImageIndexFromPath(i.dir)
	if err != nil {
		return err
	}
	image, err := choose(index)
	if err != nil {
		return err
	}
	return i.use(image)
}

// choose returns the image for Linux on x86-64 from an index. An index may contain other
// indexes.
func choose(index v1.ImageIndex) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var found []v1.Image
	for _, d := range manifest.Manifests {
		if p := d.Platform; p != nil && (p.Architecture != "amd64" || p.OS != "linux") {
			continue
		}
		var image v1.Image
		switch {
		case d.MediaType.IsImage():
			image, err = index.Image(d.Digest)
		case d.MediaType.IsIndex():
			var inner v1.ImageIndex
			if inner, err = index.ImageIndex(d.Digest); err == nil {
				image, err = choose(inner)
			}
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, image)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("it contains %d images for Linux on x86-64; save only one", len(found))
	}
	return found[0], nil
}

// The method "use" sets the layers of i to the layers of the parameter "image".
func (i *Image) use(image v1.Image) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	if config.Architecture != "" && config.Architecture != "amd64" {
		return fmt.Errorf("it is for %s, not for x86-64", config.Architecture)
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	// These digests come from the image configuration, and the content must match them.
	// Layer.DiffID would compute digests from the content instead.
	ids := config.RootFS.DiffIDs
	if len(ids) != len(layers) {
		return fmt.Errorf("it has %d layers, but its configuration names %d", len(layers), len(ids))
	}
	for n, l := range layers {
		i.layers = append(i.layers, layer{open: l.Uncompressed, digest: ids[n].Hex})
	}
	return nil
}
