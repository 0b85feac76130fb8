package main

import (
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
)

// language returns the language by the flag, the file name, or Python. An unknown
// one is refused with the other faults of the program.
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
