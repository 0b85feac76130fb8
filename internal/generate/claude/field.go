package claude

import (
	"encoding/json"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// explanationParser extracts the explanation from an answer that arrives in parts.
// The explanation is the string member "explanation" of the outermost JSON object.
type explanationParser struct {
	depth int
	// key is the last name that was read in the outermost object.
	key     strings.Builder
	isKey   bool
	quoted  bool
	escape  string // The incomplete escape sequence, if any.
	high    rune   // The first half of an incomplete surrogate pair.
	awaited bool   // The value for key follows.
}

const explanationKey = "explanation"

// write processes the next part of the answer. It returns the next part of the
// explanation.
func (f *explanationParser) write(more string) string {
	var text strings.Builder
	for _, c := range more {
		switch {
		case f.quoted:
			f.character(c, &text)
		case c == '"':
			f.quoted = true
			f.isKey = f.depth == 1 && !f.awaited
			if f.isKey {
				f.key.Reset()
			}
		case c == '{' || c == '[':
			f.depth++
		case c == '}' || c == ']':
			f.depth--
		case f.depth == 1 && c == ':':
			f.awaited = true
		case f.depth == 1 && c == ',':
			f.awaited = false
		}
	}
	return text.String()
}

// character processes a character inside a string. If the string is the explanation,
// character appends the character to text.
func (f *explanationParser) character(c rune, text *strings.Builder) {
	if f.escape == "" && c == '"' {
		f.half(text)
		f.quoted = false
		return
	}
	f.escape += string(c)
	if f.escape == `\` || strings.HasPrefix(f.escape, `\u`) && len(f.escape) < len(`\u0000`) {
		return
	}
	escape := f.escape
	f.escape = ""
	if escape[0] != '\\' {
		f.half(text)
		f.add(c, text)
		return
	}
	var unit string
	if json.Unmarshal([]byte(`"`+escape+`"`), &unit) != nil {
		return
	}
	r, _ := utf8.DecodeRuneInString(unit)
	// The JSON decoder would replace half of a surrogate pair with U+FFFD. So parse the
	// escape sequence here.
	if code, ok := surrogate(escape); ok {
		if f.high != 0 && code >= 0xDC00 {
			r, f.high = utf16.DecodeRune(f.high, code), 0
			f.add(r, text)
			return
		}
		f.half(text)
		if code < 0xDC00 {
			f.high = code
			return
		}
	}
	f.half(text)
	f.add(r, text)
}

// The method "half" appends U+FFFD if the second code unit of a surrogate pair is
// missing.
func (f *explanationParser) half(text *strings.Builder) {
	if f.high != 0 {
		f.high = 0
		f.add(utf8.RuneError, text)
	}
}

func (f *explanationParser) add(c rune, text *strings.Builder) {
	switch {
	case f.isKey:
		f.key.WriteRune(c)
	case f.depth == 1 && f.key.String() == explanationKey:
		text.WriteRune(c)
	}
}

// surrogate parses an escape sequence such as \ud83d. It returns false if the escape
// sequence does not encode half of a surrogate pair.
func surrogate(escape string) (rune, bool) {
	var code rune
	if !strings.HasPrefix(escape, `\u`) {
		return 0, false
	}
	for _, c := range strings.ToLower(escape[2:]) {
		code = code<<4 | rune(strings.IndexRune("0123456789abcdef", c))
	}
	return code, utf16.IsSurrogate(code)
}
