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

	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/app"
)

type usersCommands struct {
	Create usersCreateCommand `cmd:"" help:"Create an account, even if registration is closed. The server can be running or stopped."`
}

type usersCreateCommand struct {
	Email string `arg:"" help:"E-mail address of the account."`
	JSON  bool   `name:"json" help:"Print the account as JSON."`

	dataFlags
	storeFlags
}

func (*usersCreateCommand) Help() string {
	return "The command asks for the password on the terminal. Without a terminal it reads the password as one line from standard input. " +
		"It prints the first API key of the account. A login with the API returns this key again."
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
	_, err = fmt.Fprintf(os.Stdout, "Created the account %s (%s).\nAPI key: %s\n", user.Email, user.ID, user.APIKey)
	return err
}

const (
	// controlWait is the maximum time to wait for a starting server to accept
	// commands.
	controlWait = 10 * time.Second
	controlPoll = 100 * time.Millisecond
)

// create creates the account. If a server uses the data directory, create sends the
// request to this server. Otherwise it creates the account in the database.
func (c *usersCreateCommand) create(ctx context.Context, r userRequest) (*createdUser, error) {
	if err := c.checkOwner(); err != nil {
		return nil, err
	}
	if err := keepPrivate(c.DataDir, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(controlWait); ; {
		data, free, err := app.OpenDirectory(c.DataDir, 0)
		if err != nil {
			return nil, err
		}
		if free {
			user, err := c.createWithoutServer(ctx, data, r)
			return user, errors.Join(err, data.Close())
		}
		user, err := askServer(ctx, data.Path, r)
		if !errors.Is(err, errNoControl) {
			return user, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another process uses the data directory %s and accepts no commands; "+
				"wait until the server has started, or stop the process", data.Path)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(controlPoll):
		}
	}
}

// checkOwner returns an error if this command would create files that the server's
// user cannot open.
func (c *usersCreateCommand) checkOwner() error {
	info, err := os.Stat(c.DataDir)
	if err != nil {
		return nil // The data directory does not exist yet.
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, controlName)); err == nil {
		return nil // The server creates the account.
	}
	return fmt.Errorf("the data directory %s belongs to user %d; run the command as this user, or start the server first", c.DataDir, owner.Uid)
}

// createWithoutServer creates the account in the database. The caller must hold the
// lock of the data directory.
func (c *usersCreateCommand) createWithoutServer(ctx context.Context, data *app.Directory, r userRequest) (user *createdUser, err error) {
	store, err := c.openStore(ctx, data.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	accounts, err := app.OpenAccounts(ctx, store.Store, store.vault, account.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, accounts.Close()) }()
	if err := store.removeMark(); err != nil {
		return nil, err
	}
	return createUser(ctx, accounts.Operator, r)
}
