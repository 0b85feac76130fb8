package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pyth-on/pyth-on/internal/rootfs/debian"
)

// runtimeCommands build custom images.
type runtimeCommands struct {
	Build runtimeBuildCommand `cmd:"" help:"Build a root file system for serve --runtime."`
}

type runtimeBuildCommand struct {
	FromDebian []string `required:"" placeholder:"PACKAGES" help:"Debian packages to install with their dependencies, such as python3,python3-numpy."`
	Exclude    []string `placeholder:"PATTERNS" help:"Packages to leave out although others depend on them, such as gcc-*."`
	Suite      string   `help:"Debian's release, such as trixie (default: as this machine's apt is set up)."`
	Mirror     string   `placeholder:"URL" help:"Debian's archive (default: as this machine's apt is set up)."`
	Output     string   `short:"o" required:"" type:"path" help:"The tar file to write."`
}

func (c *runtimeBuildCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	packages := 0
	err := replaceFile(c.Output, 0o644, func(to io.Writer) error {
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
	_, err = fmt.Fprintf(os.Stdout, "%s has %d packages. Serve it with `pyth-on serve --runtime NAME=%s`.\n", c.Output, packages, c.Output)
	return err
}
