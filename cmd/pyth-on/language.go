package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// languageOf returns the language in the flag. Without the flag, it returns the
// language of the file name extension, or Python if there is none. It does not check
// the value of the flag, because the service that runs programs checks the language.
func languageOf(flag, file string) pyth.Language {
	return cmp.Or(pyth.Language(flag), pyth.LanguageOf(file), pyth.Python)
}
