package main

import (
	"cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// languageOf returns the language in the flag. Without the flag, it returns the language
// to which the file name extension belongs, or Python if the extension belongs to no
// language. It does not check the value of the flag, because the service that runs
// programs checks the language.
func languageOf(flag, file string) pyth.Language {
	return cmp.Or(pyth.Language(flag), pyth.LanguageOf(file), pyth.Python)
}
