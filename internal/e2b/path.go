package e2b

import (
	"net/http"
	"path"
	"strings"
)

const (
	// home is the home directory of E2B's sandboxes. Clients resolve relative paths
	// against it.
	home = "/home/user"
	// workDir is the first working directory of a session. It has the files of home.
	workDir = "/work"
	// userName is the only user of a sandbox.
	userName = "user"
)

// relative returns a path relative to the home directory, or "." for the home directory
// itself. It refuses paths outside of the home directory.
func relative(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", fail(http.StatusBadRequest, "the path contains the character NUL")
	}
	full := name
	if !path.IsAbs(name) {
		full = home + "/" + name
	}
	full = path.Clean(full)
	for _, root := range []string{home, workDir} {
		if full == root {
			return ".", nil
		}
		if below, ok := strings.CutPrefix(full, root+"/"); ok {
			return below, nil
		}
	}
	return "", fail(http.StatusBadRequest, "path '%s' is outside of %s; this server gives access only to files below %s", clip(name), home, home)
}

// absolute returns the path that clients see.
func absolute(name string) string { return path.Join(home, name) }

// checkUser refuses all users but that of the sandbox. The name "" means the default.
func checkUser(name string) error {
	if name == "" || name == userName {
		return nil
	}
	return fail(http.StatusUnauthorized, "error looking up user '%s': a sandbox of this server has only the user '%s'", clip(name), userName)
}
