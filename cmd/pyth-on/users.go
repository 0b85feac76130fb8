package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/pyth-on/pyth-on/internal/api"
)

type usersCommands struct {
	List       usersListCommand       `cmd:"" help:"List the accounts."`
	Show       usersShowCommand       `cmd:"" help:"Show an account."`
	Create     usersCreateCommand     `cmd:"" help:"Create an account, even if registration is closed. The server can be running or stopped."`
	Disable    usersDisableCommand    `cmd:"" help:"Disable an account. Its keys and tokens stop working, and its runs and sessions end immediately."`
	Enable     usersEnableCommand     `cmd:"" help:"Enable a disabled account."`
	Role       usersRoleCommand       `cmd:"" help:"Give a user the role admin or the role user."`
	Reset      usersResetCommand      `cmd:"" help:"Print a link to set a new password. The link works once."`
	Confirm    usersConfirmCommand    `cmd:"" help:"Mark the e-mail address of an account as confirmed."`
	RemoveTotp usersRemoveTotpCommand `cmd:"" name:"remove-totp" help:"Remove the second factor of a user who has lost it."`
	Quota      usersQuotaCommand      `cmd:"" help:"Show or change the limits of a user."`
	Delete     usersDeleteCommand     `cmd:"" help:"Delete an account with all its objects."`
}

const usersPath = "/api/v1/admin/users"

// quotaNames are the names that the API uses for the limits of a user.
var quotaNames = []string{"executionsPerDay", "cpuMsPerDay", "memoryMibMsPerDay", "storageBytes", "generateTokensPerDay", "sessions"}

// cliUser contains the fields of an account that the commands print.
type cliUser struct {
	ID             string           `json:"id"`
	Email          string           `json:"email"`
	Role           string           `json:"role"`
	Disabled       bool             `json:"disabled"`
	EmailConfirmed bool             `json:"emailConfirmed"`
	CreatedAt      time.Time        `json:"createdAt"`
	Quotas         map[string]int64 `json:"quotas"`
}

func (u *cliUser) state() string {
	state := "enabled"
	if u.Disabled {
		state = "disabled"
	}
	if !u.EmailConfirmed {
		state += ", e-mail not confirmed"
	}
	return state
}

func (u *cliUser) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s (%s): %s, %s, created %s\n", u.Email, u.ID, u.Role, u.state(), u.CreatedAt.Format(time.DateTime))
	for _, name := range quotaNames {
		if limit, ok := u.Quotas[name]; ok && err == nil {
			_, err = fmt.Fprintf(w, "  %s: %d\n", name, limit)
		}
	}
	return err
}

// userArg is the argument that selects an account.
type userArg struct {
	User string `arg:"" placeholder:"USER" help:"E-mail address or ID of the account."`
	JSON bool   `name:"json" env:"-" help:"Print the result as JSON."`
}

// find returns the account that the argument selects. It also returns the JSON of the
// account.
func (a *userArg) find(ctx context.Context, c *adminClient) (*cliUser, json.RawMessage, error) {
	all, err := c.list(ctx, usersPath, url.Values{"q": {a.User}})
	if err != nil {
		return nil, nil, err
	}
	for _, item := range all {
		u := new(cliUser)
		if err := json.Unmarshal(item, u); err != nil {
			return nil, nil, err
		}
		if strings.EqualFold(u.Email, a.User) || u.ID == a.User {
			return u, item, nil
		}
	}
	return nil, nil, fmt.Errorf("no account has the e-mail address or ID %s; `pyth-on users list` shows all accounts", a.User)
}

// change sends changes of an account to the server and prints the changed account.
func (a *userArg) change(f *adminFlags, command string, body any) error {
	ctx, stop := untilSignal()
	defer stop()
	return f.call(ctx, command, false, func(c *adminClient) error {
		u, _, err := a.find(ctx, c)
		if err != nil {
			return err
		}
		var changed json.RawMessage
		if err := c.do(ctx, http.MethodPatch, usersPath+"/"+u.ID, body, &changed); err != nil {
			return err
		}
		if a.JSON {
			return printJSON(changed)
		}
		// Decode into a new value. The old value has a map of limits, and decoding into
		// this map would keep limits that were removed.
		u = new(cliUser)
		if err := json.Unmarshal(changed, u); err != nil {
			return err
		}
		return u.print(os.Stdout)
	})
}

type usersListCommand struct {
	Search string `arg:"" optional:"" help:"List only accounts whose e-mail address contains this text, or whose ID is equal to it."`
	JSON   bool   `name:"json" env:"-" help:"Print the accounts as JSON."`

	adminFlags
}

func (c *usersListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	var all []json.RawMessage
	err := c.call(ctx, "users list", false, func(client *adminClient) (err error) {
		all, err = client.list(ctx, usersPath, url.Values{"q": {c.Search}})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(map[string]any{"users": all})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "E-MAIL\tID\tROLE\tSTATE\tCREATED")
	for _, item := range all {
		u := new(cliUser)
		if err := json.Unmarshal(item, u); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Email, u.ID, u.Role, u.state(), u.CreatedAt.Format(time.DateTime))
	}
	return w.Flush()
}

type usersShowCommand struct {
	userArg
	adminFlags
}

func (c *usersShowCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	return c.call(ctx, "users show", false, func(client *adminClient) error {
		u, raw, err := c.find(ctx, client)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(raw)
		}
		return u.print(os.Stdout)
	})
}

type usersCreateCommand struct {
	Email     string `arg:"" help:"E-mail address of the account."`
	Admin     bool   `env:"-" help:"Make the user an administrator."`
	ResetLink bool   `env:"-" help:"Do not ask for a password. Print a link with which the user can set the password."`
	JSON      bool   `name:"json" env:"-" help:"Print the account as JSON."`

	adminFlags
}

func (*usersCreateCommand) Help() string {
	return "The command asks for the password on the terminal. Without a terminal it reads the password as one line from standard input. " +
		"The command prints the first API key of the account. The response to a login through the API also contains this key."
}

func (c *usersCreateCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	body := map[string]any{"email": c.Email}
	if c.Admin {
		body["role"] = "admin"
	}
	if !c.ResetLink {
		password, err := readPassword(ctx)
		if err != nil {
			return err
		}
		body["password"] = password
	}
	var raw json.RawMessage
	err := c.call(ctx, "users create", true, func(client *adminClient) error {
		return client.do(ctx, http.MethodPost, usersPath, body, &raw)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(raw)
	}
	var created struct {
		cliUser
		APIKey string
		Reset  *resetLink
	}
	if err := json.Unmarshal(raw, &created); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(os.Stdout, "Created the account %s (%s).\nAPI key: %s\n", created.Email, created.ID, created.APIKey); err != nil {
		return err
	}
	if created.Reset != nil {
		return created.Reset.write(created.Email)
	}
	return nil
}

type resetLink struct {
	URL       string
	ExpiresAt time.Time
}

func (r *resetLink) write(email string) error {
	_, err := fmt.Fprintf(os.Stdout, "Link to set the password of %s, valid for one use until %s:\n%s\n", email, r.ExpiresAt.Local().Format(time.DateTime), absolute(r.URL))
	return err
}

// The function "absolute" adds an example address to a link that has only a path. The
// command does not know the real address of the server.
func absolute(link string) string {
	if strings.HasPrefix(link, api.AccountPath) {
		return "https://YOUR-SERVER" + link
	}
	return link
}

type usersDisableCommand struct {
	userArg
	adminFlags
}

func (c *usersDisableCommand) Run() error {
	return c.change(&c.adminFlags, "users disable", map[string]any{"disabled": true})
}

type usersEnableCommand struct {
	userArg
	adminFlags
}

func (c *usersEnableCommand) Run() error {
	return c.change(&c.adminFlags, "users enable", map[string]any{"disabled": false})
}

type usersRoleCommand struct {
	userArg
	Role string `arg:"" enum:"user,admin" help:"The new role: ${enum}."`
	adminFlags
}

func (c *usersRoleCommand) Run() error {
	return c.change(&c.adminFlags, "users role", map[string]any{"role": c.Role})
}

type usersConfirmCommand struct {
	userArg
	adminFlags
}

func (c *usersConfirmCommand) Run() error {
	return c.change(&c.adminFlags, "users confirm", map[string]any{"emailConfirmed": true})
}

type usersResetCommand struct {
	userArg
	adminFlags
}

func (c *usersResetCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	return c.call(ctx, "users reset", false, func(client *adminClient) error {
		u, _, err := c.find(ctx, client)
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := client.do(ctx, http.MethodPost, usersPath+"/"+u.ID+"/reset-link", nil, &raw); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(raw)
		}
		link := new(resetLink)
		if err := json.Unmarshal(raw, link); err != nil {
			return err
		}
		return link.write(u.Email)
	})
}

type usersRemoveTotpCommand struct {
	userArg
	adminFlags
}

func (c *usersRemoveTotpCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	return c.call(ctx, "users remove-totp", false, func(client *adminClient) error {
		u, _, err := c.find(ctx, client)
		if err != nil {
			return err
		}
		if err := client.do(ctx, http.MethodDelete, usersPath+"/"+u.ID+"/totp", nil, nil); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"id": u.ID, "email": u.Email, "totpRemoved": true})
		}
		_, err = fmt.Fprintf(os.Stdout, "Removed the second factor of %s (%s).\n", u.Email, u.ID)
		return err
	})
}

type usersQuotaCommand struct {
	userArg

	ExecutionsPerDay     string `env:"-" placeholder:"N|default" help:"Maximum number of runs on one day."`
	CPUMsPerDay          string `name:"cpu-ms-per-day" env:"-" placeholder:"N|default" help:"Maximum processor time of runs on one day, in milliseconds."`
	MemoryMibMsPerDay    string `env:"-" placeholder:"N|default" help:"Maximum memory of runs on one day, in MiB multiplied by milliseconds."`
	StorageBytes         string `env:"-" placeholder:"N|default" help:"Maximum size of stored code and output, in bytes."`
	GenerateTokensPerDay string `env:"-" placeholder:"N|default" help:"Maximum number of model tokens on one day."`
	Sessions             string `env:"-" placeholder:"N|default" help:"Maximum number of sessions."`

	adminFlags
}

func (*usersQuotaCommand) Help() string {
	return "Without a flag that sets a limit, the command shows the limits of the user. The value 'default' restores the default limit of the server."
}

func (c *usersQuotaCommand) Run() error {
	quotas := map[string]any{}
	values := []string{c.ExecutionsPerDay, c.CPUMsPerDay, c.MemoryMibMsPerDay, c.StorageBytes, c.GenerateTokensPerDay, c.Sessions}
	for i, value := range values {
		switch value {
		case "":
		case "default":
			quotas[quotaNames[i]] = nil
		default:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("the limit %s is %q; use a number of at least 0, or \"default\"", quotaNames[i], value)
			}
			quotas[quotaNames[i]] = n
		}
	}
	if len(quotas) == 0 {
		return (&usersShowCommand{c.userArg, c.adminFlags}).Run()
	}
	return c.change(&c.adminFlags, "users quota", map[string]any{"quotas": quotas})
}

type usersDeleteCommand struct {
	userArg
	Yes bool `env:"-" help:"Do not ask for confirmation."`
	adminFlags
}

func (c *usersDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	return c.call(ctx, "users delete", false, func(client *adminClient) error {
		u, _, err := c.find(ctx, client)
		if err != nil {
			return err
		}
		if err := c.confirm(ctx, u); err != nil {
			return err
		}
		if err := client.do(ctx, http.MethodDelete, usersPath+"/"+u.ID, nil, nil); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(map[string]any{"id": u.ID, "email": u.Email, "deleted": true})
		}
		_, err = fmt.Fprintf(os.Stdout, "Deleted the account %s (%s).\n", u.Email, u.ID)
		return err
	})
}

// confirm asks the user whether to delete the account. It asks nothing if --yes is set.
func (c *usersDeleteCommand) confirm(ctx context.Context, u *cliUser) error {
	if c.Yes {
		return nil
	}
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		return errors.New("the deletion needs confirmation; pass --yes")
	}
	line, err := ask(ctx, bufio.NewReader(io.LimitReader(os.Stdin, maxPasswordLine)), "Delete "+u.Email+" with all objects of the account? Type yes: ")
	if err == nil && !slices.Contains([]string{"yes", "YES", "Yes"}, strings.TrimSpace(line)) {
		err = errors.New("the account was not deleted")
	}
	return err
}
