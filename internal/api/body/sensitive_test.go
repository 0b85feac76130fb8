package body

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestConcealRemovesTextFromBody(t *testing.T) {
	for name, c := range map[string]struct{ body, left, text string }{
		"a text":                 {`{"p":"secret"}`, `{"p":"xxxxxx"}`, "secret"},
		"with escapes":           {`{"p":"a\"\u00e4\n"}`, `{"p":"xxxxxxxxxxx"}`, "a\"ä\n"},
		"between other fields":   {`{"a":{"p":"no"},"p" : "yes", "b":["p"]}`, `{"a":{"p":"no"},"p" : "xxx", "b":["p"]}`, "yes"},
		"a name with escapes":    {`{"\u0070":"yes"}`, `{"\u0070":"xxx"}`, "yes"},
		"duplicate name":         {`{"p":"one","p":"two"}`, `{"p":"xxx","p":"xxx"}`, "two"},
		"an empty text":          {`{"p":""}`, `{"p":""}`, ""},
		"a number":               {`{"p":1}`, `{"p":1}`, ""},
		"invalid JSON after it":  {`{"p":"yes",]`, `{"p":"xxx",]`, "yes"},
		"invalid JSON before it": {`{"a":],"p":"no"}`, `{"a":],"p":"no"}`, ""},
		"invalid JSON in it":     {`{"p":"a\ud800"}`, `{"p":"a\ud800"}`, ""},
		"a list":                 {`["p","no"]`, `["p","no"]`, ""},
		"nothing":                {``, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(c.body)
			text := conceal(body, "p")
			if string(text) != c.text || string(body) != c.left {
				t.Errorf("got %q, and %s remains", text, body)
			}
		})
	}
}

// FuzzConceal compares the text that conceal returns with the result of a JSON decoder.
// It also checks that the body no longer contains the text.
func FuzzConceal(f *testing.F) {
	for _, seed := range []string{`{"p":"secret"}`, `{"p":"\ud83d\ude00","a":[{}]}`, `{"p":"a","p":"b"}`, `{"p":1}`, `{"p":"`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var before struct {
			P any `json:"p"`
		}
		valid := json.Unmarshal(body, &before) == nil
		left := bytes.Clone(body)
		text := conceal(left, "p")
		if len(left) != len(body) {
			t.Fatalf("%q became %q", body, left)
		}
		if !valid {
			return
		}
		want, _ := before.P.(string)
		var after struct {
			P any `json:"p"`
		}
		if err := json.Unmarshal(left, &after); err != nil || string(text) != want {
			t.Fatalf("%q: %q, %v, and %q remains", body, text, err, left)
		}
		if s, _ := after.P.(string); strings.Trim(s, "x") != "" {
			t.Fatalf("%q of %q remains", s, body)
		}
	})
}
