package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// language returns the language from the flag, otherwise from the file name,
// otherwise Python. It does not check the name; the execution service does.
func (c *runCommand) language() pyth.Language {
	if c.Language != "" {
		return pyth.Language(c.Language)
	}
	return cmp.Or(pyth.LanguageOf(c.File), pyth.Python)
}
