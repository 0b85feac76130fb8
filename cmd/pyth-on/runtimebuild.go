package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/pyth-on/pyth-on/debian"
)

// runtimeCommands make root file systems for runtimes.
type runtimeCommands struct {
	Build runtimeBuildCommand `cmd:"" help:"Make a root file system for serve --runtime."`
}

type runtimeBuildCommand struct {
	FromDebian []string `required:"" placeholder:"PACKAGES" help:"Debian's packages that it has, such as python3,python3-numpy, with all that they depend on."`
	Exclude    []string `placeholder:"PATTERNS" help:"Packages that are left out though others depend on them, such as gcc-*."`
	Suite      string   `help:"Debian's release, such as trixie (default: as this machine's apt is set up)."`
	Mirror     string   `placeholder:"URL" help:"Debian's archive (default: as this machine's apt is set up)."`
	Output     string   `short:"o" required:"" type:"path" help:"The tar file to write."`
}

func (c *runtimeBuildCommand) Run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	f, err := os.CreateTemp(filepath.Dir(c.Output), "."+filepath.Base(c.Output)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	packages, err := debian.Build(ctx, debian.Options{
		Packages: c.FromDebian, Exclude: c.Exclude, Suite: c.Suite, Mirror: c.Mirror,
		Progress: newProgress(os.Stderr).step,
	}, w)
	if err = errors.Join(err, w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.Output); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s has %d packages. Serve it with `pyth-on serve --runtime NAME=%s`.\n", c.Output, len(packages), c.Output)
	return err
}
