package pyth

import (
	"bytes"
	"unicode/utf8"
)

// TrimIncompleteRune removes an incomplete UTF-8 character from the end of the text. The
// text can end with such a character if the caller has cut the text within a character.
func TrimIncompleteRune(text []byte) []byte {
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}

// Characters splits output between characters. It keeps the bytes of the incomplete
// character at the end of each stream. The zero value is ready for use.
type Characters struct{ stdout, stderr []byte }

func (c *Characters) of(name Stream) *[]byte {
	if name == Stderr {
		return &c.stderr
	}
	return &c.stdout
}

// Add returns the kept bytes and b, without an incomplete character at the end.
func (c *Characters) Add(name Stream, b []byte) []byte {
	rest := c.of(name)
	text := append(*rest, b...)
	whole := len(TrimIncompleteRune(text))
	*rest = bytes.Clone(text[whole:])
	return text[:whole]
}

// Rest returns the kept bytes. The stream then has no kept bytes.
func (c *Characters) Rest(name Stream) []byte {
	rest := c.of(name)
	b := *rest
	*rest = nil
	return b
}
