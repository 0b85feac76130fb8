package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// manyForms is up to which length a value is looked for in its rarer forms.
// There are some twenty of them, and they are kept while the program runs.
const manyForms = 4 << 10

// formsOf are the ways in which a value shows: as it is, in JSON (RFC 8259) and
// in Python's repr, in base64 (RFC 4648) wherever in what is encoded it begins;
// and unless it is very long in hexadecimal, in URLs (RFC 3986) and in what
// several encoders make of JSON.
func formsOf(value []byte) [][]byte {
	forms := append(make([][]byte, 0, 24), bytes.Clone(value))
	// Most values are tokens, which most encodings leave as they are.
	token := !bytes.ContainsFunc(value, func(c rune) bool {
		return c >= utf8.RuneSelf || !alphanumeric(byte(c)) && !strings.ContainsRune(unreserved, c)
	})
	add := func(more ...[]byte) {
		for _, f := range more {
			if len(f) >= MinBytes && !bytes.Equal(f, value) {
				forms = append(forms, f)
			}
		}
	}
	add(inBase64(value)...)
	if !token {
		add(inJSON(value, plain), inRepr(value))
	}
	if len(value) > manyForms {
		return forms
	}
	digits := hex.AppendEncode(nil, value)
	add(digits, bytes.ToUpper(digits))
	if !token {
		add(inJSON(value, safeInHTML), inJSON(value, slashEscaped), inJSON(value, onlyASCII))
		for _, e := range urlEncoders() {
			add(e.inURL(value))
		}
	}
	add(everyByteEscaped(value))
	return forms
}

// inBase64 is the part of the encoding that depends on the value alone, if none,
// one or two bytes stand before it in its group of three; and the whole of it,
// with its padding.
func inBase64(value []byte) [][]byte {
	forms := make([][]byte, 0, 10)
	add := func(text []byte) {
		forms = append(forms, text)
		if bytes.IndexByte(text, '+') >= 0 || bytes.IndexByte(text, '/') >= 0 {
			forms = append(forms, bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("+"), []byte("-")), []byte("/"), []byte("_")))
		}
	}
	for before := range 3 {
		shifted := append(make([]byte, before), value...)
		text := base64.RawStdEncoding.AppendEncode(nil, shifted)
		add(text[(8*before+5)/6 : 8*len(shifted)/6])
		clear(shifted)
	}
	if len(value)%3 != 0 {
		add(base64.RawStdEncoding.AppendEncode(nil, value))
		add(base64.StdEncoding.AppendEncode(nil, value))
	}
	return forms
}

const (
	upperDigits = "0123456789ABCDEF"
	lowerDigits = "0123456789abcdef"
	// unreserved characters are never encoded, besides letters and digits (RFC
	// 3986, section 2.3).
	unreserved = "-._~"
)

// urlEncoder is a way to write text in a URL: encoders differ in what they leave
// as it is, in how they write a space and in the case of digits.
type urlEncoder struct{ keep, space, digits string }

// urlEncoders are those of common libraries.
func urlEncoders() []urlEncoder {
	all := make([]urlEncoder, 0, 10)
	for _, digits := range []string{upperDigits, lowerDigits} {
		all = append(all,
			urlEncoder{unreserved, "%20", digits},
			urlEncoder{unreserved, "+", digits},
			urlEncoder{unreserved + "/", "%20", digits},
			urlEncoder{unreserved + "!'()*", "%20", digits},            // encodeURIComponent
			urlEncoder{unreserved + "!'()*;/?:@&=+$,#", "%20", digits}, // encodeURI
		)
	}
	return all
}

func (e urlEncoder) inURL(value []byte) []byte {
	out := make([]byte, 0, 3*len(value))
	for _, c := range value {
		switch {
		case c == ' ':
			out = append(out, e.space...)
		case alphanumeric(c) || strings.IndexByte(e.keep, c) >= 0:
			out = append(out, c)
		default:
			out = append(out, '%', e.digits[c>>4], e.digits[c&15])
		}
	}
	return out
}

// everyByteEscaped is what cautious programs write.
func everyByteEscaped(value []byte) []byte {
	out := make([]byte, 0, 3*len(value))
	for _, c := range value {
		out = append(out, '%', upperDigits[c>>4], upperDigits[c&15])
	}
	return out
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Ways to write a string in JSON.
const (
	plain        = iota
	safeInHTML   // Go: <, >, & and two line separators by their numbers.
	slashEscaped // PHP: \/.
	onlyASCII    // Python: what is not ASCII by its number.
)

// inJSON is the value within the quotes of a JSON string.
func inJSON(value []byte, way int) []byte {
	out := make([]byte, 0, len(value)+16)
	for len(value) > 0 {
		c, size := utf8.DecodeRune(value)
		short := strings.IndexRune("\"\\\b\f\n\r\t", c)
		switch {
		case short >= 0:
			out = append(out, '\\', "\"\\bfnrt"[short])
		case c == '/' && way == slashEscaped:
			out = append(out, `\/`...)
		case c < ' ',
			way == safeInHTML && (c == '<' || c == '>' || c == '&' || c == '\u2028' || c == '\u2029'),
			way == onlyASCII && c > '~':
			out = appendNumber(out, c)
		default:
			out = append(out, value[:size]...)
		}
		value = value[size:]
	}
	return out
}

// appendNumber writes a character as \u and its number, in UTF-16.
func appendNumber(out []byte, c rune) []byte {
	for _, unit := range utf16.AppendRune(nil, c) {
		out = append(out, '\\', 'u')
		for shift := 12; shift >= 0; shift -= 4 {
			out = append(out, lowerDigits[unit>>shift&15])
		}
	}
	return out
}

// inRepr is the value as Python shows it in a list or a dict.
func inRepr(value []byte) []byte {
	out := make([]byte, 0, len(value)+16)
	for _, c := range value {
		if i := strings.IndexByte("\\\n\r\t", c); i >= 0 {
			out = append(out, '\\', "\\nrt"[i])
		} else {
			out = append(out, c)
		}
	}
	return out
}
