// Package workpath defines the valid paths of files in a program's working
// directory, and the patterns that select files.
//
// The API, the host of a sandbox and the guest agent use this package. Therefore all
// three accept the same paths. All functions are safe for malicious input.
package workpath

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/pyth-on/pyth-on/internal/printable"
)

// These constants limit a path in bytes. MaxNameBytes limits each name in the path, and
// MaxBytes limits the whole path. MaxNameBytes is equal to the limit of Linux. MaxBytes
// is lower than the limit of Linux.
const (
	MaxBytes     = 1024
	MaxNameBytes = 255
	// MaxDepth is the maximum number of names in a path.
	MaxDepth = 64
)

// Fault returns a message if the path is invalid, for example "must not be empty". If
// the path is valid, it returns "". A valid path is relative and clean. It may contain
// all characters that package printable accepts, for example letters of all scripts and
// emoji.
func Fault(p string) string {
	switch {
	case p == "":
		return "must not be empty"
	case !utf8.ValidString(p):
		return "must be valid UTF-8"
	case strings.HasPrefix(p, "/"):
		return "must be relative to the working directory"
	case p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../") || strings.HasSuffix(p, "/.."):
		return "must not contain .."
	case p == "." || path.Clean(p) != p:
		return "must not contain ., // or a final /"
	case len(p) > MaxBytes:
		return fmt.Sprintf("must be at most %d bytes", MaxBytes)
	case strings.Count(p, "/") >= MaxDepth:
		return fmt.Sprintf("must be at most %d directories deep", MaxDepth)
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > MaxNameBytes {
			return fmt.Sprintf("must have names of at most %d bytes", MaxNameBytes)
		}
	}
	for _, r := range p {
		if fault := printable.Fault(r); fault != "" {
			return fmt.Sprintf("must not contain %s (%U)", fault, r)
		}
	}
	return ""
}

// Display returns a path in a form that is safe to display. It replaces unprintable
// characters and invalid UTF-8 by U+FFFD. It truncates paths that are longer than
// MaxBytes.
func Display(p string) string {
	p = printable.Clean(p)
	if len(p) > MaxBytes {
		p = strings.ToValidUTF8(p[:MaxBytes], "") + "…"
	}
	return p
}
