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

// The paths of these directories for runsc are relative to the directory of the
// benchmark.
const (
	stateDir   = "runsc"
	bundlesDir = "bundles"
)

// runsc creates commands that run a program with runsc, the command line of gVisor. The
// field "binary" is the path of the executable for sandboxes, which a server has
// unpacked.
type runsc struct {
	binary string
	dir    string
	ids    *atomic.Int64
}

// releaseState unmounts the network namespaces that gVisor has left in its state
// directory. Otherwise the directory could not be removed. There can be several
// namespaces, because gVisor processes that start at the same time may each mount a
// namespace.
func releaseState(dir string) {
	for mounted := true; mounted; {
		mounted = unix.Unmount(filepath.Join(dir, stateDir, "null-netns"), unix.MNT_DETACH) == nil
	}
}

// directory returns a command that runs a bundle whose root file system is a directory,
// as in most bundles. gVisor accesses the files in its default way.
func (r runsc) directory(ctx context.Context, rootfs string) (command, error) {
	bundle, err := r.bundle(ctx, "directory", func(spec map[string]any) {
		spec["root"] = map[string]any{"path": rootfs, "readonly": true}
	})
	return r.command(bundle), err
}

// image returns a command that runs a bundle with the server's image as the root file
// system. gVisor accesses the files with the server's settings.
func (r runsc) image(ctx context.Context, image string) (command, error) {
	bundle, err := r.bundle(ctx, "image", func(spec map[string]any) {
		spec["annotations"] = map[string]any{
			"dev.gvisor.spec.rootfs.source": image,
			"dev.gvisor.spec.rootfs.type":   "erofs",
		}
	})
	return r.command(bundle, "--directfs=false"), err
}

// bundle writes an OCI bundle and returns its directory. gVisor generates the spec of
// the bundle. Then the function "change" changes the spec.
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

// command returns a command that runs a bundle. It uses the settings of the server that
// affect the time: the platform, no network, and no overlay for written files.
func (r runsc) command(bundle string, flags ...string) command {
	return command{path: r.binary, args: func() []string {
		args := []string{
			"runsc", "--root=" + filepath.Join(r.dir, stateDir),
			"--platform=systrap", "--network=none", "--overlay2=none", "--ignore-cgroups",
			"--rootless=" + strconv.FormatBool(os.Geteuid() != 0),
			// The Go module of gVisor does not contain the sidecar binaries. So use the
			// embedded fallback.
			"--sidecar-usage-policy=LEGACY_DEPRECATED_SLOW_EMBEDDED_FALLBACK",
		}
		args = append(args, flags...)
		return append(args, "run", "--bundle="+bundle, "bench-"+strconv.FormatInt(r.ids.Add(1), 10))
	}}
}
