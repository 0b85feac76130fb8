package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// usersCommands manage accounts in the data directory of a server.
type usersCommands struct {
	Create usersCreateCommand `cmd:"" help:"Create an account, whatever --registration says. The server may run meanwhile."`
}

type usersCreateCommand struct {
	Email string `arg:"" help:"The account's e-mail address."`
	JSON  bool   `name:"json" help:"Show the account as JSON."`

	dataFlags
	storeFlags
}

// Help says where the password comes from.
func (*usersCreateCommand) Help() string {
	return "The password is asked for on the terminal, or else read from standard input: one line. " +
		"The account's API key is shown once."
}

func (c *usersCreateCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	password, err := readPassword(ctx)
	if err != nil {
		return err
	}
	user, err := c.create(ctx, userRequest{Email: c.Email, Password: password})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(user)
	}
	_, err = fmt.Fprintf(os.Stdout, "Created the account %s (%s).\nAPI key, shown this once: %s\n", user.Email, user.ID, user.APIKey)
	return err
}

const (
	// controlWait bounds the time until a starting server accepts commands.
	controlWait = 10 * time.Second
	controlPoll = 100 * time.Millisecond
)

// create makes the account in the database itself if no server has it, else has
// the server make it.
func (c *usersCreateCommand) create(ctx context.Context, r userRequest) (*createdUser, error) {
	if err := c.owned(); err != nil {
		return nil, err
	}
	if err := keepPrivate(c.DataDir, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(controlWait); ; {
		data, free, err := openDirectory(c.DataDir, 0)
		if err != nil {
			return nil, err
		}
		if free {
			user, err := c.createHere(ctx, data, r)
			return user, errors.Join(err, data.Close())
		}
		user, err := askServer(ctx, data.path, r)
		if !errors.Is(err, errNoControl) {
			return user, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("a process uses the data directory %s and takes no commands; "+
				"try again when the server has started, or stop it", data.path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(controlPoll):
		}
	}
}

// owned refuses to make files that the server's user could not use.
func (c *usersCreateCommand) owned() error {
	info, err := os.Stat(c.DataDir)
	if err != nil {
		return nil // There is none yet.
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, controlName)); err == nil {
		return nil // The server does it.
	}
	return fmt.Errorf("the data directory %s belongs to user %d; run this as that user, or while the server runs", c.DataDir, owner.Uid)
}

// createHere makes the account in the database of a directory that this process
// has locked.
func (c *usersCreateCommand) createHere(ctx context.Context, data *directory, r userRequest) (user *createdUser, err error) {
	store, err := c.openStore(ctx, data.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	log, err := openAudit(ctx, store, store.vault)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	accounts, err := operatorAccounts(ctx, store, log)
	if err != nil {
		return nil, err
	}
	if err := store.settled(); err != nil {
		return nil, err
	}
	return createUser(ctx, accounts, r)
}
