package generate

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

const hidden = "canary-of-the-secret"

func hiding() *redact.Redactor {
	return redact.New([]pyth.SecretValue{{Name: "CANARY", Value: []byte(hidden)}})
}

func TestExcerptHasBothEndsAndNoSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(rapid.Just(hidden), rapid.Just("\xff"), rapid.StringMatching(`[a-z]{0,9}`), rapid.Map(rapid.IntRange(0, 5000), func(n int) string { return strings.Repeat(".", n) }))
		output := []byte("head" + strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "output"), "") + "tail")
		x := newExcerpt(hiding())
		for rest := output; len(rest) > 0; {
			n := rapid.IntRange(1, min(len(rest), 4000)).Draw(t, "bytes")
			x.write(rest[:n])
			rest = rest[n:]
		}
		got := x.close(rapid.Bool().Draw(t, "cut"))
		if strings.Contains(got, hidden) || !strings.HasPrefix(got, "head") || !strings.HasSuffix(got, "tail") || !utf8.ValidString(got) {
			t.Fatalf("got %q", got)
		}
		// U+FFFD replaces each invalid byte. In UTF-8, this character has three bytes.
		if len(got) > 3*(headBytes+tailBytes)+100 {
			t.Fatalf("%d bytes", len(got))
		}
		whole := bytes.ReplaceAll(output, []byte(hidden), []byte("[secret:CANARY]"))
		if len(whole) <= headBytes+tailBytes && got != strings.ToValidUTF8(string(whole), "\uFFFD") {
			t.Fatalf("got %q of %q", got, output)
		}
	})
}

func FuzzSessionDefinitions(f *testing.F) {
	for _, seed := range []string{`[["a","int"]]`, `[]`, `{}`, `[[1,2]]`, `[["` + hidden + `","x"]]`, `[["` + strings.Repeat("é", 300) + `","x"]]`, `[["a"],["b","c","d"]]`, "\xff"} {
		f.Add([]byte(seed))
	}
	w := &work{hiding: hiding()}
	f.Fuzz(func(t *testing.T, printed []byte) {
		all := w.variables(printed)
		if len(all) > maxListed {
			t.Errorf("%d variables", len(all))
		}
		for _, v := range all {
			if strings.Contains(v.Name+" "+v.Type, hidden) || utf8.RuneCountInString(v.Name) > maxName || utf8.RuneCountInString(v.Type) > maxName {
				t.Errorf("got %+v", v)
			}
		}
	})
}

func FuzzMissingPackages(f *testing.F) {
	for _, seed := range []string{
		"No module named 'a.b'", "No module named '" + hidden + "'", "No module named '" + strings.ReplaceAll(hidden, "-", "_") + "'", "Cannot find module 'a/b'", "Cannot find package '@a/b/c'", "Cannot find module '../a'", "Cannot find module '@/'", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		for _, language := range []pyth.Language{pyth.Python, pyth.TypeScript} {
			w := &work{hiding: hiding(), result: &pyth.Generation{Language: language}}
			name := w.missingPackage(&pyth.ProgramError{Name: "ModuleNotFoundError", Message: message})
			odd := strings.ContainsFunc(name, func(r rune) bool {
				return !strings.ContainsRune("@/._-", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
			})
			if odd || strings.Contains(name, hidden) || strings.Contains(name, "..") && !strings.Contains(message, "..") || strings.HasPrefix(name, ".") || strings.Count(name, "/") > 1 {
				t.Errorf("the missing package in %q is %q", message, name)
			}
		}
	})
}

func TestWriteSendsCompletePrompt(t *testing.T) {
	text := System()
	if Version() == "" || strings.Contains(text, "<!--") || strings.Contains(text, "-->") || !strings.HasPrefix(text, "You write programs") {
		t.Errorf("version %q: %s", Version(), text)
	}
	if slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool { return strings.TrimRight(line, " ") != line }) {
		t.Error("a line ends with a blank")
	}
}
