package main

import (
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
)

// language is what the program is written in: what is said, or what the name
// of its file says, or Python. One that there is not is refused with the rest
// of the program.
func (c *runCommand) language() pyth.Language {
	if c.Language != "" {
		return pyth.Language(c.Language)
	}
	switch filepath.Ext(c.File) {
	case ".js", ".mjs", ".cjs":
		return pyth.JavaScript
	case ".ts", ".mts", ".cts":
		return pyth.TypeScript
	}
	return pyth.Python
}
