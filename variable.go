package pyth

import (
	"regexp"
	"strings"
)

// The pattern "variable" matches valid names of environment variables and of secrets
// (docs/api.md).
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// ValidVariable reports whether the name is valid for an environment variable or a
// secret.
func ValidVariable(name string) bool { return variable.MatchString(name) }

// ReservedVariable reports whether requests must not set the variable. The server sets
// some reserved variables itself. Other reserved variables configure the dynamic loader
// or the interpreter. A wrong value of such a variable causes errors that are hard to
// understand.
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
