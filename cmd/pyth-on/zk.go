package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/client"
)

type zkCommands struct {
	Put    zkPutCommand    `cmd:"" help:"Encrypt a program on this machine, and store it on the server."`
	Run    zkRunCommand    `cmd:"" help:"Run an encrypted program with a sealed password."`
	List   zkListCommand   `cmd:"" help:"List the encrypted programs."`
	Delete zkDeleteCommand `cmd:"" help:"Delete an encrypted program."`
}

type zkPutCommand struct {
	Name     string `arg:"" help:"Name of the program. The server can run the program only under this name."`
	File     string `arg:"" type:"existingfile" help:"File with the program."`
	Language string `env:"-" placeholder:"LANGUAGE" help:"Language of the program: python, javascript, typescript or bash (default: from the extension of the file)."`
	jsonFlag
	connectFlags
}

func (*zkPutCommand) Help() string {
	return "The command asks for a password, or reads it as the first line of standard input. The server receives neither the program nor the password. " +
		"If you lose the password, nobody can decrypt the program."
}

func (c *zkPutCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("zk put")
	if err != nil {
		return err
	}
	code, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	password, err := readPassword(ctx)
	if err != nil {
		return err
	}
	language := client.Language(languageOf(c.Language, c.File))
	stopWaiting := waiting("Encrypting the program")
	stored, err := server.StoreEncrypted(ctx, c.Name, language, code, []byte(password))
	stopWaiting()
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(stored)
	}
	_, err = fmt.Fprintf(os.Stdout, "Stored the encrypted program %s (%s).\n", stored.Name, humanize.IBytes(uint64(stored.SizeBytes)))
	return err
}

type zkRunCommand struct {
	Name    string            `arg:"" help:"Name of the program."`
	Args    []string          `arg:"" optional:"" passthrough:"" help:"Arguments of the program."`
	Timeout time.Duration     `env:"-" default:"${timeout}" help:"Time-out of the program."`
	Memory  int64             `env:"-" default:"${memory}" help:"Memory limit of the program, in MiB."`
	Env     map[string]string `short:"e" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"An environment variable for the program. You can repeat this flag."`
	Secret  []string          `env:"-" sep:"none" placeholder:"NAME" help:"A secret for the program (default: all secrets). You can repeat this flag. With 'none', the program gets no secrets."`
	Allow   []string          `env:"-" placeholder:"HOSTS" help:"Hosts that the program may connect to."`

	outputFlags
	jsonFlag
	connectFlags
}

func (*zkRunCommand) Help() string {
	return "The command asks for the password, or reads it as the first line of standard input. The rest of standard input is the input of the program. " +
		"Only the sandbox of the run can decrypt the password. The exit code is the exit code of the program."
}

func (c *zkRunCommand) Run() error {
	code, err := c.run()
	if err != nil {
		fail(err, false)
		return exitCode(exitNotRun)
	}
	return exitCode(code)
}

func (c *zkRunCommand) run() (int, error) {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("zk run")
	if err != nil {
		return 0, err
	}
	in := bufio.NewReader(os.Stdin)
	password, err := askSecret(ctx, in, "Password: ", "password")
	if err != nil {
		return 0, err
	}
	options := &client.RunOptions{
		Args: c.Args, Env: maps.Clone(c.Env), OutputFiles: c.Output, TimeoutMs: c.Timeout.Milliseconds(),
		Limits: &client.LimitsRequest{MemoryBytes: c.Memory << 20}, Secrets: secretNames(c.Secret),
	}
	if len(c.Allow) > 0 {
		options.Network = &client.NetworkRequest{Allow: c.Allow}
	}
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		b, err := io.ReadAll(in)
		if err != nil {
			return 0, err
		}
		options.Stdin = string(b)
	}
	run, err := c.execute(ctx, server, []byte(password), options)
	if err != nil {
		return 0, advise(err)
	}
	if run.Error != nil && run.Error.Name == "DecryptionError" {
		return 0, errors.New(run.Error.Message)
	}
	return finish(string(run.Status), run.ExitCode, run.Signal), nil
}

// execute runs the program, and prints its output or the result as JSON.
func (c *zkRunCommand) execute(ctx context.Context, server *client.Client, password []byte, options *client.RunOptions) (*client.ExecuteResponse, error) {
	if !c.JSON {
		return showEvents(server.StreamEncrypted(ctx, c.Name, password, options), c.outputs())
	}
	stop := waiting("Running the program")
	run, err := server.RunEncrypted(ctx, c.Name, password, options)
	stop()
	if err != nil {
		return nil, err
	}
	return run, printJSON(run)
}

type zkListCommand struct {
	jsonFlag
	connectFlags
}

func (c *zkListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("zk list")
	if err != nil {
		return err
	}
	all, err := server.EncryptedPrograms(ctx)
	if err != nil {
		return advise(err)
	}
	if c.JSON {
		return printJSON(map[string]any{"code": all})
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		rows[i] = []string{p.Name, string(p.Language), humanize.IBytes(uint64(p.SizeBytes)), localTime(p.UpdatedAt), localTime(p.LastExecutedAt)}
	}
	return printRows("NAME\tLANGUAGE\tSIZE\tUPDATED\tLAST RUN", rows)
}

type zkDeleteCommand struct {
	Name string `arg:"" help:"Name of the program."`
	jsonFlag
	connectFlags
}

func (c *zkDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	server, err := c.connect("zk delete")
	if err != nil {
		return err
	}
	if err := server.DeleteEncrypted(ctx, c.Name); err != nil {
		return advise(err)
	}
	return printDeleted(c.JSON, "program", c.Name)
}
