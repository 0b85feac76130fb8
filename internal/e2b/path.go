package e2b

import (
	"net/http"
	"path"
	"strings"
	"unicode/utf8"
)

const (
	// home is the home directory of E2B's sandboxes. Clients resolve relative paths
	// against it.
	home = "/home/user"
	// workDir is the first working directory of a session. It contains the files that
	// clients see in home.
	workDir = "/work"
	// userName is the only user of a sandbox.
	userName = "user"
	// maxUser is the maximum length of a Linux user name in bytes.
	maxUser = 32
	// maxPath is the maximum length of a path in bytes.
	maxPath = 4096
)

// inside returns the path in the sandbox for a path of a client. An empty or relative
// path begins at the home directory.
func inside(name string) (string, error) {
	switch {
	case len(name) > maxPath:
		return "", fail(http.StatusBadRequest, "the path has more than %d bytes", maxPath)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return "", fail(http.StatusBadRequest, "the path contains the character NUL, or is not UTF-8")
	}
	full := path.Join(workDir, name)
	if path.IsAbs(name) {
		full = path.Clean(name)
	}
	if full == home {
		return workDir, nil
	}
	if below, ok := strings.CutPrefix(full, home+"/"); ok {
		return path.Join(workDir, below), nil
	}
	return full, nil
}

// shown returns the path that a client sees for a path in the sandbox.
func shown(full string) string {
	if full == workDir {
		return home
	}
	if below, ok := strings.CutPrefix(full, workDir+"/"); ok {
		return path.Join(home, below)
	}
	return full
}

// belowHome returns a path in the sandbox relative to the home directory. It returns
// false for a path outside of the home directory, and for the home directory itself.
func belowHome(full string) (string, bool) { return strings.CutPrefix(full, workDir+"/") }

// checkUser returns an error if the name is not the name of the sandbox's user. The name
// "" means the default.
func checkUser(name string) error {
	if name == "" || name == userName {
		return nil
	}
	return fail(http.StatusUnauthorized, "error looking up user '%s': a sandbox of this server has only the user '%s'", clip(name), userName)
}
