package mcp

import (
	"fmt"
	"unicode/utf8"
)

// clip shortens a long text for a model. It keeps the beginning and the end, because the
// end of output often contains the error. The note between them says what is missing.
// The parameter "most" is a number of bytes.
func clip(text string, most int, advice string) string {
	if len(text) <= most {
		return text
	}
	head := text[:most/2]
	for head != "" && !endsWithRune(head) {
		head = head[:len(head)-1]
	}
	end := tail(text, most-most/2)
	return fmt.Sprintf("%s\n[%d bytes omitted; %s]\n%s", head, len(text)-len(head)-len(end), advice, end)
}

// endsWithRune reports whether the text does not end within a character.
func endsWithRune(text string) bool {
	r, size := utf8.DecodeLastRuneInString(text)
	return r != utf8.RuneError || size > 1
}
