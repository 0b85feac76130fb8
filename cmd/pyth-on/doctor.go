package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/host/rootless"
)

type doctorCommand struct {
	JSON     bool   `name:"json" help:"Print the findings as JSON."`
	CacheDir string `type:"path" help:"Directory for images (default: a folder in the user's cache directory)."`

	nodeFlags
	imageFlags
}

func (c *doctorCommand) Run() error {
	var findings []doctor.Finding
	err := ensurePrivileged()
	switch {
	case errors.Is(err, rootless.ErrNoNamespace):
		findings = []doctor.Finding{doctor.System(), doctor.NoIdentity(err, doctor.ReadConfinement())}
	case err != nil:
		return err
	default:
		ctx, stop := untilSignal()
		defer stop()
		findings, err = app.Examine(ctx, &app.ExamineConfig{
			CacheDir: c.CacheDir, Node: app.NodeConfig(c.nodeFlags), Images: app.ImageConfig(c.imageFlags), Progress: newProgress(os.Stderr).step,
		})
		if err != nil {
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

func (c *doctorCommand) show(findings []doctor.Finding) error {
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(findings)
	}
	return printTable(os.Stdout, findings, isatty.IsTerminal(os.Stdout.Fd()))
}

// printTable prints the findings as a text table. If the parameter "colours" is true,
// the table is in colour.
func printTable(w io.Writer, findings []doctor.Finding, colours bool) error {
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
			if _, err := fmt.Fprintf(w, "%s  %-10s fix: %s\n", "       ", "", f.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}
