package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
)

type packagesCommands struct {
	List   packagesListCommand   `cmd:"" help:"List the packages of a language."`
	Add    packagesAddCommand    `cmd:"" help:"Install packages with their dependencies."`
	Remove packagesRemoveCommand `cmd:"" help:"Remove a package and the dependencies that no other package needs."`
}

// languageFlag is the flag that selects the language of packages.
type languageFlag struct {
	Language string `env:"-" default:"python" help:"Language of the packages: python, javascript or typescript."`
}

type packagesListCommand struct {
	languageFlag
	jsonFlag
	connectFlags
}

func (c *packagesListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("packages list")
	if err != nil {
		return err
	}
	all, err := server.Packages(ctx, client.Language(c.Language))
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"packages": all})
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		requirement := p.Requirement
		if !p.Direct {
			requirement = "(dependency)"
		}
		rows[i] = []string{p.Name, p.Version, humanize.IBytes(uint64(p.SizeBytes)), requirement}
	}
	return printRows("NAME\tVERSION\tSIZE\tREQUIREMENT", rows)
}

type packagesAddCommand struct {
	Requirements []string `arg:"" name:"package" help:"Packages, each with an optional version, for example numpy>=2."`
	languageFlag
	jsonFlag
	connectFlags
}

func (c *packagesAddCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("packages add")
	if err != nil {
		return err
	}
	added := []client.PackageInfo{}
	for _, requirement := range c.Requirements {
		p, err := server.AddPackage(ctx, client.Language(c.Language), requirement, showSteps())
		if err != nil {
			return fmt.Errorf("%s: %w", requirement, advise(err))
		}
		added = append(added, *p)
		if !c.JSON {
			fmt.Fprintf(os.Stdout, "Installed %s %s.\n", printable.Clean(p.Name), printable.Clean(p.Version))
		}
	}
	if c.JSON {
		return printJSON(map[string]any{"packages": added})
	}
	return nil
}

// showSteps returns a function that prints the steps of a package installation. The
// function prints nothing until the time progressDelay has passed.
func showSteps() client.Progress {
	p, started := newProgress(os.Stderr), time.Now()
	return func(step, detail string) {
		if time.Since(started) > progressDelay {
			p.step(strings.TrimSpace(step+" "+detail), 0, 1)
		}
	}
}

type packagesRemoveCommand struct {
	Name string `arg:"" help:"Name of the package."`
	languageFlag
	jsonFlag
	connectFlags
}

func (c *packagesRemoveCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("packages remove")
	if err != nil {
		return err
	}
	stopWaiting := waiting("Removing " + c.Name)
	err = server.RemovePackage(ctx, client.Language(c.Language), c.Name)
	stopWaiting()
	if err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "package", c.Name)
}
