package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/client"
)

type secretsCommands struct {
	Set    secretsSetCommand    `cmd:"" help:"Create a secret, or replace its value."`
	List   secretsListCommand   `cmd:"" help:"List the secrets, without their values."`
	Delete secretsDeleteCommand `cmd:"" help:"Delete a secret."`
}

type secretsSetCommand struct {
	Name        string `arg:"" help:"Name of the secret, which is also the name of the environment variable."`
	Description string `env:"-" help:"Description of the secret."`
	jsonFlag
	connectFlags
}

func (*secretsSetCommand) Help() string {
	return "The command asks for the value on the terminal. Without a terminal, the command reads the value from standard input, and removes a line break at the end of the value. " +
		"A value cannot be an argument, because all users of the machine can read the arguments of a process."
}

func (c *secretsSetCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("secrets set")
	if err != nil {
		return err
	}
	value, err := readSecretValue(ctx)
	if err != nil {
		return err
	}
	answer, err := server.SetSecret(ctx, c.Name, &client.SecretInput{Value: value, Description: c.Description})
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(answer)
	}
	_, err = fmt.Fprintf(os.Stdout, "Stored version %d of the secret %s.\n", answer.Version, answer.Name)
	return err
}

// maxSecretValue is the maximum length of a secret's value, in bytes. The server has
// the same limit.
const maxSecretValue = 64 << 10

// readSecretValue reads a value from the terminal without echo, or from standard input.
func readSecretValue(ctx context.Context) (string, error) {
	if isatty.IsTerminal(os.Stdin.Fd()) {
		return readPasswordTwice(ctx, "Value: ", "Repeat the value: ", "values")
	}
	b, err := io.ReadAll(io.LimitReader(os.Stdin, maxSecretValue+2))
	if err != nil {
		return "", err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return "", errors.New("the value is empty; write the value to standard input")
	case len(b) > maxSecretValue:
		return "", fmt.Errorf("the value is longer than %d bytes", maxSecretValue)
	}
	return string(b), nil
}

type secretsListCommand struct {
	jsonFlag
	connectFlags
}

func (c *secretsListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("secrets list")
	if err != nil {
		return err
	}
	all, err := client.Collect(server.Secrets(ctx))
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"secrets": all})
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		rows[i] = []string{s.Name, strconv.FormatInt(s.Version, 10), localTime(s.UpdatedAt), localTime(s.LastUsedAt), s.Description}
	}
	return printRows("NAME\tVERSION\tUPDATED\tLAST USED\tDESCRIPTION", rows)
}

type secretsDeleteCommand struct {
	Name string `arg:"" help:"Name of the secret."`
	jsonFlag
	connectFlags
}

func (c *secretsDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("secrets delete")
	if err != nil {
		return err
	}
	if err := server.DeleteSecret(ctx, c.Name); err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "secret", c.Name)
}
