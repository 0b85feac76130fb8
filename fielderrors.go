package pyth

import (
	"fmt"
	"strconv"
	"strings"
)

// FieldErrors collects the errors in a request, so that the response lists all of these
// errors. Messages never contain the invalid value, because the value may be secret.
type FieldErrors []FieldError

// Add adds an error for the field at the given location.
func (f *FieldErrors) Add(location, format string, args ...any) {
	*f = append(*f, FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}

// Within adds an error if the value is less than "low" or greater than "high".
func (f *FieldErrors) Within(location string, value, low, high int64) {
	if value < low || value > high {
		f.Add(location, "must be between %s and %s%s", Digits(low), Digits(high), Unit(location))
	}
}

// Err returns an *Error with CodeInvalid, or nil if there are no errors.
func (f FieldErrors) Err() error { return f.As(CodeInvalid) }

// As returns an *Error with the code, or nil if there are no errors.
func (f FieldErrors) As(code Code) error {
	if len(f) == 0 {
		return nil
	}
	return f.error(code)
}

// error converts f to an *Error. The message contains the first error, and the number
// of additional errors.
func (f FieldErrors) error(code Code) *Error {
	message := f[0].Location + ": " + strings.TrimSuffix(f[0].Message, ".")
	if !strings.HasSuffix(message, "?") {
		message += "."
	}
	switch more := len(f) - 1; {
	case more == 1:
		message += " One more error is in the field errors."
	case more > 1:
		message += " " + strconv.Itoa(more) + " more errors are in the field errors."
	}
	return &Error{Code: code, Message: message, Fields: f}
}

// Invalid returns an *Error with CodeInvalid for one field.
func Invalid(location, format string, args ...any) *Error {
	var f FieldErrors
	f.Add(location, format, args...)
	return f.error(CodeInvalid)
}

// Digits formats a number with a comma before each group of three digits.
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

// Unit returns the unit of a field for messages. It returns " ms" if the field's name
// ends in Ms, " bytes" if the name ends in Bytes, and otherwise "".
func Unit(location string) string {
	switch {
	case strings.HasSuffix(location, "Ms"):
		return " ms"
	case strings.HasSuffix(location, "Bytes"):
		return " bytes"
	}
	return ""
}
