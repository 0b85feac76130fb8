package execution

import (
	"regexp"
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// variableName is what the contract allows as the name of a variable.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Reserved tells whether programs may not be given a variable of the name:
// those by which the loader and the interpreters are steered, since a value
// for them could break a run in ways that its author would not understand, and
// those that the server sets itself.
func Reserved(name string) bool {
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

func checkEnv(f *faults, env []pyth.EnvVar) {
	if len(env) > maxEnv {
		f.add("body.env", "must be at most %d variables", maxEnv)
	}
	total := 0
	seen := make(map[string]bool)
	for _, v := range env {
		total += len(v.Name) + len(v.Value) + 2
		// A name that is not allowed may be anything, so it is not repeated.
		if !variableName.MatchString(v.Name) {
			f.add("body.env", "names must have letters, digits and underscores, not begin with a digit, and be at most 128 long")
			continue
		}
		location := "body.env." + v.Name
		switch {
		case Reserved(v.Name):
			f.code = pyth.CodeReservedName
			f.add(location, "the name is reserved")
		case seen[v.Name]:
			f.add(location, "must be given once")
		case len(v.Value) > maxEnvValue:
			f.add(location, "must be at most %d bytes", maxEnvValue)
		case strings.ContainsRune(v.Value, 0) || !utf8.ValidString(v.Value):
			f.add(location, "must be text without NUL")
		}
		seen[v.Name] = true
	}
	if total > maxExecBytes {
		f.add("body.env", "must be at most %d bytes in all", maxExecBytes)
	}
}
