package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// stateDir and bundlesDir are below the directory of the benchmark.
const (
	stateDir   = "runsc"
	bundlesDir = "bundles"
)

// runsc runs the program with gVisor's command line. The binary acts as runsc if
// it is started under that name.
type runsc struct {
	binary string
	dir    string
	ids    *atomic.Int64
}

// releaseState unmounts the mounts that prevent removing the state. gVisor leaves
// a network namespace mounted there for each of its file servers that started at
// the same time.
func releaseState(dir string) {
	for mounted := true; mounted; {
		mounted = unix.Unmount(filepath.Join(dir, stateDir, "null-netns"), unix.MNT_DETACH) == nil
	}
}

// directory uses a directory as the root file system, as most bundles do, with
// gVisor's default access to it.
func (r runsc) directory(ctx context.Context, rootfs string) (command, error) {
	bundle, err := r.bundle(ctx, "directory", func(spec map[string]any) {
		spec["root"] = map[string]any{"path": rootfs, "readonly": true}
	})
	return r.command(bundle), err
}

// image uses the server's own image and settings.
func (r runsc) image(ctx context.Context, image string) (command, error) {
	bundle, err := r.bundle(ctx, "image", func(spec map[string]any) {
		spec["annotations"] = map[string]any{
			"dev.gvisor.spec.rootfs.source": image,
			"dev.gvisor.spec.rootfs.type":   "erofs",
		}
	})
	return r.command(bundle, "--directfs=false"), err
}

// bundle lets gVisor write a bundle's spec and changes it.
func (r runsc) bundle(ctx context.Context, name string, change func(spec map[string]any)) (string, error) {
	dir := filepath.Join(r.dir, bundlesDir, name)
	if err := os.MkdirAll(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, r.binary)
	cmd.Args = []string{"runsc", "spec", "--bundle=" + dir, "--cwd=/", "--", "/usr/local/bin/python3", "-c", program}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("write a bundle: %w: %s", err, bytes.TrimSpace(out))
	}
	file := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var spec map[string]any
	if err := json.Unmarshal(b, &spec); err != nil {
		return "", err
	}
	change(spec)
	b, err = json.Marshal(spec)
	return dir, errors.Join(err, os.WriteFile(file, b, 0o600))
}

// command runs a bundle with the server settings that affect time: the platform,
// no network, and no overlay for written files.
func (r runsc) command(bundle string, flags ...string) command {
	return command{path: r.binary, args: func() []string {
		args := []string{
			"runsc", "--root=" + filepath.Join(r.dir, stateDir),
			"--platform=systrap", "--network=none", "--overlay2=none", "--ignore-cgroups",
			"--rootless=" + strconv.FormatBool(os.Geteuid() != 0),
			// gVisor's Go module does not contain the sidecar binaries.
			"--sidecar-usage-policy=LEGACY_DEPRECATED_SLOW_EMBEDDED_FALLBACK",
		}
		args = append(args, flags...)
		return append(args, "run", "--bundle="+bundle, "bench-"+strconv.FormatInt(r.ids.Add(1), 10))
	}}
}
