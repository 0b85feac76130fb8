package printable_test

import (
	"testing"
	"unicode/utf8"

	"github.com/pyth-on/pyth-on/internal/printable"
)

func TestFaultNamesUnsafeCharacters(t *testing.T) {
	for want, all := range map[string]string{
		"control characters":         "\x00\t\n\r\x1b\x7f\u0085",
		"line separators":            "\u2028\u2029",
		"controls of text direction": "\u202a\u202e\u2066\u2069",
		"":                           " aé\u00a0\u200b\u200d\u200e\u202f\u2065\u206a\ufeff\ufffd例\ue000\U0001f469\U000e0001",
	} {
		for _, r := range all {
			if got := printable.Fault(r); got != want || printable.Rune(r) != (want == "") || printable.Text("a"+string(r)) != (want == "") {
				t.Errorf("%U is of kind %q, want %q", r, got, want)
			}
		}
	}
}

func TestCleanKeepsOnlyPrintableText(t *testing.T) {
	const woman = "\U0001f469\u200d\U0001f4bb"
	if got, want := printable.Clean("a\nb\u202ec\xff\xfe"+woman), "a\ufffdb\ufffdc\ufffd"+woman; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\nb\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable.Clean(s)
		if !utf8.ValidString(got) || !printable.Text(got) || printable.Clean(got) != got {
			t.Errorf("%q becomes %q", s, got)
		}
		if utf8.ValidString(s) && printable.Text(s) && got != s {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
