package pyth

import "unicode/utf8"

// TrimIncompleteRune removes an incomplete UTF-8 character from the end of the text. A
// text can end with an incomplete character if the text was cut after a number of
// bytes.
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
