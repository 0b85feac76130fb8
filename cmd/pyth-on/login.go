package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/client"
	"github.com/pyth-on/pyth-on/internal/printable"
)

type loginCommand struct {
	URL     string `arg:"" optional:"" help:"Address of the server (default: the server of the profile)."`
	Email   string `env:"-" help:"E-mail address of the account (default: ask for it)."`
	WithKey bool   `env:"-" help:"Use an existing API key. The command asks for the key, or reads one line of standard input."`
	Admin   bool   `env:"-" help:"Give the new key the scope admin too. The commands 'users', 'invites' and 'backup' need this scope if you use --server."`
	Profile string `placeholder:"NAME" help:"Name of the profile (default: 'default')."`

	jsonFlag
}

func (*loginCommand) Help() string {
	return "The command asks for the password, or reads it as one line of standard input. The command then creates an API key for this machine, " +
		"and stores the key in the profile. If the account has a second factor, the command also asks for a code, or reads the code as the next line. The file with the profiles is ~/.config/pyth-on/profiles.json, and only you can read it. " +
		"The command `pyth-on logout` revokes the key."
}

func (c *loginCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	all, err := readProfiles()
	if err != nil {
		return err
	}
	name := cmp.Or(c.Profile, defaultProfile)
	server := c.URL
	if server == "" {
		server = all.byName[name].Server
	}
	if server == "" {
		return errors.New("no server; run `pyth-on login URL`, for example `pyth-on login https://api.example.org`")
	}
	warnOfPlainHTTP(os.Stderr, server)
	in := bufio.NewReader(os.Stdin)
	login := c.withPassword
	if c.WithKey {
		login = c.withKey
	}
	p, err := login(ctx, in, server)
	if err != nil {
		return advise(err)
	}
	all.byName[name] = *p
	if err := all.write(); err != nil {
		return fmt.Errorf("store the profile: %w", err)
	}
	if c.JSON {
		return printJSON(map[string]string{"profile": name, "server": p.Server, "email": p.Email})
	}
	_, err = fmt.Fprintf(os.Stdout, "Logged in to %s as %s.\n", p.Server, printable.Clean(p.Email))
	return err
}

// withPassword logs in with an e-mail address and a password, and creates an API key.
func (c *loginCommand) withPassword(ctx context.Context, in *bufio.Reader, server string) (*profile, error) {
	anonymous, err := client.New(server, client.WithUserAgent("pyth-on login"))
	if err != nil {
		return nil, err
	}
	email := c.Email
	if email == "" {
		if !isatty.IsTerminal(os.Stdin.Fd()) {
			return nil, errors.New("no e-mail address; pass --email")
		}
		if email, err = ask(ctx, in, "E-mail: "); err != nil {
			return nil, err
		}
	}
	password, err := askSecret(ctx, in, "Password: ", "password")
	if err != nil {
		return nil, err
	}
	answer, err := anonymous.Login(ctx, email, password)
	if client.HasCode(err, client.ErrorCodeSecondFactorRequired) {
		code, failed := askSecret(ctx, in, "Code of the second factor: ", "code")
		if failed != nil {
			return nil, failed
		}
		answer, err = anonymous.LoginWithCode(ctx, email, password, code)
	}
	if err != nil {
		return nil, err
	}
	authenticated, err := client.New(server, client.WithToken(answer.Token), client.WithUserAgent("pyth-on login"))
	if err != nil {
		return nil, err
	}
	key, err := authenticated.CreateKey(ctx, c.keyRequest())
	if err != nil {
		return nil, err
	}
	// From now on, the command uses the new API key. So end the login with the
	// password.
	if err := authenticated.Logout(ctx); err != nil {
		return nil, err
	}
	return &profile{Server: authenticated.Server(), Email: answer.User.Email, APIKey: key.Key, KeyID: key.ID}, nil
}

// keyRequest returns the request that creates an API key for this machine.
func (c *loginCommand) keyRequest() *client.KeyRequest {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown machine"
	}
	r := &client.KeyRequest{Name: "pyth-on on " + host}
	if c.Admin {
		r.Scopes = []client.Scope{
			client.ScopeExecute, client.ScopeSessions, client.ScopeSecretsRead, client.ScopeSecretsWrite, client.ScopePackages,
			client.ScopeZK, client.ScopeAuditRead, client.ScopeAccount, client.ScopeAdmin,
		}
	}
	return r
}

// withKey checks an existing API key.
func (*loginCommand) withKey(ctx context.Context, in *bufio.Reader, server string) (*profile, error) {
	key, err := askSecret(ctx, in, "API key: ", "API key")
	if err != nil {
		return nil, err
	}
	key = strings.TrimSpace(key)
	c, err := client.New(server, client.WithAPIKey(key), client.WithUserAgent("pyth-on login"))
	if err != nil {
		return nil, err
	}
	answer, err := c.Verify(ctx)
	if err != nil {
		return nil, err
	}
	return &profile{Server: c.Server(), Email: answer.User.Email, APIKey: key}, nil
}
