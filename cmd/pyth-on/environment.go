package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const settingPrefix = "PYTH_ON_"

// checkEnvironment returns an error if a variable that begins with settingPrefix is
// not a known setting. Without this check, the server would ignore a misspelled
// setting. The error contains only names, because values may be secret.
func checkEnvironment(node *kong.Node, environ []string) error {
	known := append(settings(node), rootKeyVariable, databaseVariable, joinTokenVariable, apiKeyVariable)
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, settingPrefix) || slices.Contains(known, name) {
			continue
		}
		slices.Sort(known)
		return fmt.Errorf("the environment variable %s is not a setting of pyth-on; the settings are %s", name, strings.Join(slices.Compact(known), ", "))
	}
	return nil
}

// settings returns the names of the environment variables for the flags of a command
// and its subcommands.
func settings(node *kong.Node) []string {
	var names []string
	for _, flag := range node.Flags {
		names = append(names, flag.Envs...)
	}
	for _, child := range node.Children {
		names = append(names, settings(child)...)
	}
	return names
}
