package claude

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// read parses the answer in pieces and returns the explanation. The parameter "size"
// is the number of characters in each piece.
func read(answer string, size int) string {
	var f explanationParser
	var text strings.Builder
	runes := []rune(answer)
	for len(runes) > 0 {
		n := min(size, len(runes))
		text.WriteString(f.write(string(runes[:n])))
		runes = runes[n:]
	}
	return text.String()
}

func TestFieldReadsPartialAnswer(t *testing.T) {
	for answer, want := range map[string]string{
		`{"explanation":"plain","code":"x"}`:                           "plain",
		`{ "code" : "explanation" , "explanation" : "second" }`:        "second",
		`{"explanation":"a\nb\t\"c\\ é 🐍 \u00e9 \ud83d\udc0d \/"}`:     "a\nb\t\"c\\ é 🐍 é 🐍 /",
		`{"explanation":"lone \ud83d, \udc0d and \ud83d\ud83d\udc0d"}`: "lone \uFFFD, \uFFFD and \uFFFD🐍",
		`{"other":{"explanation":"inner"},"explanation":"outer"}`:      "outer",
		`{"other":["explanation","a"],"explanation":"outer"}`:          "outer",
		`{"explanation":["not","text"]}`:                               "",
		`{"\u0065xplanation":"escaped"}`:                               "escaped",
		`{"explanation":"has not yet en`:                               "has not yet en",
		`prose`:                                                        "",
		``:                                                             "",
	} {
		for _, size := range []int{1, 2, 3, 7, 1000} {
			if got := read(answer, size); got != want {
				t.Errorf("%s by %d: got %q, want %q", answer, size, got, want)
			}
		}
	}
}

func FuzzField(f *testing.F) {
	for _, seed := range []string{
		`{"explanation":"a\nb \ud83d\udc0d","code":"x"}`, `{"code":{"explanation":"1"},"explanation":"2"}`, `{"explanation":"\ud83dx"}`,
		`{"explanation":1,"explanation":"2"}`, `[{"explanation":"x"}]`, `{"explanation":"\u12`, `}{"explanation":"`,
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, answer string, size int) {
		if size < 1 || !utf8.ValidString(answer) {
			return
		}
		whole := read(answer, max(len(answer), 1))
		if got := read(answer, size); got != whole {
			t.Errorf("got %q in pieces of %d, and %q at once", got, size, whole)
		}
		var object map[string]json.RawMessage
		// Skip an answer that contains the explanation twice. The parser returns both
		// values, but json.Unmarshal keeps only the last value.
		if json.Unmarshal([]byte(answer), &object) != nil || object == nil || strings.Count(answer, "xplanation")+strings.Count(answer, `\u`) != 1 {
			return
		}
		var want string
		if json.Unmarshal(object["explanation"], &want) == nil && whole != want {
			t.Errorf("got %q, want %q", whole, want)
		}
	})
}
