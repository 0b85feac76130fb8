package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/rootfs/debian"
)

type runtimeCommands struct {
	Build runtimeBuildCommand `cmd:"" help:"Build a root file system for serve --runtime."`
}

type runtimeBuildCommand struct {
	FromDebian []string `required:"" placeholder:"PACKAGES" help:"Debian packages to install with their dependencies, for example python3,python3-numpy."`
	Exclude    []string `placeholder:"PATTERNS" help:"Name patterns of packages to leave out, even if other packages depend on them, for example gcc-*."`
	Suite      string   `help:"Debian release, for example trixie (default: from the configuration of apt on this machine)."`
	Mirror     string   `placeholder:"URL" help:"URL of the Debian archive (default: from the configuration of apt on this machine)."`
	Output     string   `short:"o" required:"" type:"path" help:"Path of the tar file to write."`
}

func (c *runtimeBuildCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	packages := 0
	err := disk.Replace(c.Output, 0o644, func(to io.Writer) error {
		w := bufio.NewWriterSize(to, 1<<20)
		all, err := debian.Build(ctx, debian.Options{
			Packages: c.FromDebian, Exclude: c.Exclude, Suite: c.Suite, Mirror: c.Mirror,
			Progress: newProgress(os.Stderr).step,
		}, w)
		packages = len(all)
		return errors.Join(err, w.Flush())
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s contains %d packages. Use it with `pyth-on serve --runtime NAME=%s`.\n", c.Output, packages, c.Output)
	return err
}
