package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// keepPrivate removes the permissions of other users on the data directory. If the
// directory also contains files of other programs, keepPrivate returns an error,
// because other users may need these files.
func keepPrivate(path string, logger *slog.Logger) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	foreign, err := foreignFile(path)
	if err != nil {
		return err
	}
	if foreign != "" {
		return fmt.Errorf("other users can access the data directory %s (mode %v), and it contains %s, which is not a file of this server; "+
			"choose another directory with --data-dir, or run `chmod 700 %s`", path, info.Mode().Perm(), foreign, path)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("other users can access the data directory: %w; choose a subdirectory with --data-dir, and the server makes it private", err)
	}
	logger.Warn("data directory made private (mode 0700)", "path", path, "before", info.Mode().Perm().String())
	return nil
}

// foreignFile returns the name of a file in the directory that no server creates. It
// returns "" if there is no such file.
func foreignFile(path string) (string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", err
	}
	ours := []string{
		"lock", "run", "packages", certificatesName, controlName, disk.ProbeName, "lost+found",
		"root.key", "keys.lock", ".root-key-*", newServerMark, databaseName + "*",
		app.LastBackupName, disk.TemporaryName(app.LastBackupName), app.BasePackagesName, disk.TemporaryName(app.BasePackagesName),
		app.BaseNPMPackagesName, disk.TemporaryName(app.BaseNPMPackagesName), app.RestorePrefix + "*",
		"rootfs*", ".rootfs-build-*", "sandbox-*", "sandbox.lock", app.BackupPrefix + "*", ".sandbox-unpack-*", "node-*", "node.lock", ".node-fetch-*",
	}
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
