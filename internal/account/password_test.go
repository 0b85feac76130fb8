package account

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCommonPasswordsMeetOtherRules(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(commonPasswords) {
		p := strings.TrimSpace(line)
		if n := utf8.RuneCountInString(p); n < minPassword || n > maxPassword || p != normalizePassword(p) {
			t.Errorf("%q is refused even without the list", p)
		}
		if key := strings.ToLower(p); seen[key] {
			t.Errorf("%q is in the list twice", p)
		} else {
			seen[key] = true
		}
		for _, written := range []string{p, strings.ToUpper(p)} {
			if _, err := newPassword("body.password", written, "ada@example.org"); err == nil {
				t.Errorf("%q is accepted", written)
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("the list has %d passwords", len(seen))
	}
}
