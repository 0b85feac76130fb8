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
	forms := [][]byte{bytes.Clone(value), inJSON(value, plain), inRepr(value)}
	forms = append(forms, inBase64(value)...)
	if len(value) <= manyForms {
		forms = append(forms, inJSON(value, safeInHTML), inJSON(value, slashEscaped), inJSON(value, onlyASCII),
			hex.AppendEncode(nil, value), bytes.ToUpper(hex.AppendEncode(nil, value)))
		forms = append(forms, inURLs(value)...)
	}
	var long [][]byte
	for i, f := range forms {
		// Most values are the same in most forms.
		if len(f) >= MinBytes && (i == 0 || !bytes.Equal(f, value)) {
			long = append(long, f)
		}
	}
	return long
}

// inBase64 is the part of the encoding that depends on the value alone, if none,
// one or two bytes stand before it in its group of three; and the whole of it,
// with its padding.
func inBase64(value []byte) [][]byte {
	var forms [][]byte
	add := func(text []byte) {
		forms = append(forms, text)
		if bytes.ContainsAny(text, "+/") {
			forms = append(forms, bytes.Map(func(c rune) rune {
				switch c {
				case '+':
					return '-'
				case '/':
					return '_'
				}
				return c
			}, text))
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

const digits = "0123456789ABCDEF"

// inURLs is the value with percent signs: encoders differ in what they leave as
// it is, in how they write a space and in the case of digits.
func inURLs(value []byte) [][]byte {
	const unreserved = "-._~"
	forms := make([][]byte, 0, 12)
	for _, e := range []struct {
		keep  string
		space string
		every bool
	}{
		{keep: unreserved, space: "%20"},
		{keep: unreserved, space: "+"},
		{keep: unreserved + "/", space: "%20"},
		{keep: unreserved + "!'()*", space: "%20"},            // encodeURIComponent
		{keep: unreserved + "!'()*;/?:@&=+$,#", space: "%20"}, // encodeURI
		{every: true, space: "%20"},
	} {
		upper, lower := make([]byte, 0, 3*len(value)), make([]byte, 0, 3*len(value))
		for _, c := range value {
			switch {
			case c == ' ':
				upper, lower = append(upper, e.space...), append(lower, e.space...)
			case !e.every && (alphanumeric(c) || strings.IndexByte(e.keep, c) >= 0):
				upper, lower = append(upper, c), append(lower, c)
			default:
				upper = append(upper, '%', digits[c>>4], digits[c&15])
				lower = append(lower, '%', digits[c>>4]|0x20, digits[c&15]|0x20)
			}
		}
		forms = append(forms, upper, lower)
	}
	return forms
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
			d := digits[unit>>shift&15]
			if d >= 'A' {
				d |= 0x20
			}
			out = append(out, d)
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
