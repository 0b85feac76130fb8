package pyth

import (
	"regexp"
	"strings"
)

// variable is what the contract allows as the name of a variable.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// ValidVariable tells whether an environment variable, or a secret, may have the
// name.
func ValidVariable(name string) bool { return variable.MatchString(name) }

// ReservedVariable tells whether programs may not be given a variable of the
// name: those by which the loader and the interpreters are steered, since a
// value for them could break a run in ways that its author would not
// understand, and those that the server sets itself.
func ReservedVariable(name string) bool {
	upper := strings.ToUpper(name)
	switch upper {
	case "PATH", "HOME", "SHELL", "USER", "LOGNAME", "PWD", "OLDPWD", "IFS", "BASH_ENV", "ENV", "GCONV_PATH", "LOCPATH", "NLSPATH", "GLIBC_TUNABLES", "MALLOC_TRACE":
		return true
	}
	for _, prefix := range []string{"PYTHON", "LD_", "NODE_", "PYTH_ON_"} {
		if strings.HasPrefix(upper, prefix) {
			return true
		}
	}
	return false
}
