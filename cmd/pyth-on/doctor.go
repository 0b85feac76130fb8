package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/host/rootless"
	"github.com/pyth-on/pyth-on/internal/rootfs"
)

type doctorCommand struct {
	JSON     bool   `name:"json" help:"Show the findings as JSON."`
	CacheDir string `type:"path" help:"Where the sandboxes' root file system is kept (default: in the user's cache directory)."`

	nodeFlags
	runtimeFlags
}

func (c *doctorCommand) Run() error {
	var findings []doctor.Finding
	err := privileged()
	switch {
	case errors.Is(err, rootless.ErrNoNamespace):
		findings = []doctor.Finding{doctor.System(), doctor.NoIdentity(err)}
	case err != nil:
		return err
	default:
		if findings, err = c.examine(); err != nil {
			return err
		}
	}
	if err := c.show(findings); err != nil {
		return err
	}
	if doctor.Failed(findings) {
		return exitCode(1)
	}
	return nil
}

func (c *doctorCommand) examine() (findings []doctor.Finding, err error) {
	ctx, stop := untilSignal()
	defer stop()
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
	// As a first start does, before it fetches Node.
	if err := c.room(cache); err != nil {
		add(doctor.NoImage(err))
		return findings, nil
	}
	progress := newProgress(os.Stderr).step
	node, err := c.node(ctx, cache, progress)
	reason, without := errors.AsType[*noNode](err)
	if err != nil && !without {
		return nil, err
	}
	image, err := rootfs.Build(ctx, cache, rootfs.Options{Node: pathOf(node), Progress: progress})
	if err != nil {
		add(doctor.NoImage(err))
		return findings, nil
	}
	add(doctor.Python(image.PythonVersion))
	if without {
		add(doctor.NoNode(reason.Err, reason.Fix))
	}
	add(doctor.Tools(image.Missing))
	own, failed := c.tried(ctx, cache, slot.join("state"), progress)
	h, err := openHost(&hostConfig{image: image.Path, runtimes: own, stateDir: slot.join("state")})
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
	pool := h.pool(single(1, slog.New(slog.DiscardHandler)))
	defer func() { err = errors.Join(err, pool.Close()) }()
	add(doctor.Sandboxes(ctx, pool, version != 0)...)
	if node != nil {
		add(doctor.Node(ctx, pool, node.Version))
	}
	for _, r := range own {
		add(doctor.Runtime(ctx, pool, r.name, r.language(), r.String()))
	}
	add(failed...)
	return findings, ctx.Err()
}

func (c *doctorCommand) show(findings []doctor.Finding) error {
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(findings)
	}
	return table(os.Stdout, findings, isatty.IsTerminal(os.Stdout.Fd()))
}

// table shows the findings to a person.
func table(w io.Writer, findings []doctor.Finding, colours bool) error {
	paint := map[doctor.Level]string{doctor.OK: "\033[32m", doctor.Warning: "\033[33m", doctor.Failure: "\033[31m"}
	for _, f := range findings {
		level := fmt.Sprintf("%-7s", f.Level)
		if colours {
			level = paint[f.Level] + level + "\033[0m"
		}
		if _, err := fmt.Fprintf(w, "%s  %-10s %s\n", level, f.Name, f.Detail); err != nil {
			return err
		}
		if f.Fix != "" {
			if _, err := fmt.Fprintf(w, "%s  %-10s mend: %s\n", "       ", "", f.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}
