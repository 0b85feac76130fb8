package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// languageOf returns the language that the flag names, or the language of the file name's
// extension, or Python. It does not check the value of the flag, because the service
// that runs programs checks the language.
func languageOf(flag, file string) pyth.Language {
	return cmp.Or(pyth.Language(flag), pyth.LanguageOf(file), pyth.Python)
}
