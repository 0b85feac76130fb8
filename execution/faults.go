package execution

import (
	"cmp"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// faults gathers what is wrong with a program, so that all is told at once.
type faults struct {
	fields []pyth.FieldError
	code   pyth.Code
}

func (f *faults) add(location, format string, args ...any) {
	f.fields = append(f.fields, pyth.FieldError{Location: location, Message: fmt.Sprintf(format, args...)})
}

// err is nil when nothing is wrong. Some faults have a code of their own,
// which stands if nothing else is wrong.
func (f *faults) err() error {
	if len(f.fields) == 0 {
		return nil
	}
	return &pyth.Error{Code: cmp.Or(f.code, pyth.CodeInvalid), Message: "The request is not valid.", Fields: f.fields}
}

func (f *faults) within(location string, value, low, high int64) {
	if value < low || value > high {
		f.add(location, "must be between %d and %d", low, high)
	}
}
