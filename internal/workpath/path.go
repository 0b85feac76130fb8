// Package workpath defines the valid paths of files in a program's working directory,
// and the patterns that select files.
//
// The API, the host of a sandbox and the guest agent use this package, so that they
// accept the same paths. All functions are safe for hostile input.
package workpath

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a path. Linux has the same limit for names, and a higher limit for the
// whole path.
const (
	MaxBytes     = 1024
	MaxNameBytes = 255
	// MaxDepth is the maximum number of components.
	MaxDepth = 64
)

// Fault returns a message about an invalid path, for example "must not be empty"; ""
// for a valid path. A valid path is relative and clean. All characters are allowed
// except those that end a line of text or change its direction. Letters of all
// scripts, joiners, emoji, private and unassigned characters are allowed.
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
	if at := strings.IndexFunc(p, func(r rune) bool { return !Printable(r) }); at >= 0 {
		r, _ := utf8.DecodeRuneInString(p[at:])
		return "must not contain " + described(r)
	}
	return ""
}

// Printable reports whether a path may contain the character. Control characters,
// line and paragraph separators, and bidirectional controls are not allowed.
// Bidirectional controls can make one name look like another.
func Printable(r rune) bool {
	return !unicode.IsControl(r) && !separator(r) && !bidirectional(r)
}

// Display returns a path for display. Unprintable characters and invalid UTF-8 become
// U+FFFD. Paths longer than MaxBytes are truncated.
func Display(p string) string {
	p = strings.Map(func(r rune) rune {
		if !Printable(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(p, "\ufffd"))
	if len(p) > MaxBytes {
		p = strings.ToValidUTF8(p[:MaxBytes], "") + "…"
	}
	return p
}

// separator reports whether a character ends a line (Unicode, section 5.8).
func separator(r rune) bool { return r == 0x2028 || r == 0x2029 }

// bidirectional reports whether a character is an explicit directional embedding,
// override or isolate (UAX #9, section 2). It returns false for the marks that Arabic
// and Hebrew text needs.
func bidirectional(r rune) bool {
	return (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

func described(r rune) string {
	switch {
	case separator(r):
		return fmt.Sprintf("line separators (%U)", r)
	case bidirectional(r):
		return fmt.Sprintf("controls of text direction (%U)", r)
	}
	return fmt.Sprintf("control characters (%U)", r)
}
