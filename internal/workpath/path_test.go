package workpath

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFault(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"a", "a/b", ".hidden", "...", "a..b", "back\\slash", "two  spaces ", "-rf", "~", "C:", "a:b",
		"گزارش\u200cها.csv", "family_👨\u200d👩\u200d👧.txt", "soft\u00adhyphen", "\ufeffbom", "\ue000private", "\ufffd", "\u0378unassigned",
		"\U000e0067tag", "mark\u200e\u200f\u061c", "ｆｕｌｌ", "\U0010ffff", "nbsp\u00a0\u202f", "é", "e\u0301", "\u180evowel", "\u2060word",
		strings.Repeat("n", 255), strings.Repeat("é", 127), strings.Repeat("d/", 63) + "f",
	} {
		if fault := Fault(p); fault != "" {
			t.Errorf("%q: %s", p, fault)
		}
		if Display(p) != p {
			t.Errorf("%q is shown as %q", p, Display(p))
		}
	}
	for _, p := range []string{
		"", ".", "..", "/", "/a", "a/", "a//b", "./a", "a/.", "a/..", "a/../b", "../a",
		"a\x00", "a\nb", "a\tb", "\x1b[31m", "\x7f", "\u0085", "\u009b", "\u2028", "\u2029", "evil\u202egpj.exe", "\u202a", "\u2066", "\u2069",
		"\xff", "a\xed\xb2\x80", strings.Repeat("n", 256), strings.Repeat("é", 128), strings.Repeat("d/", 64) + "f", strings.Repeat("123456789/", 103) + "f",
	} {
		if Fault(p) == "" {
			t.Errorf("%q is accepted", p)
		}
	}
}

func FuzzFault(f *testing.F) {
	f.Add("a/b")
	f.Add("a\xff\n/../\u202e")
	f.Fuzz(func(t *testing.T, p string) {
		shown := Display(p)
		if !utf8.ValidString(shown) || len(shown) > MaxBytes+len("…") || strings.ContainsAny(shown, "\n\r\x1b\u2028\u202e") || Display(shown) != shown && len(p) <= MaxBytes {
			t.Errorf("%q is shown as %q", p, shown)
		}
		if Fault(p) != "" {
			return
		}
		if full := path.Join("/work", p); full != "/work/"+p || shown != p {
			t.Errorf("%q is accepted, but its full path is %q, and it is shown as %q", p, full, shown)
		}
	})
}
