package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/pyth-on/pyth-on/client"
)

// connectFlags select the server and the account for a command. By default, the command
// uses the server and the account of the last `pyth-on login`.
type connectFlags struct {
	Server     string `placeholder:"URL" help:"Address of the server (default: the server of the profile). Set PYTH_ON_API_KEY or --api-key-file, unless the profile is for this server."`
	Profile    string `placeholder:"NAME" help:"Name of the profile from 'pyth-on login' (default: 'default')."`
	APIKeyFile string `name:"api-key-file" type:"existingfile" help:"File with the API key, instead of the key of the profile."`
}

// connect returns a client of the server. The parameter "command" is the name of the
// command, which the audit log records.
func (f *connectFlags) connect(command string) (*client.Client, error) {
	key, err := secretSetting(apiKeyVariable, f.APIKeyFile, "--api-key-file")
	if err != nil {
		return nil, err
	}
	server, apiKey := f.Server, string(key)
	if server == "" || apiKey == "" {
		p, err := f.selected()
		if err != nil {
			return nil, err
		}
		if server == "" {
			server = p.Server
		}
		// Use the API key of a profile only for the server of this profile, because no
		// other server may receive the key.
		if apiKey == "" && sameServer(server, p.Server) {
			apiKey = p.APIKey
		}
	}
	if server == "" {
		return nil, f.notLoggedIn()
	}
	if apiKey == "" {
		return nil, fmt.Errorf("no API key for %s; run `pyth-on login %[1]s`, or set %s or --api-key-file", server, apiKeyVariable)
	}
	return client.New(server, client.WithAPIKey(apiKey), client.WithUserAgent("pyth-on "+command))
}

// keyFor returns the API key for the server. It looks in the variable PYTH_ON_API_KEY,
// in the given file, and in the profiles of this server.
func keyFor(server, file string) ([]byte, error) {
	key, err := secretSetting(apiKeyVariable, file, "--api-key-file")
	if err != nil || len(key) > 0 {
		return key, err
	}
	all, err := readProfiles()
	if err != nil {
		return nil, err
	}
	if key := all.keyOf(server); key != "" {
		return []byte(key), nil
	}
	return nil, fmt.Errorf("no API key for %s; set %s or --api-key-file, or run `pyth-on login %[1]s`", server, apiKeyVariable)
}

// selected returns the selected profile. If --profile is not set and there is no
// default profile, the result is empty.
func (f *connectFlags) selected() (profile, error) {
	all, err := readProfiles()
	if err != nil {
		return profile{}, err
	}
	p, ok := all.byName[cmp.Or(f.Profile, defaultProfile)]
	if !ok && f.Profile != "" {
		return p, fmt.Errorf("there is no profile %s; create it with `pyth-on login URL --profile %[1]s`", f.Profile)
	}
	return p, nil
}

func (f *connectFlags) notLoggedIn() error {
	return errors.New("you are not logged in; run `pyth-on login URL`, or set --server and " + apiKeyVariable)
}

func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// advise adds a hint to an error of the client. The hint says what the user can do
// about the error.
func advise(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%w; check the address of the server, and whether the server runs", err)
	}
	switch {
	case client.HasCode(err, client.ErrorCodeUnauthenticated):
		return fmt.Errorf("%w; run `pyth-on login` for a new key", err)
	case client.HasCode(err, client.ErrorCodeMissingScope):
		return fmt.Errorf("%w; use a key with this scope", err)
	}
	return err
}
