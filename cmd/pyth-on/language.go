package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// language returns the language in the flag, or the language of the file's
// extension, or Python. It does not check the flag, because the execution service
// checks the language.
func (c *runCommand) language() pyth.Language {
	if c.Language != "" {
		return pyth.Language(c.Language)
	}
	return cmp.Or(pyth.LanguageOf(c.File), pyth.Python)
}
