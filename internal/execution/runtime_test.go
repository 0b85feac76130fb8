package execution_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

func TestFindRuntime(t *testing.T) {
	offered := []pyth.LanguageInfo{
		{Name: pyth.Python, Version: "3.14.6", Runtimes: []pyth.RuntimeInfo{{Name: "science", Version: "3.11.2"}, {Name: "both", Version: "3.9.2"}}},
		{Name: pyth.JavaScript, Runtimes: []pyth.RuntimeInfo{{Name: "both", Version: "24.1.0"}}},
	}
	for name, c := range map[string]struct {
		runtime  pyth.Runtime
		language pyth.Language
		want     pyth.Runtime
		code     pyth.Code
		message  string
	}{
		"no runtime means the built-in image":  {language: pyth.Python},
		"the built-in image":                   {runtime: "python", language: pyth.Python},
		"a custom image":                       {runtime: "science", language: pyth.Python, want: "science"},
		"an image for two languages":           {runtime: "both", language: pyth.JavaScript, want: "both"},
		"unknown image":                        {runtime: "none", language: pyth.Python, code: pyth.CodeInvalid, message: `must be a runtime for python: "python", "science", "both"`},
		"an image for another language":        {runtime: "science", language: pyth.JavaScript, code: pyth.CodeInvalid, message: `must be a runtime for javascript: "both"`},
		"a language without a runtime":         {runtime: "science", language: pyth.TypeScript, code: pyth.CodeInvalid, message: "must be a runtime for typescript; this server has none"},
		"no runtime without a built-in image":  {language: pyth.JavaScript, code: pyth.CodeRuntimeUnavailable},
		"the name of a missing built-in image": {runtime: "node", language: pyth.JavaScript, code: pyth.CodeRuntimeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := execution.FindRuntime(c.runtime, c.language, offered)
			if got != c.want || (err != nil || c.code != "") && pyth.ErrorCode(err) != c.code {
				t.Fatalf("got %q, %v", got, err)
			}
			if c.code != pyth.CodeInvalid {
				return
			}
			var e *pyth.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff([]pyth.FieldError{{Location: "body.runtime", Message: c.message}}, e.Fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}
