package redact

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
)

// A form whose start is not known would never be found.
func TestEveryFormOfAValueBeginsAsItsHeadDoes(t *testing.T) {
	// What encodings treat differently, of one to four bytes each.
	characters := []string{"a", "Z", "0", "-", "+", "/", " ", "\"", "\\", "'", "\n", "<", "é", "\u2028", "€", "😀", "\x00", "\xff", "\xf0\x9f"}
	check := func(fatalf func(string, ...any), value string) {
		r := New([]pyth.SecretValue{{Name: "S", Value: []byte(value)}})
		for _, text := range formsOf([]byte(value)) {
			if _, found := slices.BinarySearch(r.starts, start(text)); !found || !r.passes(text) || !r.begins(text) || !r.begins(text[:3]) {
				fatalf("the form %q of %q has a start of its own", text, value)
			}
		}
	}
	for _, c := range characters {
		for n := range 2 * startOf {
			check(t.Fatalf, strings.Repeat("a", n)+strings.Repeat(c, MinBytes))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t.Fatalf, strings.Join(rapid.SliceOfN(rapid.SampledFrom(characters), MinBytes, 40).Draw(t, "value"), ""))
	})
}
