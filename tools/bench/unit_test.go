package main

import (
	"math"
	"testing"
)

func TestFormatHasThreeDigits(t *testing.T) {
	for _, c := range []struct {
		unit unit
		v    float64
		want string
	}{
		{seconds, 0.0001234, "123 µs"},
		{seconds, 0.01049, "10.5 ms"},
		{seconds, 0.1319, "132 ms"},
		{seconds, 1.5, "1.50 s"},
		{perSecond, 13.64, "13.6/s"},
		{perSecond, 1234, "1234/s"},
		{memorySize, 24.1e6, "24.1 MB"},
		{share, 0.987, "98.7 %"},
		{seconds, 0, "0.00 ms"},
		{seconds, math.Inf(1), "refused"},
	} {
		if got := c.unit.format(c.v); got != c.want {
			t.Errorf("%v is written %q, want %q", c.v, got, c.want)
		}
	}
}
