package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/pyth-on/pyth-on/client"
)

type logoutCommand struct {
	Profile string `placeholder:"NAME" help:"Name of the profile (default: 'default')."`

	jsonFlag
}

func (*logoutCommand) Help() string {
	return "The command revokes the key that `pyth-on login` has created, and removes the profile. It does not revoke a key of `pyth-on login --with-key`."
}

func (c *logoutCommand) Run() error {
	ctx, stop := untilSignal()
	defer stop()
	all, err := readProfiles()
	if err != nil {
		return err
	}
	name := cmp.Or(c.Profile, defaultProfile)
	p, ok := all.byName[name]
	if !ok {
		return fmt.Errorf("there is no profile %s; nothing to do", name)
	}
	delete(all.byName, name)
	if err := all.write(); err != nil {
		return err
	}
	if p.KeyID != "" {
		server, err := client.New(p.Server, client.WithAPIKey(p.APIKey), client.WithUserAgent("pyth-on logout"))
		if err != nil {
			return err
		}
		// If the server does not know the key, the key is already revoked. This is not
		// an error.
		if err := server.DeleteKey(ctx, p.KeyID); err != nil && !client.HasCode(err, client.ErrorCodeUnauthenticated) {
			return fmt.Errorf("the profile is removed, but its key %s is still valid: %w", p.KeyID, advise(err))
		}
	}
	if c.JSON {
		return printJSON(map[string]any{"profile": name, "server": p.Server, "revoked": p.KeyID != ""})
	}
	_, err = fmt.Fprintf(os.Stdout, "Logged out of %s.\n", p.Server)
	return err
}
