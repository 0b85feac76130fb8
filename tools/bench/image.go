package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/erofs/go-erofs"
)

// findImage returns the path of the image that a server has built in its data
// directory.
func findImage(data string) (string, error) {
	images, err := filepath.Glob(filepath.Join(data, "rootfs-*.erofs"))
	if err != nil || len(images) != 1 {
		return "", fmt.Errorf("find the single image of the server: %v, %w", images, err)
	}
	return images[0], nil
}

// findExecutable returns the path of the executable of sandboxes that a server has
// unpacked in its data directory.
func findExecutable(data string) (string, error) {
	executables, err := filepath.Glob(filepath.Join(data, "sandbox-*"))
	if err != nil || len(executables) != 1 {
		return "", fmt.Errorf("find the single executable of sandboxes: %v, %w", executables, err)
	}
	return executables[0], nil
}

// unpack copies the files of the image into a directory, so that commands outside a
// sandbox use the same files as programs in a sandbox.
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

// linkImage creates a data directory with a link to the image, so that a server does
// not have to build the image.
func linkImage(image, data string) error {
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	return os.Link(image, filepath.Join(data, filepath.Base(image)))
}
