package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/pyth-on/pyth-on/internal/nearest"
)

const settingPrefix = "PYTH_ON_"

// checkEnvironment returns an error if a variable begins with settingPrefix but is not
// a known setting. Without this check, the server would ignore a misspelled setting.
// The error contains only names of variables, because the values may be secret.
func checkEnvironment(node *kong.Node, environ []string) error {
	known := append(variablesOf(node), rootKeyVariable, databaseVariable, joinTokenVariable, apiKeyVariable)
	kubernetes := slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "KUBERNETES_SERVICE_HOST=") })
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, settingPrefix) || slices.Contains(known, name) || kubernetes && serviceLink.MatchString(name) {
			continue
		}
		hint := "`pyth-on COMMAND --help` shows the variables of a command"
		if near := nearest.Name(strings.TrimPrefix(name, settingPrefix), withoutPrefix(known)); near != "" {
			hint = "did you mean " + settingPrefix + near + "?"
		}
		return fmt.Errorf("the environment variable %s is not a setting of pyth-on; %s", name, hint)
	}
	return nil
}

// serviceLink matches variables that Kubernetes sets automatically. If the name of a
// service begins with pyth-on, the names of these variables look like settings.
var serviceLink = regexp.MustCompile(`^PYTH_ON_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func withoutPrefix(variables []string) []string {
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = strings.TrimPrefix(v, settingPrefix)
	}
	return names
}

// variablesOf returns the names of the environment variables that set flags of a
// command or of its subcommands.
func variablesOf(node *kong.Node) []string {
	var names []string
	for _, flag := range node.Flags {
		names = append(names, flag.Envs...)
	}
	for _, child := range node.Children {
		names = append(names, variablesOf(child)...)
	}
	return names
}
