package execution

import (
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Bounds on what is shown of an exception, in bytes. The hooks of the interpreters
// cut these texts to as many characters, or to more.
const (
	maxErrorName      = 256
	maxErrorMessage   = 16 << 10
	maxErrorTraceback = 64 << 10
)

// maxHookResult is how many characters the hooks leave of a value as text.
const maxHookResult = 100_000

// cutError cuts what is shown of an exception: the end of a name or a message, the
// beginning of a traceback.
func cutError(e *pyth.ProgramError) {
	if e == nil {
		return
	}
	e.Name, e.Message = beginning(e.Name, maxErrorName), beginning(e.Message, maxErrorMessage)
	e.Traceback = ending(e.Traceback, maxErrorTraceback)
}

func beginning(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return string(pyth.TrimIncompleteRune([]byte(text[:most])))
}

func ending(text string, most int) string {
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	for i := range min(len(text), utf8.UTFMax) {
		if utf8.RuneStart(text[i]) {
			return text[i:]
		}
	}
	return text
}

// cutMarks are what stands at the place of a cut: what hooks write there, or half
// a character.
const cutMarks = "\u2026\ufffd"

// trimTail splits off what stands at the cut at the end of a text.
func trimTail(text string) (rest, mark string) {
	rest = strings.TrimRight(text, cutMarks)
	return rest, text[len(rest):]
}

// trimHead splits off what stands at the cut at the beginning of a text.
func trimHead(text string) (mark, rest string) {
	rest = strings.TrimLeft(text, cutMarks)
	return text[:len(text)-len(rest)], rest
}
