package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/erofs/go-erofs"
)

// findImage returns the path of the image that a server has built. The image is in the
// data directory of the server.
func findImage(data string) (string, error) {
	images, err := filepath.Glob(filepath.Join(data, "rootfs-*.erofs"))
	if err != nil || len(images) != 1 {
		return "", fmt.Errorf("find the single image of the server: %v, %w", images, err)
	}
	return images[0], nil
}

// findExecutable returns the path of the executable for sandboxes. A server has
// unpacked this executable in its data directory.
func findExecutable(data string) (string, error) {
	executables, err := filepath.Glob(filepath.Join(data, "sandbox-*"))
	if err != nil || len(executables) != 1 {
		return "", fmt.Errorf("find the single executable of sandboxes: %v, %w", executables, err)
	}
	return executables[0], nil
}

// unpack copies the files of the image to a directory. So commands outside a sandbox
// can use the same files as programs in a sandbox.
func unpack(image, dir string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := erofs.Open(f)
	if err != nil {
		return err
	}
	return os.CopyFS(dir, content)
}

// linkImage creates a data directory with a link to an existing image. Then a server
// with this directory does not have to build the image.
func linkImage(image, data string) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	return os.Link(image, filepath.Join(data, filepath.Base(image)))
}
