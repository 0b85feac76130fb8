package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// documentedForm is a row of the table in docs/secrets.md. The row describes one form of
// secret values that redaction finds.
type documentedForm struct {
	name string
	// The function "write" encodes a value in this form. If the form has several
	// variants, the function chooses a random variant.
	write func(r *rand.Rand, value string) string
	// The field "window" is the number of characters that encode MinBytes of the value.
	// The redacted text must not contain this number of consecutive characters of the
	// encoded value.
	window int
	// The field "around" contains the characters that encode the additional bytes before
	// and after a value. The function "aligned" adds these bytes.
	around string
}

// forms returns all forms in the order of the table in docs/secrets.md.
func forms() []documentedForm {
	return []documentedForm{
		{"the value itself", func(_ *rand.Rand, v string) string { return v }, 6, ""},
		{"JSON strings", inJSON, 7 * 12, ""},
		{"`repr` and `ascii` of `str`", reprOfStr, 7 * 10, ""},
		{"`repr` of `bytes`", reprOfBytes, 7 * 4, ""},
		{"string literals", literal, 7 * 10, ""},
		{"one of the forms above inside a string", inString, 7 * 20, ""},
		{"base64", inBase64, 12, "paWlZ="},
		{"base64 in lines", inLines, 16, "paWlZ= \\rn\r\n"},
		{"hexadecimal", inHex, 14, ""},
		{"percent-encoding", percentEncoded, 7 * 3, ""},
		{"character references", inHTML, 7 * 12, ""},
	}
}

func TestFormsMatchTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/secrets.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := bytes.Cut(page, []byte("| form | variants |\n|---|---|\n"))
	table, _, _ = bytes.Cut(table, []byte("\n\n"))
	var rows, tested []string
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \|`).FindAllSubmatch(table, -1) {
		rows = append(rows, string(row[1]))
	}
	for _, f := range forms() {
		tested = append(tested, f.name)
	}
	if !slices.Equal(rows, tested) {
		t.Errorf("docs/secrets.md has %q, the tests have %q", rows, tested)
	}
}

func digits(r *rand.Rand, format string, n any) string {
	s := fmt.Sprintf(format, n)
	if r.IntN(2) == 0 {
		return strings.ToUpper(s)
	}
	return s
}

func utf16Escapes(r *rand.Rand, c rune) string {
	var b strings.Builder
	for _, unit := range utf16.AppendRune(nil, c) {
		b.WriteString(`\u` + digits(r, "%04x", unit))
	}
	return b.String()
}

// inJSON encodes a value as JSON. It also escapes some random characters that do not have
// to be escaped.
func inJSON(r *rand.Rand, v string) string {
	if r.IntN(3) == 0 {
		quoted, _ := json.Marshal(v)
		return string(quoted[1 : len(quoted)-1])
	}
	likes := []string{"", "/", "<>&'", "/<>&'", "all", "half"}[r.IntN(6)]
	ascii := r.IntN(2) == 0
	var b strings.Builder
	for _, c := range v {
		short := strings.IndexRune("\"\\\b\f\n\r\t", c)
		switch {
		case likes == "all", likes == "half" && r.IntN(2) == 0:
			b.WriteString(utf16Escapes(r, c))
		case short >= 0:
			b.WriteString(`\` + "\"\\bfnrt"[short:short+1])
		case c == '/' && strings.Contains(likes, "/"):
			b.WriteString(`\/`)
		case c < ' ', ascii && c > '~', strings.ContainsRune(likes, c):
			b.WriteString(utf16Escapes(r, c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func reprOfStr(r *rand.Rand, v string) string {
	quote := "'"
	if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
		quote = `"`
	}
	ascii := r.IntN(2) == 0
	var b strings.Builder
	for _, c := range v {
		switch {
		case c == '\\', string(c) == quote:
			b.WriteString(`\` + string(c))
		case c == '\n', c == '\r', c == '\t':
			b.WriteString(map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`}[c])
		case c < ' ', c >= 0x7f && c <= 0xa0, c == 0xad, c < 0x100 && c >= 0x7f && ascii:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c == 0x200b, c == 0x2028, c > 0x7f && c < 0x10000 && ascii:
			fmt.Fprintf(&b, `\u%04x`, c)
		case c == 0xe0001, c >= 0x10000 && ascii:
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func reprOfBytes(_ *rand.Rand, v string) string {
	quote := byte('\'')
	if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
		quote = '"'
	}
	var b strings.Builder
	for _, c := range []byte(v) {
		switch {
		case c == '\\', c == quote:
			b.WriteString(`\` + string(rune(c)))
		case c == '\n', c == '\r', c == '\t':
			b.WriteString(map[byte]string{'\n': `\n`, '\r': `\r`, '\t': `\t`}[c])
		case c < ' ', c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// The function "literal" encodes a value like a string literal of a programming language.
func literal(r *rand.Rand, v string) string {
	if r.IntN(3) == 0 {
		quoted := fmt.Sprintf([]string{"%q", "%+q"}[r.IntN(2)], v)
		return quoted[1 : len(quoted)-1]
	}
	octal := r.IntN(2) == 0
	var b strings.Builder
	for _, c := range v {
		switch {
		case c < utf8.RuneSelf && strings.ContainsRune("\"'\\`", c):
			b.WriteString(`\` + string(c))
		case c >= ' ' && c <= '~' && r.IntN(8) > 0:
			b.WriteRune(c)
		case octal:
			for _, c := range []byte(string(c)) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		case c < utf8.RuneSelf && r.IntN(2) == 0:
			b.WriteString(`\x` + digits(r, "%02x", c))
		default:
			b.WriteString(`\u{` + digits(r, "%x", c) + `}`)
		}
	}
	return b.String()
}

// inString encodes a value in a string that is part of another string. The outer string
// is JSON, a Python repr, or a literal of several lines.
func inString(r *rand.Rand, v string) string {
	once := []func(*rand.Rand, string) string{inJSON, reprOfStr, reprOfBytes, func(_ *rand.Rand, v string) string { return v }}[r.IntN(4)](r, v)
	switch r.IntN(3) {
	case 0:
		quoted, _ := json.Marshal(once)
		return string(quoted[1 : len(quoted)-1])
	case 1:
		return reprOfStr(r, once)
	}
	lines := strings.SplitAfter(v, "\n")
	between := []string{"' +\n  '", "'\n '", "\" +\n\"", "'\r\n    '"}[r.IntN(4)]
	for i := range lines {
		lines[i] = reprOfStr(r, lines[i])
	}
	return strings.Join(lines, between)
}

func encodings() []*base64.Encoding {
	return []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}
}

// The function "aligned" adds up to three bytes before and after the value. So the
// position of the value in the encoding changes.
func aligned(r *rand.Rand, v string) []byte {
	return []byte(strings.Repeat("\xa5", r.IntN(4)) + v + strings.Repeat("\x5a", r.IntN(4)))
}

func inBase64(r *rand.Rand, v string) string {
	return encodings()[r.IntN(4)].EncodeToString(aligned(r, v))
}

func inLines(r *rand.Rand, v string) string {
	before := strings.Repeat("\xa5", r.IntN(80))
	text := encodings()[r.IntN(4)].EncodeToString([]byte(before + string(aligned(r, v))))
	width := []int{64, 76, 60, 20}[r.IntN(4)]
	end := []string{"\n", "\r\n", `\n`, `\r\n`, "\n  "}[r.IntN(5)]
	var lines []string
	for ; len(text) > width; text = text[width:] {
		lines = append(lines, text[:width])
	}
	return strings.Join(append(lines, text), end)
}

func inHex(r *rand.Rand, v string) string {
	if r.IntN(2) == 0 {
		return strings.ToUpper(hex.EncodeToString([]byte(v)))
	}
	return hex.EncodeToString([]byte(v))
}

func percentEncoded(r *rand.Rand, v string) string {
	switch r.IntN(4) {
	case 0:
		return url.QueryEscape(v)
	case 1:
		return url.PathEscape(v)
	}
	plus := r.IntN(2) == 0
	keep := []string{"", "-._~", "-._~/", "-._~!'()*", "-._~!'()*;/?:@&=$,#"}[r.IntN(5)]
	if !plus && r.IntN(2) == 0 {
		keep += "+"
	}
	all := r.IntN(3) == 0
	var b strings.Builder
	for _, c := range []byte(v) {
		switch {
		case c == ' ' && plus:
			b.WriteByte('+')
		case strings.IndexByte(keep, c) >= 0, !all && c < utf8.RuneSelf && regexp.MustCompile(`\w`).Match([]byte{c}):
			b.WriteByte(c)
		default:
			b.WriteString("%" + digits(r, "%02x", c))
		}
	}
	return b.String()
}

func inHTML(r *rand.Rand, v string) string {
	if r.IntN(3) == 0 {
		return html.EscapeString(v)
	}
	var b strings.Builder
	for _, c := range v {
		name := map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;", '"': "&quot;", '\'': "&#x27;", 0xa0: "&nbsp;"}[c]
		switch {
		case name != "":
			b.WriteString(name)
		case c > '~' && r.IntN(2) == 0, r.IntN(10) == 0:
			b.WriteString([]string{fmt.Sprintf("&#%d;", c), "&#x" + digits(r, "%x", c) + ";"}[r.IntN(2)])
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// randomValue returns a typical secret value. It is a token, a password, a key of several
// lines, or text in any script.
func randomValue(r *rand.Rand) string {
	alphabet := [][]rune{
		[]rune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
		[]rune("abcXYZ019 -_.~+/=!'\"()*;?:@&$,#<>%\\`|{}[]^"),
		[]rune("ab'\"\\\n\r\t\x01\x1b\x7f%é€😀ß\u00a0\u0085\u200b\u2028\u00ad\U000e0001"),
		[]rune("ab"),
	}[r.IntN(4)]
	length := []int{6 + r.IntN(20), 6 + r.IntN(60), 60 + r.IntN(10), 100 + r.IntN(3000)}[r.IntN(4)]
	var b strings.Builder
	for range length {
		b.WriteRune(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// The function "around" returns random text that contains no values, but contains
// beginnings of escapes. Tests put this text before and after an encoded value.
func around(r *rand.Rand) string {
	parts := []string{"", " ", "\n", "x", "%", "%4", `\`, `\u`, `\u00`, "&", "&#", "&a", "+", "=", "0", "A", "é", "\r\n", "\x00", "the output of a program "}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// The function "leaks" searches the text for parts of an encoded value (the parameter
// "written"). It returns the first part that the text contains, or "". The parameter
// "window" is the length of a part. The function ignores parts that also occur in the
// texts before and after the value. It also ignores parts that consist mostly of
// characters in the parameter "around".
func leaks(text, written, before, after, around string, window int) string {
	for i := 0; i+window <= len(written); i++ {
		part := written[i : i+window]
		// Skip a part that has few characters of the value. Such a part consists mostly
		// of characters that encode the added bytes.
		if around != "" && len(strings.Trim(part, around)) < 10 {
			continue
		}
		if strings.Contains(text, part) && !strings.Contains(before, part) && !strings.Contains(after, part) {
			return part
		}
	}
	return ""
}

// checkForms calls the given function many times for each form. The arguments include a
// random value in this form. They also include random texts that the function can put
// before and after the value.
func checkForms(t *testing.T, check func(t *rapid.T, r *rand.Rand, all *redact.Redactor, f documentedForm, written, before, after string)) {
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				value := randomValue(r)
				values := []string{value}
				for range r.IntN(4) {
					values = append(values, randomValue(r))
				}
				if r.IntN(4) == 0 && len(value) > 8 {
					values = append(values, value+"more", value[1:], strings.Repeat("a", 63)+"b")
				}
				all := redact.New(secrets(values...))
				check(t, r, all, f, f.write(r, value), around(r), around(r))
			})
		})
	}
}

func TestTextFindsValuesInAllDocumentedForms(t *testing.T) {
	checkForms(t, func(t *rapid.T, _ *rand.Rand, all *redact.Redactor, f documentedForm, written, before, after string) {
		got, n := all.Text([]byte(before + written + after))
		// Base64 characters at the ends of the value may remain in the text, because they
		// also encode the bytes before and after the value.
		if leak := leaks(string(got), written, before, after, f.around, max(f.window, 12)); n == 0 || leak != "" {
			t.Fatalf("%q of %q remains in %q", leak, before+written+after, got)
		}
	})
}

func TestStreamIgnoresSplits(t *testing.T) {
	checkForms(t, func(t *rapid.T, r *rand.Rand, all *redact.Redactor, _ documentedForm, written, before, after string) {
		text := []byte(before + written + after + written)
		cut := r.IntN(2) == 0
		if cut {
			text = text[:r.IntN(len(text)+1)]
		}
		want, count := all.Cut(text, false, cut)
		s := all.Stream()
		var got []byte
		for rest := text; len(rest) > 0; {
			n := min(1+r.IntN([]int{1, 4, 100}[r.IntN(3)]), len(rest))
			got = append(got, s.Write(rest[:n])...)
			rest = rest[n:]
		}
		got = append(got, s.Close(cut)...)
		if !bytes.Equal(got, want) || s.Count() != count {
			t.Fatalf("%q, written in pieces, became\n%q, %d, not\n%q, %d", text, got, s.Count(), want, count)
		}
	})
}

func TestCutFindsTruncatedValues(t *testing.T) {
	checkForms(t, func(t *rapid.T, r *rand.Rand, all *redact.Redactor, f documentedForm, written, before, after string) {
		at := r.IntN(len(written) + 1)
		head, tail := before+written[:at], written[at:]+after
		got, _ := all.Cut([]byte(head), false, true)
		if leak := leaks(string(got), written[:at], before, "", f.around, f.window+2); leak != "" {
			t.Fatalf("%q of the head %q remains in %q", leak, head, got)
		}
		got, _ = all.Cut([]byte(tail), true, false)
		if leak := leaks(string(got), written[at:], "", after, f.around, f.window+6); leak != "" {
			t.Fatalf("%q of the tail %q remains in %q", leak, tail, got)
		}
	})
}

func FuzzForms(f *testing.F) {
	f.Add(uint64(1), []byte("split"))
	f.Fuzz(func(t *testing.T, seed uint64, splits []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		form := forms()[r.IntN(len(forms()))]
		value := randomValue(r)
		written := form.write(r, value)
		s := redact.New([]pyth.SecretValue{{Name: "N", Value: []byte(value)}}).Stream()
		var got []byte
		rest := []byte(written)
		for _, n := range splits {
			n := min(int(n), len(rest))
			got = append(got, s.Write(rest[:n])...)
			rest = rest[n:]
		}
		got = append(append(got, s.Write(rest)...), s.Close(false)...)
		if leak := leaks(string(got), written, "", "", form.around, max(form.window, 12)); leak != "" {
			t.Errorf("%s: %q of %q remains in %q", form.name, leak, written, got)
		}
	})
}
