package e2e_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMakefileKnowsSourcesOfEmbeddedExecutables checks that a change of any source file
// rebuilds the executables that bin/pyth-on embeds. Otherwise `make build` would embed an
// old executable.
func TestMakefileKnowsSourcesOfEmbeddedExecutables(t *testing.T) {
	root := must(filepath.Abs("../.."))(t)
	output := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = root
		return string(must(cmd.Output())(t))
	}
	// With -n and the target "Makefile", make prints its rules and builds nothing.
	rules := output("make", "-n", "-p", "Makefile")
	for target, main := range map[string]string{
		"internal/sandbox/guest/bin/pyth-on-guest":        "./cmd/pyth-on-guest",
		"internal/sandbox/guest/bin/pyth-on-typescript":   "./cmd/pyth-on-typescript",
		"internal/sandbox/executable/bin/pyth-on-sandbox": "./cmd/pyth-on-sandbox",
	} {
		var known []string
		for line := range strings.Lines(rules) {
			if sources, ok := strings.CutPrefix(line, target+": "); ok {
				known = strings.Fields(sources)
			}
		}
		const format = `{{if and .Module .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{range .SFiles}}{{$d}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}
{{end}}{{end}}`
		sources := strings.Fields(output("go", "list", "-deps", "-f", format, main))
		if len(sources) == 0 {
			t.Errorf("go list names no sources of %s", main)
		}
		for _, file := range sources {
			name := must(filepath.Rel(root, file))(t)
			if !slices.Contains(known, name) {
				t.Errorf("the rule of %s lacks %s", target, name)
			}
		}
	}
}
