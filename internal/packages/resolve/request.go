// Package resolve runs package managers in sandboxes to find versions that fit
// together.
//
// The sandbox contains no user data and reaches only the index. Its output and
// its results are hostile. The output is shortened and cleaned. Results can only
// choose from the archives that the index offered.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxPages limits the number of index pages that one change may request.
const MaxPages = 2000

// maxRequirement is the largest requirement in bytes.
const maxRequirement = 512

// These errors complete the sentence "the requirement …".
var (
	ErrURL = errors.New("must be the name of a package in the index: URLs, paths and options are not supported")

	errLong       = errors.New("must be at most 512 bytes")
	errCharacters = errors.New("must be ASCII text without control characters, and without spaces at the beginning or end")
)

// Requirement is a package that a user requires.
type Requirement struct {
	// Name is the normalized name.
	Name string
	// Constraint limits the versions; "" for any.
	Constraint string
	// Extras lists optional parts of a Python package, sorted.
	Extras []string
	// Text is the whole requirement in normalized form.
	Text string
}

// CheckText refuses text that must not reach a package manager.
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
	// Direct lists the user's requirements, one for each name.
	Direct []Requirement
	// Keep lists installed packages that should keep their versions; nil for
	// none.
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

// InvalidArchive returns the error that users get for an archive that cannot be
// installed. cause completes the sentence "its archive …".
func InvalidArchive(name, version string, cause error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnsatisfiable,
		Message: fmt.Sprintf("%s %s cannot be installed: its archive %v.", name, version, cause),
		Err:     cause,
	}
}
