package main

import (
	"strings"
	"testing"
)

func TestFlagsHaveEnvironmentVariables(t *testing.T) {
	root := new(commands)
	parser, err := newParser(root, new(settingsFile))
	if err != nil {
		t.Fatal(err)
	}
	node := parser.Model.Find(&root.Serve)
	if node == nil {
		t.Fatal("there is no command serve")
	}
	for _, flag := range node.Flags {
		want := "PYTH_ON_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if len(flag.Envs) > 0 && flag.Envs[0] != want {
			t.Errorf("--%s has the variables %v, want %s", flag.Name, flag.Envs, want)
		}
	}
}
