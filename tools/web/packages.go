package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxPackageBytes is the maximum size of a package in bytes. It applies to the
// compressed and to the unpacked package.
const maxPackageBytes = 64 << 20

// lockedPackage is a package with the exact version in the lockfile.
type lockedPackage struct {
	name, version string
	// sum is the SHA-512 hash of the package's tarball.
	sum []byte
}

type lockfile struct {
	packages []lockedPackage
	// hash is a hash of the content of the lockfile.
	hash string
}

// readLockfile reads package-lock.json. This file contains the SHA-512 hash of each
// package.
func readLockfile(source string) (*lockfile, error) {
	data, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read package-lock.json: %w", err)
	}
	hash := sha256.Sum256(data)
	out := &lockfile{hash: hex.EncodeToString(hash[:8])}
	for location, p := range file.Packages {
		name, ok := strings.CutPrefix(location, "node_modules/")
		if location == "" {
			continue
		}
		if !ok || strings.Contains(name, "node_modules") {
			return nil, fmt.Errorf("package-lock.json has the package %s in two versions; run npm dedupe", location)
		}
		encoded, ok := strings.CutPrefix(p.Integrity, "sha512-")
		sum, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(sum) != sha512.Size {
			return nil, fmt.Errorf("package-lock.json has no SHA-512 for %s", name)
		}
		out.packages = append(out.packages, lockedPackage{name, p.Version, sum})
	}
	slices.SortFunc(out.packages, func(a, b lockedPackage) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// install returns a folder with the unpacked packages. If the folder does not exist
// yet, install unpacks the tarballs in the folder o.packages.
func install(o options, l *lockfile) (string, error) {
	dir, err := filepath.Abs(filepath.Join(o.cache, l.hash))
	if err != nil {
		return "", err
	}
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return "", err
	}
	// Unpack into a temporary folder and rename it when it is complete. So the final
	// folder never contains only a part of the packages.
	temporary, err := os.MkdirTemp(o.cache, "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	for _, p := range l.packages {
		if err := p.install(o.packages, filepath.Join(temporary, "node_modules", filepath.FromSlash(p.name))); err != nil {
			return "", fmt.Errorf("unpack the npm package %s %s: %w", p.name, p.version, err)
		}
	}
	if err := os.Rename(temporary, dir); err != nil {
		return "", err
	}
	return modules, nil
}

// file returns the name of the package's tarball in the folder of packages.
func (p lockedPackage) file() string {
	return strings.ReplaceAll(strings.TrimPrefix(p.name, "@"), "/", "-") + "-" + p.version + ".tgz"
}

// check returns an error if the tarball is not the one in package-lock.json.
func (p lockedPackage) check(tarball []byte) error {
	if sum := sha512.Sum512(tarball); !bytes.Equal(sum[:], p.sum) {
		return errors.New("the package does not have the hash in package-lock.json")
	}
	return nil
}

func (p lockedPackage) install(packages, dir string) error {
	tarball, err := os.ReadFile(filepath.Join(packages, p.file()))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; run make page-packages after a change of package-lock.json", err)
	}
	if err != nil {
		return err
	}
	if err := p.check(tarball); err != nil {
		return err
	}
	return unpack(tarball, dir)
}

// unpack writes the files of the tarball to dir. It removes the first element of each
// path.
func unpack(tarball []byte, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	content, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return err
	}
	archive := tar.NewReader(io.LimitReader(content, maxPackageBytes))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, ok := strings.Cut(path.Clean(header.Name), "/")
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
}
