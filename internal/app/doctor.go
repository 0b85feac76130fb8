package app

import (
	"context"
	"errors"
	"log/slog"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/host/rootless"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/sandbox/executable"
)

// ExamineConfig configures Examine.
type ExamineConfig struct {
	// CacheDir is the directory for images. If it is "", Examine uses the user's cache
	// directory.
	CacheDir string
	Node     NodeConfig
	Images   ImageConfig
	Progress Progress
}

// Examine checks whether this host can run sandboxes. It unpacks the executable for
// sandboxes, builds the images and starts sandboxes. The findings say which checks
// succeeded and which checks failed.
func Examine(ctx context.Context, c *ExamineConfig) (findings []doctor.Finding, err error) {
	add := func(f ...doctor.Finding) { findings = append(findings, f...) }
	add(doctor.System(), doctor.Identity(rootless.Inside()))
	cache, err := cacheDir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	slot, err := openSlot(cache + "/run")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slot.Close()) }()
	add(doctor.Disk(cache))
	// Check the disk space before Node is downloaded. A server makes the same check at
	// its first start.
	if err := c.Node.CheckRoom(cache); err != nil {
		add(doctor.NoImage(err))
		return findings, nil
	}
	node, err := c.Node.find(ctx, cache, c.Progress)
	reason, without := errors.AsType[*noNodeError](err)
	if err != nil && !without {
		return nil, err
	}
	program, err := executable.Unpack(ctx, cache)
	if err != nil {
		add(doctor.NoExecutable(err))
		return findings, nil
	}
	image, err := rootfs.Build(ctx, cache, rootfs.Options{Node: pathOf(node), Progress: c.Progress})
	if err != nil {
		add(doctor.NoImage(err))
		return findings, nil
	}
	add(doctor.Python(image.PythonVersion))
	if without {
		add(doctor.NoNode(reason.Err, reason.Fix))
	}
	add(doctor.Tools(image.Missing))
	custom, failed := c.Images.buildUsable(ctx, cache, trialHost{program, slot.Join("state")}, c.Progress)
	h, err := openHost(&hostConfig{executable: program, image: image.Path, images: custom, stateDir: slot.Join("state")})
	if err != nil {
		add(doctor.NoSandbox(err))
		return findings, nil
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	version := 0
	if h.noCgroup == nil {
		version = h.cgroup.Version()
	}
	add(doctor.Cgroup(version, h.noCgroup))
	pool := h.pool(singleProgramPool(slog.New(slog.DiscardHandler)), warmMinimums{runtimes: map[pyth.Runtime]int{pyth.PythonRuntime: 1}})
	defer func() { err = errors.Join(err, pool.Close()) }()
	add(doctor.Sandboxes(ctx, pool, version != 0)...)
	if node != nil {
		add(doctor.Node(ctx, pool, node.Version))
	}
	for _, r := range custom {
		add(doctor.Runtime(ctx, pool, r.name, r.language(), r.String()))
	}
	add(failed...)
	return findings, ctx.Err()
}
