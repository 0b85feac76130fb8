package execution

import (
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// checkEnv checks the environment variables of the request. It returns true if the
// request sets a variable whose name is reserved.
func checkEnv(f *pyth.FieldErrors, env []pyth.EnvVar) (reserved bool) {
	if len(env) > maxEnv {
		f.Add("body.env", "must have at most %d variables", maxEnv)
	}
	total := 0
	seen := make(map[string]bool)
	for _, v := range env {
		total += len(v.Name) + len(v.Value) + 2
		// Do not quote the invalid name, because it may contain a secret or control
		// characters.
		if !pyth.ValidVariable(v.Name) {
			f.Add("body.env", "names must have 1 to 128 letters, digits and underscores, and must not begin with a digit")
			continue
		}
		location := "body.env." + v.Name
		switch {
		case pyth.ReservedVariable(v.Name):
			reserved = true
			f.Add(location, "is a reserved name; choose a different name")
		case seen[v.Name]:
			f.Add(location, "must not be given twice")
		case len(v.Value) > maxEnvValue:
			f.Add(location, "must be at most %d bytes", maxEnvValue)
		case strings.ContainsRune(v.Value, 0) || !utf8.ValidString(v.Value):
			f.Add(location, "must be text without NUL")
		}
		seen[v.Name] = true
	}
	if total > maxExecBytes {
		f.Add("body.env", "must have at most %d bytes in total", maxExecBytes)
	}
	return reserved
}
