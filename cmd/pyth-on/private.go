package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// keepPrivate removes the access of other users to the data directory. It returns
// an error if the directory also holds other files, because other users may need
// those.
func keepPrivate(path string, logger *slog.Logger) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	foreign, err := foreignIn(path)
	if err != nil {
		return err
	}
	if foreign != "" {
		return fmt.Errorf("others can use the data directory %s (mode %v), and it holds %s, which is not this server's; "+
			"choose a directory of its own with --data-dir, or run `chmod 700 %s`", path, info.Mode().Perm(), foreign, path)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("others can use the data directory: %w; choose one inside of it with --data-dir, which will be made private", err)
	}
	logger.Warn("others could use the data directory; its mode is 0700 now", "path", path, "before", info.Mode().Perm().String())
	return nil
}

// foreignIn returns the name of a file in the directory that no server creates, or
// "".
func foreignIn(path string) (string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	ours := []string{"lock", "run", "packages", controlName, disk.ProbeName, "root.key", "keys.lock", newServerMark, databaseName + "*", "rootfs*", ".rootfs-build-*", "node-*", "node.lock", ".node-fetch-*", ".root-key-*", "lost+found"}
	for _, e := range entries {
		if !slices.ContainsFunc(ours, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, e.Name())
			return ok
		}) {
			return e.Name(), nil
		}
	}
	return "", nil
}
