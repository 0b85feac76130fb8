package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// settingPrefix begins the name of every setting in the environment.
const settingPrefix = "PYTH_ON_"

// checkEnvironment refuses settings that no command has: a mistyped one would
// leave a default in force that the operator believes changed. Only names are
// shown, since the value could be a secret.
func checkEnvironment(node *kong.Node, environ []string) error {
	known := append(settings(node), rootKeyVariable, apiKeyVariable)
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, settingPrefix) || slices.Contains(known, name) {
			continue
		}
		slices.Sort(known)
		return fmt.Errorf("there is no setting %s in the environment; the settings are %s", name, strings.Join(slices.Compact(known), ", "))
	}
	return nil
}

// settings lists the environment variables of the command and those below.
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
