package pyth_test

import (
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func TestCharactersAreNotSplit(t *testing.T) {
	t.Parallel()
	var c pyth.Characters
	for i, step := range []struct {
		stream    pyth.Stream
		add, want string
	}{
		{pyth.Stdout, "a\xe2\x82", "a"},
		{pyth.Stderr, "\xc3", ""},
		{pyth.Stdout, "\xacb", "€b"},
		{pyth.Stderr, "\xa9", "é"},
		{pyth.Stdout, "\xff\xf0\x9f", "\xff"},
	} {
		if got := string(c.Add(step.stream, []byte(step.add))); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
	for _, want := range []string{"\xf0\x9f", ""} {
		if got := string(c.Rest(pyth.Stdout)); got != want {
			t.Errorf("the rest is %q, want %q", got, want)
		}
	}
}
