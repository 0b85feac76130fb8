package main

import (
	"math"
	"strconv"
)

// unit is the unit of measurement of the values in a series.
type unit int

const (
	seconds unit = iota
	perSecond
	memorySize
	share
)

// format returns the value as text with three significant digits and the unit.
func (u unit) format(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "refused"
	case u == perSecond:
		return formatDigits(v) + "/s"
	case u == share:
		return formatDigits(v*100) + " %"
	case u == memorySize:
		return formatDigits(v/1e6) + " MB"
	case v >= 1:
		return formatDigits(v) + " s"
	case v >= 1e-3 || v == 0:
		return formatDigits(v*1e3) + " ms"
	default:
		return formatDigits(v*1e6) + " µs"
	}
}

// formatDigits returns a number as text with at least three significant digits and at
// most four decimal places. The text contains no exponent.
func formatDigits(v float64) string {
	decimals := 2
	if magnitude := math.Abs(v); magnitude > 0 {
		decimals = 2 - int(math.Floor(math.Log10(magnitude)))
	}
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 4), 64)
}
