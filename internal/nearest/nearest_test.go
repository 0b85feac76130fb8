package nearest_test

import (
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/nearest"
)

func TestNameFindsSimilarName(t *testing.T) {
	known := []string{"action", "cursor", "limit", "outcome", "since", "until"}
	for name, want := range map[string]string{
		"limit": "limit", "limt": "limit", "Limits": "limit", "untli": "until", "out_come": "outcome", "acton": "action",
		"page": "", "": "", "x": "", strings.Repeat("a", 10_000): "",
	} {
		if got := nearest.Name(name, known); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
