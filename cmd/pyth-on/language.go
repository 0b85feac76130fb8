package main

import (
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
)

// language returns the language from the flag, otherwise from the file name,
// otherwise Python. It does not check the name; the execution service does.
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
