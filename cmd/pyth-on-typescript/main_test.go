package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestCompileSupportsAllSyntax(t *testing.T) {
	for name, c := range map[string]struct{ tsconfig, source, want string }{
		"enum":                {"", "enum E { A }\nE.A", "E2[E2[\"A\"] = 0]"},
		"standard decorators": {"", "class A { @d m() {} }", "__decorateElement"},
		"legacy decorators":   {`{"compilerOptions": {"experimentalDecorators": true}}`, "class A { @d m() {} }", "__decorateClass"},
		"comments in the configuration": {
			"{\n// legacy\n\"compilerOptions\": {\"experimentalDecorators\": true,},}",
			"class A { @d m() {} }", "__decorateClass",
		},
		"import of CommonJS": {"", "import fs = require('fs'); fs.x", `const fs = require("fs")`},
		"unused expression":  {"", "enum E { A }\n1 + 1", "1 + 1;"},
	} {
		got := compile(request{File: "/work/main.ts", Source: c.source, Tsconfig: c.tsconfig})
		if got.Error != nil || !strings.Contains(got.Code, c.want) || !strings.Contains(got.Map, "/work/main.ts") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestErrorsHaveALocation(t *testing.T) {
	got := compile(request{File: "main.ts", Source: "enum E { A }\nlet x = ;"})
	if got.Error == nil || got.Error.Line != 2 || got.Error.LineText != "let x = ;" {
		t.Errorf("got %+v", got.Error)
	}
	if got := compile(request{Source: "const x = <b>y</b>", JSX: true}); got.Error != nil {
		t.Errorf("got %+v", got.Error)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("enum E { A }", "{}")
	f.Add("class A { @d m() {} }", `{"compilerOptions": 1}`)
	f.Fuzz(func(t *testing.T, source, tsconfig string) {
		in, err := json.Marshal(request{File: "main.ts", Source: source, Tsconfig: tsconfig})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run(bytes.NewReader(in), &out); err != nil || !json.Valid(out.Bytes()) {
			t.Errorf("got %v: %s", err, &out)
		}
	})
}
