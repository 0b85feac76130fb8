package pyth

import "fmt"

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
		f.Add(location, "must be between %d and %d", low, high)
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

func (f Faults) error(code Code) *Error {
	return &Error{Code: code, Message: "The request is not valid. Correct what errors lists.", Fields: f}
}

// Invalid makes the error of one faulty field.
func Invalid(location, format string, args ...any) *Error {
	var f Faults
	f.Add(location, format, args...)
	return f.error(CodeInvalid)
}
