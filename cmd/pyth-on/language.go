package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// language returns the language that the flag names, or the language of the file name's
// extension, or Python. It does not check the value of the flag, because the service
// that runs programs checks the language.
func (c *runCommand) language() pyth.Language {
	if c.Language != "" {
		return pyth.Language(c.Language)
	}
	return cmp.Or(pyth.LanguageOf(c.File), pyth.Python)
}
