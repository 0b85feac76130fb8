package execution

import (
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Maximum lengths of the texts of an exception, in bytes. The interpreters already
// truncate these texts. The limits of the interpreters are the same or higher.
const (
	maxErrorName      = 256
	maxErrorMessage   = 16 << 10
	maxErrorTraceback = 64 << 10
)

// maxHookResult is the maximum length of a text in a result, in characters. The
// interpreters truncate longer texts.
const maxHookResult = 100_000

// cutError truncates the texts of an exception. It keeps the beginning of names and
// messages, and the end of tracebacks.
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

// cutMarks contains the characters that can be at the end of a truncated text. The
// interpreters add "…" at the end, and U+FFFD replaces an incomplete character.
const cutMarks = "\u2026\ufffd"

// trimTail separates the truncation marks at the end of a text from the rest.
func trimTail(text string) (rest, mark string) {
	rest = strings.TrimRight(text, cutMarks)
	return rest, text[len(rest):]
}

// trimHead separates the truncation marks at the beginning of a text from the rest.
func trimHead(text string) (mark, rest string) {
	rest = strings.TrimLeft(text, cutMarks)
	return text[:len(text)-len(rest)], rest
}
