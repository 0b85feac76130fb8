package main

import (
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/internal/printable"
)

type whoamiCommand struct {
	jsonFlag
	connectFlags
}

func (c *whoamiCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("whoami")
	if err != nil {
		return err
	}
	answer, err := server.Verify(ctx)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"server": server.Server(), "user": answer.User})
	}
	_, err = fmt.Fprintf(os.Stdout, "%s (%s) on %s\n", printable.Clean(answer.User.Email), printable.Clean(answer.User.ID), server.Server())
	return err
}
