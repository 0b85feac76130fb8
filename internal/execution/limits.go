package execution

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Package session also uses the exported functions of this file.

// CheckLanguage returns an error if this server does not offer the language.
func CheckLanguage(l pyth.Language, offered []pyth.LanguageInfo) error {
	if slices.ContainsFunc(offered, func(i pyth.LanguageInfo) bool { return i.Name == l && (i.Version != "" || len(i.Runtimes) == 0) }) {
		return nil
	}
	if l.Known() {
		return pyth.Errorf(pyth.CodeRuntimeUnavailable, "This server has no runtime for %s. Operators: run `pyth-on doctor` for the cause.", l)
	}
	return pyth.Invalid("body.language", "must be %s", pyth.AnyOfLanguages())
}

// FindRuntime returns the name of a custom image for the language. It returns "" if the
// parameter "name" is empty or names the built-in runtime of the language. It returns an
// error if the server does not offer the image or the language.
func FindRuntime(name pyth.Runtime, l pyth.Language, offered []pyth.LanguageInfo) (pyth.Runtime, error) {
	if name == "" || name == l.Runtime() {
		return "", CheckLanguage(l, offered)
	}
	has := func(l pyth.LanguageInfo) bool {
		return slices.ContainsFunc(l.Runtimes, func(r pyth.RuntimeInfo) bool { return r.Name == name })
	}
	i := slices.IndexFunc(offered, func(i pyth.LanguageInfo) bool { return i.Name == l })
	if i >= 0 && has(offered[i]) {
		return name, nil
	}
	var names []string
	if i >= 0 {
		if offered[i].Version != "" {
			names = append(names, strconv.Quote(string(l.Runtime())))
		}
		for _, r := range offered[i].Runtimes {
			names = append(names, strconv.Quote(string(r.Name)))
		}
	}
	message := "must be a runtime for " + string(l) + "; this server has none"
	if len(names) > 0 {
		message = "must be a runtime for " + string(l) + ": " + strings.Join(names, ", ")
	}
	return "", pyth.Invalid("body.runtime", "%s", message)
}

// CheckNetwork returns an error if at least one host is not allowed. If the parameter
// "policy" is nil, no host is allowed.
func CheckNetwork(hosts []string, policy NetworkPolicy) error {
	if len(hosts) == 0 {
		return nil
	}
	if policy == nil {
		return pyth.Errorf(pyth.CodeNotImplemented, "Programs have no network on this server. Remove network from the request.")
	}
	return policy.Check(hosts)
}

// WithDefaults returns the limits in "asked". It replaces each limit that is zero with
// the default.
func WithDefaults(asked, defaults pyth.Limits) pyth.Limits {
	return pyth.Limits{
		MemoryBytes: cmp.Or(asked.MemoryBytes, defaults.MemoryBytes),
		CPU:         cmp.Or(asked.CPU, defaults.CPU),
		OutputBytes: cmp.Or(asked.OutputBytes, defaults.OutputBytes),
		DiskBytes:   cmp.Or(asked.DiskBytes, defaults.DiskBytes),
		Processes:   cmp.Or(asked.Processes, defaults.Processes),
	}
}

// LimitFaults returns an error for each limit that is below its minimum or above its
// maximum.
func LimitFaults(l, most pyth.Limits) pyth.FieldErrors {
	var f pyth.FieldErrors
	checkLimits(&f, l, most, 0)
	return f
}

// checkLimits adds an error for each invalid limit. The parameter "given" is the total
// size of the request's files and code in bytes. Files and code count towards the disk
// limit.
func checkLimits(f *pyth.FieldErrors, l, most pyth.Limits, given int64) {
	f.Within("body.limits.memoryBytes", l.MemoryBytes, minMemory, most.MemoryBytes)
	if l.CPU != 0 {
		f.Within("body.limits.cpuMs", l.CPU.Milliseconds(), minTime.Milliseconds(), most.CPU.Milliseconds())
	}
	f.Within("body.limits.outputBytes", l.OutputBytes, 1, most.OutputBytes)
	f.Within("body.limits.diskBytes", l.DiskBytes, minDisk+given, most.DiskBytes)
	f.Within("body.limits.processes", int64(l.Processes), 1, int64(most.Processes))
}
