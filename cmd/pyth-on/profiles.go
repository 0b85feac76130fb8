package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// defaultProfile is the name of the profile that commands use without --profile.
const defaultProfile = "default"

// profile contains the address of a server and the credentials for this server. KeyID
// is the ID of the API key if `pyth-on login` has created the key. The command `logout`
// revokes only keys that `login` has created.
type profile struct {
	Server string `json:"server"`
	Email  string `json:"email"`
	APIKey string `json:"apiKey"`
	KeyID  string `json:"keyId,omitempty"`
}

// profiles is the file with the profiles of this user, by name. Only this user may read
// the file, because the file contains API keys.
type profiles struct {
	path   string
	byName map[string]profile
}

// readProfiles reads the file with the profiles. If the file does not exist, it returns
// no profiles.
func readProfiles() (*profiles, error) {
	p := &profiles{byName: map[string]profile{}}
	dir, err := os.UserConfigDir()
	if err != nil {
		// Return no error here, because services have no home directory. The method
		// "write" reports the error.
		return p, nil
	}
	p.path = filepath.Join(dir, "pyth-on", "profiles.json")
	f, err := os.Open(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("other users can read the API keys in %s; run `chmod 600 %[1]s`", p.path)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &p.byName); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; delete it, and run `pyth-on login`", p.path, err)
	}
	return p, nil
}

// keyOf returns the API key that a profile contains for the server, or "" if there is
// none. If several profiles have a key for the server, the default profile has
// priority.
func (p *profiles) keyOf(server string) string {
	names := append([]string{defaultProfile}, slices.Sorted(maps.Keys(p.byName))...)
	for _, name := range names {
		if found, ok := p.byName[name]; ok && sameServer(found.Server, server) {
			return found.APIKey
		}
	}
	return ""
}

// write replaces the content of the file with the profiles.
func (p *profiles) write() error {
	if p.path == "" {
		return errors.New("no directory for profiles; set HOME or XDG_CONFIG_HOME")
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	return disk.Replace(p.path, 0o600, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(p.byName)
	})
}
