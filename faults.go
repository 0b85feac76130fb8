package pyth

import (
	"fmt"
	"strconv"
	"strings"
)

// Faults gathers what is wrong with a request, so that all is told at once.
// Messages do not repeat values, which may be secret.
type Faults []FieldError

// Add notes what is wrong with a field.
func (f *Faults) Add(location, format string, args ...any) {
	*f = append(*f, FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}

// Within notes a value that is out of its range, whose ends are in it.
func (f *Faults) Within(location string, value, low, high int64) {
	if value < low || value > high {
		f.Add(location, "must be between %s and %s%s", Digits(low), Digits(high), Unit(location))
	}
}

// Err is nil if nothing is wrong, or an *Error with CodeInvalid.
func (f Faults) Err() error { return f.As(CodeInvalid) }

// As is Err with another code.
func (f Faults) As(code Code) error {
	if len(f) == 0 {
		return nil
	}
	return f.error(code)
}

// error tells the first fault in words.
func (f Faults) error(code Code) *Error {
	message := f[0].Location + ": " + strings.TrimSuffix(f[0].Message, ".")
	if !strings.HasSuffix(message, "?") {
		message += "."
	}
	switch more := len(f) - 1; {
	case more == 1:
		message += " One more fault is in errors."
	case more > 1:
		message += " " + strconv.Itoa(more) + " more faults are in errors."
	}
	return &Error{Code: code, Message: message, Fields: f}
}

// Invalid makes the error of one faulty field.
func Invalid(location, format string, args ...any) *Error {
	var f Faults
	f.Add(location, format, args...)
	return f.error(CodeInvalid)
}

// Digits writes a number with a comma between thousands.
func Digits(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(text) - 3; i > start; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Unit is the unit of the field at a location, with a space before it: fields in
// milliseconds end in Ms, those in bytes in Bytes. It is "" for other fields.
func Unit(location string) string {
	switch {
	case strings.HasSuffix(location, "Ms"):
		return " ms"
	case strings.HasSuffix(location, "Bytes"):
		return " bytes"
	}
	return ""
}
