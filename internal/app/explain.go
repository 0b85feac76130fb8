package app

import (
	"errors"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Explain converts an error for the command line. If the error is a *pyth.Error with
// field errors, the result lists these field errors. Explain returns all other errors
// unchanged.
func Explain(err error) error {
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	var faults []string
	for _, f := range e.Fields {
		faults = append(faults, strings.TrimPrefix(f.Location, "body.")+": "+f.Message)
	}
	return errors.New(strings.Join(faults, "; "))
}
