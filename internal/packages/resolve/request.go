// Package resolve runs package managers in sandboxes to find versions that fit
// together.
//
// The sandbox holds nothing of any user and reaches only the index. What it
// prints and returns is hostile: output is shortened and cleaned, and results
// only choose among the archives that the index offered.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxPages limits the pages of an index that one change may request.
const MaxPages = 2000

// maxRequirement is the largest requirement in bytes.
const maxRequirement = 512

// Errors about requirements. They complete the sentence "the requirement …".
var (
	ErrURL = errors.New("must be the name of a package in the index: URLs, paths and options are not supported")

	errLong       = errors.New("must be at most 512 bytes")
	errCharacters = errors.New("must be plain ASCII, without control characters or spaces at its ends")
)

// Requirement is a package that a user requires.
type Requirement struct {
	// Name is the normalised name.
	Name string
	// Constraint limits the versions; "" for any.
	Constraint string
	// Extras are optional parts of a Python package, sorted.
	Extras []string
	// Text is the whole requirement in normalised form.
	Text string
}

// CheckText refuses a requirement that no package manager must see.
func CheckText(s string) error {
	switch {
	case len(s) > maxRequirement:
		return errLong
	case strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
		return errCharacters
	}
	return nil
}

// Request is the input of a resolver.
type Request struct {
	// Direct are the requirements of the user, one for each name.
	Direct []Requirement
	// Keep are installed packages whose versions should stay; nil for none.
	Keep []*pyth.PinnedPackage
}

// Archive returns the path of a downloaded archive.
type Archive func(context.Context) (path string, err error)

// Candidate is a resolved package. Its size is not known yet.
type Candidate struct {
	pyth.PinnedPackage
	Archive Archive
}

// ErrResult means that a sandbox returned packages that the index does not have.
var ErrResult = errors.New("packages: the resolved packages are not in the index")

// Faulty returns the caller's error for an archive that cannot be installed. The
// cause completes the sentence "its archive …".
func Faulty(name, version string, cause error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnsatisfiable,
		Message: fmt.Sprintf("%s %s cannot be installed: its archive %v.", name, version, cause),
		Err:     cause,
	}
}
