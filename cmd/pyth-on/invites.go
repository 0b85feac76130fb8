package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

type invitesCommands struct {
	List   invitesListCommand   `cmd:"" help:"List the invites that nobody has used."`
	Create invitesCreateCommand `cmd:"" help:"Create an invite for one registration."`
	Delete invitesDeleteCommand `cmd:"" help:"Delete an invite."`
}

const invitesPath = "/api/v1/admin/invites"

type cliInvite struct {
	ID, Email, Code, URL string
	ExpiresAt            time.Time
}

type invitesListCommand struct {
	JSON bool `name:"json" env:"-" help:"Print the invites as JSON."`

	adminFlags
}

func (c *invitesListCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	var all []json.RawMessage
	err := c.call(ctx, "invites list", false, func(client *adminClient) (err error) {
		all, err = client.list(ctx, invitesPath, url.Values{})
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(map[string]any{"invites": all})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tE-MAIL\tEXPIRES")
	for _, item := range all {
		var i cliInvite
		if err := json.Unmarshal(item, &i); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", i.ID, cmp.Or(i.Email, "any"), i.ExpiresAt.Format(time.DateTime))
	}
	return w.Flush()
}

type invitesCreateCommand struct {
	Email     string        `arg:"" optional:"" help:"The only e-mail address that can use the invite (default: any)."`
	ExpiresIn time.Duration `env:"-" default:"168h" help:"Lifetime of the invite."`
	JSON      bool          `name:"json" env:"-" help:"Print the invite as JSON."`

	adminFlags
}

func (c *invitesCreateCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	body := map[string]any{"expiresInMs": c.ExpiresIn.Milliseconds()}
	if c.Email != "" {
		body["email"] = c.Email
	}
	var raw json.RawMessage
	err := c.call(ctx, "invites create", true, func(client *adminClient) error {
		return client.do(ctx, http.MethodPost, invitesPath, body, &raw)
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(raw)
	}
	var i cliInvite
	if err := json.Unmarshal(raw, &i); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "Invite %s for %s, valid for one use until %s.\nCode: %s\nLink: %s\n",
		i.ID, cmp.Or(i.Email, "any e-mail address"), i.ExpiresAt.Local().Format(time.DateTime), i.Code, absolute(i.URL))
	return err
}

type invitesDeleteCommand struct {
	ID string `arg:"" help:"ID of the invite."`

	adminFlags
}

func (c *invitesDeleteCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	err := c.call(ctx, "invites delete", false, func(client *adminClient) error {
		return client.do(ctx, http.MethodDelete, invitesPath+"/"+url.PathEscape(c.ID), nil, nil)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "Deleted the invite %s.\n", c.ID)
	return err
}
