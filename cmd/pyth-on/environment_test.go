package main

import (
	"strings"
	"testing"
)

func TestFlagsHaveEnvironmentVariables(t *testing.T) {
	parser, err := newParser(new(commands), new(settingsFile))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, command := range parser.Model.Children {
		for _, flag := range command.Flags {
			if len(flag.Envs) == 0 {
				continue
			}
			checked++
			want := "PYTH_ON_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			if flag.Envs[0] != want {
				t.Errorf("--%s of %s has the variables %v, want %s", flag.Name, command.Name, flag.Envs, want)
			}
		}
	}
	if checked == 0 {
		t.Error("no flag has an environment variable")
	}
}
