package redact_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/secret/redact"
)

// BenchmarkHostileText redacts the outputs that need the longest time. The time must grow
// linearly with the length of the output.
func BenchmarkHostileText(b *testing.B) {
	var rotations []string
	long := strings.Repeat("ab", 40) + strings.Repeat("abc", 40) + strings.Repeat("aab", 40)
	for i := range 200 {
		rotations = append(rotations, long[i:i+64]+fmt.Sprint(i))
	}
	for _, c := range []struct {
		name, text string
		values     []string
	}{
		{"heads of a", "a", []string{strings.Repeat("a", 63) + "b", strings.Repeat("a", 62) + "cd"}},
		{"backslashes", `\`, []string{strings.Repeat(`\`, 63) + "b", strings.Repeat(`\`, 62) + "cd"}},
		{"escaped heads of a", `\u0061`, []string{strings.Repeat("a", 63) + "b", strings.Repeat("a", 62) + "cd"}},
		{"percent", `%61`, []string{strings.Repeat("a", 63) + "b", strings.Repeat("61a", 21) + "cd"}},
		{"rotations", long, rotations},
		{"lines", strings.Repeat("a", 20) + "\n", []string{strings.Repeat("a", 63) + "b", strings.Repeat("a", 62) + "cd"}},
		{"quotes", `\"key\": \"value\", `, []string{strings.Repeat("a", 63) + "b", `key" with a "quote`}},
	} {
		r := redact.New(secrets(c.values...))
		text := bytes.Repeat([]byte(c.text), 1<<20/len(c.text))
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Text(text)
			}
		})
	}
}
