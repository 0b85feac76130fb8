package statement_test

import (
	"testing"

	"github.com/pyth-on/pyth-on/internal/statement"
)

func TestIsComplete(t *testing.T) {
	for code, want := range map[string]bool{
		"x = 1\n":                              true,
		"\n":                                   true,
		"f(\n":                                 false,
		"f(\n1)\n":                             true,
		"print(\"(\")\n":                       true,
		"print('\\'(')\n":                      true,
		"# don't\n":                            true,
		"def f():\n":                           false,
		"def f():\n    return 1\n":             false,
		"def f():\n    return 1\n\n":           true,
		"@cache\n":                             false,
		"if x: y = 1\n":                        true,
		"x = 1 + \\\n":                         false,
		"text = \"\"\"\n":                      false,
		"text = \"\"\"\nline (\n\"\"\"\n":      false,
		"text = \"\"\"\nline\n\"\"\"\n":        true,
		"function f() {\n":                     false,
		"function f() {\n  return `a\n(`\n}\n": true,
		"for (const x of [1, 2]) console.log(x);\n": true,
		"f(\n\n\n": true,
	} {
		if got := statement.IsComplete(code); got != want {
			t.Errorf("%q: got %t", code, got)
		}
	}
}
