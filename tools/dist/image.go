package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// imageUID is the user ID and the group ID of the server in the container image.
const imageUID = 10001

// basePackages lists the Debian packages in the container image. Sandboxes contain the
// libraries and tools of these packages.
func basePackages() string {
	return "bash,bsdextrautils,bzip2,ca-certificates,curl,diffutils,git,hostname,jq,less,libatomic1,libc-bin,libc6,libcrypt1,libexpat1,libgcc-s1,libstdc++6,mawk,ncurses-base,ncurses-bin,procps,util-linux,xz-utils,zlib1g"
}

// excludedPackages lists packages that git depends on, but that cloning and committing do
// not need: Perl and the manual.
const excludedPackages = "perl*,libperl*,liberror-perl,git-man"

// buildBase writes the root file system of the container image to a tar file.
func (r *release) buildBase(to, suite string) error {
	cmd := exec.Command(r.binary(), "runtime", "build", "--suite="+suite, "--from-debian="+basePackages(), "--exclude="+excludedPackages, "-o", to) //nolint:noctx // The user can interrupt the whole process group.
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the root file system from Debian packages: %w", err)
	}
	return nil
}

// writeImage writes the container image to a tar file, in the format "OCI image
// layout". The image has two layers: one with Debian and one with the server.
func (r *release) writeImage(base, to string) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(to), ".image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server := filepath.Join(dir, "server.tar")
	if err := createTar(server, func(w *archive) error { return r.addServer(w, base) }, r.Time); err != nil {
		return err
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, l := range []struct{ path, text string }{{base, "Debian packages"}, {server, "Pyth-On " + r.Version}} {
		layer, err := tarball.LayerFromFile(l.path, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: r.Time}, CreatedBy: "make dist", Comment: l.text},
		})
		if err != nil {
			return err
		}
	}
	if image, err = mutate.ConfigFile(image, r.imageConfig(image)); err != nil {
		return err
	}
	path, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		return err
	}
	err = path.AppendImage(image,
		layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}),
		layout.WithAnnotations(map[string]string{
			"org.opencontainers.image.ref.name": imageTag(r.Version),
			"io.containerd.image.name":          "docker.io/library/pyth-on:" + imageTag(r.Version),
		}))
	if err != nil {
		return err
	}
	return createTar(to, func(w *archive) error { return addFolder(w, string(path)) }, r.Time)
}

func (r *release) imageConfig(image v1.Image) *v1.ConfigFile {
	file, err := image.ConfigFile()
	if err != nil {
		panic(err) // The image is in memory.
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Created = "amd64", "linux", v1.Time{Time: r.Time}
	file.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", imageUID, imageUID),
		Entrypoint: []string{"/usr/bin/pyth-on"},
		Cmd:        []string{"serve"},
		WorkingDir: "/var/lib/pyth-on",
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"PYTH_ON_ADDR=0.0.0.0:8080", "PYTH_ON_DATA_DIR=/var/lib/pyth-on/data",
		},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Volumes:      map[string]struct{}{"/var/lib/pyth-on": {}},
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Pyth-On",
			"org.opencontainers.image.version":  r.Version,
			"org.opencontainers.image.revision": r.Commit,
			"org.opencontainers.image.source":   "https://github.com/pyth-on/pyth-on",
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return file
}

// addServer adds the server, its user and its directory to the image. It also creates
// the list of certificates, because no maintainer script of a Debian package has run.
func (r *release) addServer(w *archive, base string) error {
	found, err := readBase(base)
	if err != nil {
		return err
	}
	if err := w.addBytes("etc/passwd", append(found.passwd, fmt.Appendf(nil, "pyth-on:x:%d:%d::/var/lib/pyth-on:/usr/sbin/nologin\n", imageUID, imageUID)...)); err != nil {
		return err
	}
	if err := w.addBytes("etc/group", append(found.group, fmt.Appendf(nil, "pyth-on:x:%d:\n", imageUID)...)); err != nil {
		return err
	}
	if err := w.addBytes("etc/ssl/certs/ca-certificates.crt", found.certificates); err != nil {
		return err
	}
	if err := w.addFile("usr/bin/pyth-on", r.binary()); err != nil {
		return err
	}
	for _, d := range []tar.Header{
		{Name: "tmp/", Mode: 0o1777},
		{Name: "var/lib/pyth-on/", Mode: 0o700, Uid: imageUID, Gid: imageUID},
	} {
		d.Typeflag, d.ModTime, d.Format = tar.TypeDir, r.Time, tar.FormatPAX
		if err := w.WriteHeader(&d); err != nil {
			return err
		}
	}
	return nil
}

func addFolder(w *archive, root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return w.addFile(filepath.ToSlash(name), path)
	})
}
