package results_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/pyth-on/pyth-on/internal/results"
)

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestJSONRoundTrip(t *testing.T) {
	for name, c := range map[string]struct {
		data, want, reason string
	}{
		"a value":                           {`{"a": [1, 2.5e3, true, null, "é"]}`, `{"a":[1,2.5e3,true,null,"é"]}`, ""},
		"invalid UTF-8":                     {"\"\xff\"", "\"\ufffd\"", ""},
		"a lone surrogate":                  {`"\ud800x"`, "\"\ufffdx\"", ""},
		"surrogates in WTF-8":               {"\"\xed\xa0\x80\"", "\"\ufffd\"", ""},
		"a pair":                            {`"\ud83d\ude00"`, `"😀"`, ""},
		"duplicate names":                   {`{"a":1,"a":2}`, "", "two members"},
		"duplicate names, escaped":          {`{"a":1,"\u0061":2}`, "", "two members"},
		"duplicate names after replacement": {"{\"\xff\":1,\"\ufffd\":2}", "", "two members"},
		"duplicate names of surrogates":     {`{"\ud800":1,"\udfff":2}`, "", "two members"},
		"deep enough":                       {nested(results.MaxDepth), nested(results.MaxDepth), ""},
		"too deep":                          {nested(results.MaxDepth + 1), "", "90 levels"},
		"far too deep":                      {nested(9_998), "", "levels"},
		"beyond all depth":                  {nested(200_000), "", "JSON"},
		"a long number":                     {strings.Repeat("1", 300), strings.Repeat("1", 300), ""},
		"too long a number":                 {"0." + strings.Repeat("1", 1000), "", "characters"},
		"far too long a number":             {strings.Repeat("1", 1_000_000), "", "characters"},
		"out of range":                      {"[1e400]", "", "range"},
		"tiny":                              {"1e-400", "1e-400", ""},
		"two values":                        {"1 2", "", "valid"},
		"nothing":                           {"", "", "valid"},
		"NaN":                               {"NaN", "", "valid"},
		"cut off":                           {`{"a":`, "", "valid"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := results.JSON([]byte(c.data))
			if got != c.want || (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %.100q, %v", got, err)
			}
		})
	}
}

// FuzzJSON checks that each accepted value can be encoded as JSON, and that the result
// can be parsed again.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"\ud800"}]}`, `{"a":1,"a":2}`, "\"\xed\xa0\x80\"", "1e400", nested(91), `{"\ufffd":1,"\ud800":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := results.JSON(data)
		if err != nil {
			if got != "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, %v", got, err)
			}
			return
		}
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if _, err := jsonv2.Marshal(map[string]any{"results": []any{map[string]any{"application/json": jsontext.Value(got)}}}); err != nil {
			t.Errorf("%q cannot be written: %v", got, err)
		}
		var v any
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Errorf("%q cannot be read: %v", got, err)
		}
		if again, err := results.JSON([]byte(got)); again != got || err != nil {
			t.Errorf("%q becomes %q, %v", got, again, err)
		}
	})
}
