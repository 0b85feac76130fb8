package pyth_test

import (
	"slices"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestLanguagesBelongToTheirRuntime(t *testing.T) {
	var all []pyth.Language
	mounts := map[string]bool{}
	for _, r := range pyth.Runtimes() {
		if !r.BuiltIn() || r.Title() == "" || r.LayerPath() == "" || mounts[r.LayerPath()] {
			t.Errorf("%s: title %q, layers at %q", r, r.Title(), r.LayerPath())
		}
		mounts[r.LayerPath()] = true
		languages := r.Languages()
		for _, l := range languages {
			if !l.Known() || l.Runtime() != r || l.Main() != languages[0] || pyth.LanguageOf("x/"+l.File()) != l {
				t.Errorf("%s: runtime %s, main language %s, file %s", l, l.Runtime(), l.Main(), l.File())
			}
		}
		all = append(all, languages...)
	}
	if !slices.Equal(all, pyth.Languages()) || !slices.Equal(all, []pyth.Language{"python", "bash", "javascript", "typescript"}) {
		t.Errorf("the languages are %q and %q", all, pyth.Languages())
	}
	if got := pyth.AnyOfLanguages(); got != `"python", "bash", "javascript" or "typescript"` {
		t.Errorf("an error lists %s", got)
	}
}

func TestLanguageOfUnknown(t *testing.T) {
	for file, want := range map[string]pyth.Language{"a.mjs": pyth.JavaScript, "a.cts": pyth.TypeScript, "a.sh": pyth.Bash, "a": "", "py": "", "a.rb": "", "": ""} {
		if got := pyth.LanguageOf(file); got != want {
			t.Errorf("LanguageOf(%q) is %q, not %q", file, got, want)
		}
	}
	const cobol = pyth.Language("cobol")
	if cobol.Known() || cobol.Runtime() != pyth.PythonRuntime || cobol.File() != "main.py" || cobol.Main() != cobol {
		t.Errorf("known: %v, runtime %s, file %s, main language %s", cobol.Known(), cobol.Runtime(), cobol.File(), cobol.Main())
	}
	const custom = pyth.Runtime("science")
	if custom.BuiltIn() || custom.Title() != "science" || custom.LayerPath() != "" || custom.Languages() != nil {
		t.Errorf("built in: %v, title %q, layers at %q, languages %v", custom.BuiltIn(), custom.Title(), custom.LayerPath(), custom.Languages())
	}
}
