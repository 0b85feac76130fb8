package npm

import (
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/resolve/resolvetest"
)

func TestParseNormalizesRequirements(t *testing.T) {
	for in, want := range map[string]string{
		"lodash":                     "lodash",
		"lodash@latest":              "lodash",
		"@noble/hashes":              "@noble/hashes",
		"@noble/hashes@^1.4.0":       "@noble/hashes@^1.4.0",
		"zod@>=3  <5":                "zod@>=3 <5",
		"zod@>= 3 || 4.x":            "zod@>= 3 || 4.x",
		"zod@1.2.3 - 2":              "zod@1.2.3 - 2",
		"zod@*":                      "zod@*",
		"zod@~1.2":                   "zod@~1.2",
		"JSONStream@1.3.5-rc.1+b.17": "JSONStream@1.3.5-rc.1+b.17",
	} {
		r, err := parse(in)
		if err != nil || r.Text != want {
			t.Errorf("%q is %q, %v; want %q", in, r.Text, err, want)
		}
	}
}

func TestParseRefusesOtherTexts(t *testing.T) { resolvetest.CheckRefusal(t, parse, "a_") }

func FuzzParse(f *testing.F) { resolvetest.Fuzz(f, parse, true) }
