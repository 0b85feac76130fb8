// Package resolve runs package managers in sandboxes to find compatible versions.
//
// The sandbox contains no user data and can reach only the index. The output and the
// results of the sandbox may be hostile. So the package truncates the output and removes
// unsafe parts. Results can contain only archives that the index offered.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxPages is the maximum number of index pages that one job may request.
const MaxPages = 2000

// maxRequirement is the maximum length of a requirement in bytes.
const maxRequirement = 512

// Errors about a requirement. The user sees them as messages about the field that
// contains the requirement.
var (
	ErrURL = errors.New("must be the name of a package in the index: URLs, paths and options are not supported")

	errLong       = errors.New("must be at most 512 bytes")
	errCharacters = errors.New("must be ASCII text without control characters, and without spaces at the beginning or end")
)

// Requirement is a package that a user requires directly.
type Requirement struct {
	// Name is the normalized name of the package.
	Name string
	// Constraint restricts the versions of the package. If it is "", any version is
	// allowed.
	Constraint string
	// Extras contains the required extras (optional features) of a Python package,
	// sorted.
	Extras []string
	// Text is the whole requirement in normalized form.
	Text string
}

// CheckText returns an error if a string must not be passed to a package manager. The
// string must not be too long. It must not begin or end with a space. It may contain only
// printable ASCII characters.
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
	// Direct contains the user's requirements, at most one for each package name.
	Direct []Requirement
	// Keep contains the installed packages whose versions should not change. The field
	// may be nil.
	Keep []*pyth.PinnedPackage
}

// Archive downloads the archive of a package if necessary, and returns its path.
type Archive func(context.Context) (path string, err error)

// Candidate is a package that a resolver chose. Its size is unknown until the server has
// made its image.
type Candidate struct {
	pyth.PinnedPackage
	Archive Archive
}

// ErrResult reports that the sandbox of a resolver returned an invalid result. For
// example, the result contains a package that the index does not have, or it lacks a
// required package.
var ErrResult = errors.New("packages: the resolved packages are not in the index")

// InvalidArchive returns the error that users see when the server cannot install an
// archive. In the message, the text of the parameter "cause" follows the words "its
// archive".
func InvalidArchive(name, version string, cause error) error {
	return &pyth.Error{
		Code:    pyth.CodeUnsatisfiable,
		Message: fmt.Sprintf("%s %s cannot be installed: its archive %v.", name, version, cause),
		Err:     cause,
	}
}
