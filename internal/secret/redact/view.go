package redact

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A view is a way to read the output of a program. The view asIs reads the output
// unchanged. Each other view decodes the escapes of one notation. The search uses all
// views.
type view int

const (
	// The view asIs reads the text unchanged.
	asIs view = iota
	// The view "joined" skips line ends, for example in base64 text with 64 or 76
	// characters per line. A line end is CR, LF or both, or one of the escapes \r and \n.
	// The view also skips spaces after a line end.
	joined
	// The view "escaped" decodes backslash escapes, as in JSON (RFC 8259) and in string
	// literals of programming languages. Python's repr and Node's inspect also write such
	// escapes. In this view, \xHH and octal escapes are bytes. The view joins literals on
	// consecutive lines, because pprint and inspect split long strings.
	escaped
	// The view escapedRunes is like the view "escaped" with one difference: \xHH and
	// octal escapes are characters, as in Python's repr of str.
	escapedRunes
	// The view escapedTwice decodes the backslash escapes of the text two times. With
	// this view, values are found in JSON that is inside a JSON string.
	escapedTwice
	// The view escapedTwiceRunes decodes the text two times. Here, \xHH and octal
	// escapes are characters.
	escapedTwiceRunes
	// The view "percent" decodes %HH, as in URLs (RFC 3986).
	percent
	// The view "form" is like the view "percent", but it also reads + as a space, as in
	// HTML forms.
	form
	// The view "references" decodes character references, as in HTML and XML.
	references
	views // Number of views.
)

// minJoined is a minimum for the view "joined". The view skips a line end only after at
// least this number of consecutive base64 characters. Without this minimum, a stream
// would hold back the end of every line.
const minJoined = 16

// The function "marks" returns the marks of all views. A mark is the beginning of an
// escape. A set of marks is a number in which each mark has one bit.
func marks() [markCount]string {
	return [...]string{
		"\n", "\r", `\n`, `\r`, `\`, `\x`, `\2`, `\3`, "%", "+", "&", `\\`,
		"' +\n", "\" +\n", "` +\n", "'\n", "\"\n", "'\r\n", "\"\r\n",
	}
}

const markCount = 19

// linesMarks is the set of marks that are line ends. literalsMarks is the set of
// marks that connect literals on consecutive lines.
const (
	linesMarks    = 0xf
	literalsMarks = 0x7f000
)

// The type "reading" contains two sets of marks for a view.
type reading struct {
	view view
	// The field "begins" contains the marks that begin an escape in the view. The field
	// "needs" contains the marks that make the view necessary. Without these marks,
	// another view reads the text in the same way.
	needs, begins uint
}

func readings() [views - 1]reading {
	const backslash, numbers, percents, plus, ampersand, twice = 0x10, 0xe0, 0x100, 0x200, 0x400, 0x800
	return [...]reading{
		{joined, linesMarks, linesMarks},
		{escaped, backslash | literalsMarks, backslash | literalsMarks},
		{escapedRunes, numbers, backslash | literalsMarks},
		{escapedTwice, twice, backslash | literalsMarks},
		{escapedTwiceRunes, numbers, backslash | literalsMarks},
		{percent, percents, percents},
		{form, plus, percents | plus},
		{references, ampersand, ampersand},
	}
}

// input is a part of the output of a program. The redactor searches this part.
type input struct {
	b []byte
	// The field "run" is the number of consecutive base64 characters before b. It is at
	// most minJoined.
	run int
	// The field "last" is true if the output ends with b.
	last bool
}

// symbols holds the n bytes that an escape represents, or one byte that is not escaped.
type symbols struct {
	bytes [utf8.UTFMax]byte
	n     int
}

func one(c byte) symbols { return symbols{[utf8.UTFMax]byte{c}, 1} }

func oneRune(c rune) (s symbols) {
	s.n = utf8.EncodeRune(s.bytes[:], c)
	return s
}

// The constant "more" is a special value for an offset or for a number of digits. It
// means that the value depends on later input.
const more = -1

// read returns the symbols at offset i in a view, and the offset after these symbols. If
// the input ends inside an escape, this offset is the constant "more".
func (in *input) read(v view, i int) (s symbols, next int) {
	c := in.b[i]
	switch {
	case v == asIs:
	case v == joined && (c == '\n' || c == '\r' || c == '\\'):
		next = in.readLineEnd(i)
	case (v == percent || v == form) && c == '%':
		s, next = in.readPercent(i)
	case v == form && c == '+':
		s, next = one(' '), i+1
	case v == references && c == '&':
		s, next = in.readReference(i)
	case v == joined || v == percent || v == form || v == references:
	case c == '\\':
		switch v {
		case escapedTwice:
			s, next = in.readTwice(i, escaped)
		case escapedTwiceRunes:
			s, next = in.readTwice(i, escapedRunes)
		default:
			s, next = in.readBackslash(i, v == escapedRunes)
		}
	case isQuote(c):
		next = in.readBreak(i)
	}
	if next == 0 || next == more && in.last {
		return one(c), i + 1 // The byte is not part of an escape.
	}
	return s, next
}

// readLineEnd reads the line ends at offset i and the spaces after these line ends. It
// returns the offset after them. It returns 0 if there is no line end at i. An escaped
// line end may have several backslashes, because a program may escape the text several
// times.
func (in *input) readLineEnd(i int) (next int) {
	if !in.isJoined(i) {
		return 0
	}
	end, at := i, i
scan:
	for ; at < len(in.b); at++ {
		c := in.b[at]
		if c == '\\' {
			continue // The next character decides whether this is a line end.
		}
		escaped := at > end
		switch {
		case escaped && (c == 'n' || c == 'r'):
		case !escaped && (c == '\n' || c == '\r'):
		case !escaped && end > i && (c == ' ' || c == '\t'):
		default:
			break scan
		}
		end = at + 1
	}
	switch {
	case at == len(in.b) && !in.last:
		return more
	case end == i:
		return 0
	default:
		return end
	}
}

// isJoined reports whether the view "joined" may skip a line end at i.
func (in *input) isJoined(i int) bool { return in.runBefore(i) >= minJoined }

// runBefore returns the number of consecutive base64 characters before i. The result is
// at most minJoined.
func (in *input) runBefore(i int) int {
	n := 0
	for n < minJoined && n < i {
		if base64Digit(in.b[i-n-1]) < 0 {
			return n
		}
		n++
	}
	if n < minJoined {
		n = min(n+in.run, minJoined)
	}
	return n
}

// number parses a number at the beginning of b. The parameters "least" and "most" limit
// the number of digits. The result "digits" is 0 if b does not begin with such a number.
// It is the constant "more" if b ends inside the number.
func number(b []byte, base rune, least, most int) (n rune, digits int) {
	for _, c := range b {
		d := rune(hexDigit(c))
		if d < 0 || d >= base || digits == most {
			if digits < least {
				return 0, 0
			}
			return n, digits
		}
		n = n*base + d
		digits++
	}
	if digits < most {
		return n, more
	}
	return n, digits
}

// readBackslash reads a backslash escape at offset i. If there is no such escape, the
// result "next" is 0. If the parameter "runes" is true, \xHH and octal escapes are
// characters.
func (in *input) readBackslash(i int, runes bool) (s symbols, next int) {
	b := in.b[i+1:]
	if len(b) == 0 {
		return s, more
	}
	const short, means = "\"\\/'`abfnrtv", "\"\\/'`\a\b\f\n\r\t\v"
	if k := strings.IndexByte(short, b[0]); k >= 0 {
		return one(means[k]), i + 2
	}
	switch b[0] {
	case 'x':
		n, digits := number(b[1:], 16, 2, 2)
		return numbered(n, runes), afterNumber(i+2, digits, in.last, 2)
	case 'u':
		if len(b) > 1 && b[1] == '{' {
			return in.readBraces(i)
		}
		return in.readUTF16(i)
	case 'U':
		n, digits := number(b[1:], 16, 8, 8)
		return oneRune(n), afterNumber(i+2, digits, in.last, 8)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, digits := number(b, 8, 1, 3)
		if digits == more && in.last {
			n, digits = number(append(b[:len(b):len(b)], ' '), 8, 1, 3)
		}
		return numbered(n, runes), afterNumber(i+1, digits, in.last, 1)
	}
	return s, 0
}

// readTwice reads an escape at offset i in text that was escaped twice. The view v must
// be the constant "escaped" or escapedRunes.
func (in *input) readTwice(i int, v view) (s symbols, next int) {
	var inner [maxEscapes]byte
	var ends [maxEscapes]int
	for n, at := 0, i; n < len(inner) && at < len(in.b); {
		read, after := in.read(v, at)
		if after == more {
			break
		}
		at = after
		if read.n == 0 {
			continue
		}
		if read.n > 1 && n == 0 {
			return read, at
		}
		// The inner escape contains only characters of one byte. If the outer escape is a
		// longer character, its first byte does not match the inner escape. So the
		// character does not belong to the inner escape.
		inner[n], ends[n] = read.bytes[0], at
		if n++; inner[0] != '\\' {
			return read, at
		}
		within := input{b: inner[:n], last: n == len(inner)}
		if s, next = within.readBackslash(0, v == escapedRunes); next != more {
			if next == 0 {
				return one('\\'), ends[0]
			}
			return s, ends[next-1]
		}
	}
	if in.last {
		return one('\\'), 0
	}
	return s, more
}

func isQuote(c byte) bool { return c == '\'' || c == '"' || c == '`' }

// readBreak reads the text between two literals on consecutive lines. This text is a
// quote, an optional +, a line end and a quote. readBreak returns the offset after this
// text. It returns 0 if the text at i is different.
func (in *input) readBreak(i int) (next int) {
	at := i + 1
	skip := func(text string) {
		if strings.HasPrefix(string(in.b[at:min(len(in.b), at+len(text))]), text) {
			at += len(text)
		}
	}
	skip(" +")
	skip("\r")
	line := at
	if skip("\n"); at == line {
		// The input may end inside the text between the literals.
		for _, begun := range []string{"", " ", " +", " +\r", "\r"} {
			if string(in.b[i+1:min(len(in.b), i+1+len(" +\r")+1)]) == begun {
				return more
			}
		}
		return 0
	}
	for at < len(in.b) && (in.b[at] == ' ' || in.b[at] == '\t') {
		at++
	}
	skip("b")
	switch {
	case at == len(in.b):
		return more
	case isQuote(in.b[at]):
		return at + 1
	default:
		return 0
	}
}

// The function "numbered" converts the number in an escape to symbols. If the parameter
// "runes" is true, the number means a character. Otherwise it means a byte.
func numbered(n rune, runes bool) symbols {
	if runes {
		return oneRune(n)
	}
	return one(byte(n))
}

// afterNumber returns the offset after a number at i. The parameter "digits" is the
// result of the function "number". afterNumber returns 0 if the number is missing or has
// fewer digits than the parameter "least".
func afterNumber(i, digits int, last bool, least int) int {
	switch {
	case digits == 0, digits == more && last, digits > 0 && digits < least:
		return 0
	case digits == more:
		return more
	default:
		return i + digits
	}
}

// readBraces reads an escape of the form \u{…} at i.
func (in *input) readBraces(i int) (s symbols, next int) {
	n, digits := number(in.b[i+3:], 16, 1, 6)
	if next = afterNumber(i+3, digits, in.last, 1); next <= 0 {
		return s, next
	}
	switch {
	case next == len(in.b):
		return s, more
	case in.b[next] != '}':
		return s, 0
	}
	return oneRune(n), next + 1
}

// readUTF16 reads an escape of the form \uHHHH at i, or two such escapes that are a
// surrogate pair.
func (in *input) readUTF16(i int) (s symbols, next int) {
	n, digits := number(in.b[i+2:], 16, 4, 4)
	if next = afterNumber(i+2, digits, in.last, 4); next <= 0 || !utf16.IsSurrogate(n) {
		return oneRune(n), next
	}
	const prefix = `\u`
	b := in.b[next:]
	if len(b) < len(prefix) && strings.HasPrefix(prefix, string(b)) && !in.last {
		return s, more
	}
	if !strings.HasPrefix(string(b[:min(len(b), len(prefix))]), prefix) {
		return oneRune(n), next
	}
	low, digits := number(b[2:], 16, 4, 4)
	switch {
	case digits == more && !in.last:
		return s, more
	case digits == 4 && utf16.DecodeRune(n, low) != utf8.RuneError:
		return oneRune(utf16.DecodeRune(n, low)), next + 6
	default:
		return oneRune(n), next
	}
}

// readPercent reads an escape of the form %HH at i. The result "next" is 0 if there is no
// such escape.
func (in *input) readPercent(i int) (s symbols, next int) {
	n, digits := number(in.b[i+1:], 16, 2, 2)
	return one(byte(n)), afterNumber(i+1, digits, in.last, 2)
}

// maxReference is the maximum length of a character reference in bytes.
const maxReference = len("&#x0010FFFF;")

// readReference reads a character reference, such as &amp;, at i. The result "next" is 0
// if there is no such reference.
func (in *input) readReference(i int) (s symbols, next int) {
	b := in.b[i:min(len(in.b), i+maxReference)]
	end := 1
	for end < len(b) && (alphanumeric(b[end]) || end == 1 && b[end] == '#') {
		end++
	}
	if end == len(b) && end < maxReference && mayBeReference(string(b)) {
		return s, more
	}
	if end == len(b) || b[end] != ';' {
		return s, 0
	}
	name := string(b[1:end])
	next = i + end + 1
	for _, e := range entities() {
		if name == e.name {
			return oneRune(e.means), next
		}
	}
	digits, base := "", rune(10)
	if rest, ok := strings.CutPrefix(name, "#"); ok {
		digits = rest
	}
	if len(digits) > 0 && (digits[0] == 'x' || digits[0] == 'X') {
		digits, base = digits[1:], 16
	}
	n, size := number([]byte(digits+";"), base, 1, 8)
	if size != len(digits) || size == 0 {
		return s, 0
	}
	return oneRune(n), next
}

type entity struct {
	name  string
	means rune
}

func entities() []entity {
	return []entity{{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", '\u00a0'}}
}

// mayBeReference reports whether the text is the beginning of a character reference.
func mayBeReference(text string) bool {
	if len(text) == 1 || text[1] == '#' {
		return true
	}
	for _, e := range entities() {
		if strings.HasPrefix(e.name+";", text[1:]) {
			return true
		}
	}
	return false
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
