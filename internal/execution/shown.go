package execution

import (
	"strings"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// Maximum lengths of the texts of an exception, in bytes. The hooks in the
// interpreters truncate texts too, to limits that are not lower.
const (
	maxErrorName      = 256
	maxErrorMessage   = 16 << 10
	maxErrorTraceback = 64 << 10
)

// maxHookResult is the number of characters to which the hooks truncate a text value.
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

// cutMarks are the characters at a truncated end: the mark of the hooks, and the
// replacement for an incomplete character.
const cutMarks = "\u2026\ufffd"

// trimTail separates the marks of a truncation from the end of a text.
func trimTail(text string) (rest, mark string) {
	rest = strings.TrimRight(text, cutMarks)
	return rest, text[len(rest):]
}

// trimHead separates the marks of a truncation from the beginning of a text.
func trimHead(text string) (mark, rest string) {
	rest = strings.TrimLeft(text, cutMarks)
	return text[:len(text)-len(rest)], rest
}
