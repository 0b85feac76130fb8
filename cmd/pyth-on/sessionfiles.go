package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/host/disk"
)

type filesCommands struct {
	List   filesListCommand   `cmd:"" help:"List the files of a session."`
	Get    filesGetCommand    `cmd:"" help:"Copy a file of a session to this machine."`
	Put    filesPutCommand    `cmd:"" help:"Copy a file to a session."`
	Delete filesDeleteCommand `cmd:"" help:"Delete a file of a session."`
}

// fileSessionArg is the argument that selects the session whose files the command uses.
type fileSessionArg struct {
	Session string `arg:"" help:"ID of the session."`
}

func (a *fileSessionArg) open(ctx context.Context, f *connectFlags, command string) (*client.Session, error) {
	server, err := f.connect(command)
	if err != nil {
		return nil, err
	}
	session, err := server.Session(ctx, a.Session)
	return session, advise(err)
}

type filesListCommand struct {
	fileSessionArg
	jsonFlag
	connectFlags
}

func (c *filesListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	session, err := c.open(ctx, &c.connectFlags, "files list")
	if err != nil {
		return err
	}
	all, err := session.Files(ctx)
	if err != nil {
		return advise(err)
	}
	slices.SortFunc(all, func(a, b client.SessionFile) int { return strings.Compare(a.Path, b.Path) })
	if c.JSON {
		return printJSON(map[string]any{"files": all})
	}
	rows := make([][]string, len(all))
	for i, f := range all {
		rows[i] = []string{f.Path, humanize.IBytes(uint64(f.SizeBytes)), localTime(f.ModifiedAt)}
	}
	return printRows("PATH\tSIZE\tMODIFIED", rows)
}

type filesGetCommand struct {
	fileSessionArg
	Path   string `arg:"" help:"Path of the file in the session."`
	Output string `short:"o" env:"-" placeholder:"FILE" help:"File to write, or - for standard output (default: the name of the file, in the working directory)."`
	jsonFlag
	connectFlags
}

func (c *filesGetCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	session, err := c.open(ctx, &c.connectFlags, "files get")
	if err != nil {
		return err
	}
	content, err := session.ReadFile(ctx, c.Path)
	if err != nil {
		return advise(err)
	}
	defer content.Close()
	if c.Output == "-" {
		_, err = io.Copy(os.Stdout, content)
		return err
	}
	target := cmp.Or(c.Output, path.Base(c.Path))
	size := int64(0)
	err = disk.Replace(target, 0o644, func(w io.Writer) (err error) {
		size, err = io.Copy(w, content)
		return err
	})
	if err != nil {
		return err
	}
	return c.report(target, size)
}

func (c *filesGetCommand) report(target string, size int64) error {
	if c.JSON {
		return printJSON(map[string]any{"path": c.Path, "file": target, "sizeBytes": size})
	}
	_, err := fmt.Fprintf(os.Stdout, "Saved %s (%d bytes).\n", target, size)
	return err
}

type filesPutCommand struct {
	fileSessionArg
	File string `arg:"" help:"File to copy, or - for standard input."`
	Path string `arg:"" optional:"" help:"Path in the session (default: the name of the file)."`
	jsonFlag
	connectFlags
}

func (c *filesPutCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	session, err := c.open(ctx, &c.connectFlags, "files put")
	if err != nil {
		return err
	}
	target := cmp.Or(c.Path, filepath.Base(c.File))
	if target == "-" {
		return errors.New("standard input has no name; add the path in the session")
	}
	var content io.ReadSeeker
	if c.File == "-" {
		b, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	} else {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		content = f
	}
	stopWaiting := waiting("Copying " + target)
	err = session.WriteFile(ctx, target, content)
	stopWaiting()
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"path": target})
	}
	_, err = fmt.Fprintf(os.Stdout, "Copied %s to the session.\n", target)
	return err
}

type filesDeleteCommand struct {
	fileSessionArg
	Path string `arg:"" help:"Path of the file in the session."`
	jsonFlag
	connectFlags
}

func (c *filesDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	session, err := c.open(ctx, &c.connectFlags, "files delete")
	if err != nil {
		return err
	}
	if err := session.DeleteFile(ctx, c.Path); err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "file", c.Path)
}
