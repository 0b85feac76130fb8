package pyth

import "unicode/utf8"

// TrimIncompleteRune is text in UTF-8 without a character that only begins at its
// end, as one does where a text was cut.
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
