package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/pyth-on/pyth-on/internal/rootfs/oci"
)

// archive returns a tar archive with one file.
func archive(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image returns an image for the given architecture. The image has one layer for each
// name. The layer contains one file with this name.
func image(t *testing.T, architecture string, names ...string) v1.Image {
	t.Helper()
	i, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: architecture, OS: "linux"})
	for _, name := range names {
		if err != nil {
			t.Fatal(err)
		}
		var l v1.Layer
		l, err = tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive(t, name))), nil })
		if err == nil {
			i, err = mutate.AppendLayers(i, l)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// saved creates a file that contains the images in the format of `docker save`. It
// returns the path of this file.
func saved(t *testing.T, images ...v1.Image) string {
	t.Helper()
	all := make(map[name.Tag]v1.Image)
	for n, i := range images {
		tag, err := name.NewTag("image:v" + string(rune('0'+n)))
		if err != nil {
			t.Fatal(err)
		}
		all[tag] = i
	}
	file := filepath.Join(t.TempDir(), "saved.tar")
	if err := tarball.MultiWriteToFile(file, all); err != nil {
		t.Fatal(err)
	}
	return file
}

// laidOut creates a tar file that contains an OCI layout of the images. It returns the
// path of this file. Before laidOut packs the directory of the layout, it calls the
// function "change", which may modify this directory.
func laidOut(t *testing.T, change func(dir string), images ...v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	for _, i := range images {
		if err != nil {
			t.Fatal(err)
		}
		config, failed := i.ConfigFile()
		if failed != nil {
			t.Fatal(failed)
		}
		err = path.AppendImage(i, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: config.Architecture}))
	}
	if err != nil {
		t.Fatal(err)
	}
	change(dir)
	file := filepath.Join(t.TempDir(), "layout.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func unchanged(string) {}

func write(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.tar")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// read opens an image file and returns the names of the files in its layers.
func read(t *testing.T, file string) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	i, err := oci.Open(file, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	err = i.Layers(func(r io.Reader) error {
		archive := tar.NewReader(r)
		h, err := archive.Next()
		if err == nil {
			names = append(names, h.Name)
			_, err = io.Copy(io.Discard, r)
		}
		return err
	}, func(int, int) {})
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if left, err := fs.ReadDir(os.DirFS(dir), "."); err != nil || len(left) != 0 {
		t.Errorf("remaining files: %v, %v", left, err)
	}
	return names, err
}

func TestLayersAreInOrder(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	if _, err := gz.Write(archive(t, "a")); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"docker save":                          {saved(t, image(t, "amd64", "a", "b", "c")), []string{"a", "b", "c"}},
		"OCI layout":                           {laidOut(t, unchanged, image(t, "amd64", "a", "b")), []string{"a", "b"}},
		"index with an image for this machine": {laidOut(t, unchanged, image(t, "arm64", "x"), image(t, "amd64", "a")), []string{"a"}},
		"plain archive":                        {write(t, archive(t, "a")), []string{"a"}},
		"compressed archive":                   {write(t, packed.Bytes()), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t, c.file)
			if err != nil || !cmp.Equal(got, c.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	// The function "damage" changes the content of a layer. It does not change the file
	// name, which is the old hash.
	damage := func(dir string) {
		blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, blob := range blobs {
			content, err := os.ReadFile(blob)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
				var b bytes.Buffer
				gz := gzip.NewWriter(&b)
				_, _ = gz.Write(archive(t, "evil"))
				_ = gz.Close()
				if err := os.WriteFile(blob, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	outside := func(dir string) {
		index := strings.Repeat("../", 10) + "etc/passwd"
		text := `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:` + index + `"}]}`
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ file, want string }{
		"text":                        {write(t, []byte("text, and more of it")), "not a tar file"},
		"nothing":                     {write(t, nil), "not a tar file"},
		"two images":                  {saved(t, image(t, "amd64", "a"), image(t, "amd64", "b")), "2 images"},
		"an image for other machines": {saved(t, image(t, "arm64", "a")), "for arm64"},
		"a layout for other machines": {laidOut(t, unchanged, image(t, "arm64", "a")), "0 images"},
		"changed layer":               {laidOut(t, damage, image(t, "amd64", "a")), "damaged"},
		"digests that are paths":      {laidOut(t, outside, image(t, "amd64", "a")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t, c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
