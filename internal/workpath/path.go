// Package workpath has the rules for paths of files in a program's working
// directory, and for the patterns that select them.
//
// The API, the host of a sandbox and the guest agent use these rules, so that
// what one of them accepts the others accept too. All functions take hostile
// input.
package workpath

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a path: Linux's bound for names, less than Linux's for the whole.
const (
	MaxBytes     = 1024
	MaxNameBytes = 255
	// MaxDepth bounds the components of a path.
	MaxDepth = 64
)

// Fault returns what is wrong with a path, as in "must not be empty", and ""
// if nothing is. A path is relative and clean. It can have any character but
// those that break or reverse a line of text: letters of every script with
// their joiners, emoji, private and unassigned characters are allowed.
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
		return "must be written plainly, without ., // or a final /"
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

// Printable returns whether a character can be in a path. Refused are control
// characters, line and paragraph separators, and the controls that change the
// direction of the text around them, by which a name can pass for another.
func Printable(r rune) bool {
	return !unicode.IsControl(r) && !separator(r) && !bidirectional(r)
}

// Display returns a path as it can be shown in a list: what is not Printable
// and what is not UTF-8 becomes U+FFFD, and what is longer than a path can be
// is cut.
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

// separator returns whether a character ends a line (Unicode, section 5.8).
func separator(r rune) bool { return r == 0x2028 || r == 0x2029 }

// bidirectional returns whether a character is an explicit directional
// embedding, override or isolate (UAX #9, section 2). The marks that writers of
// Arabic and Hebrew put beside a letter are none of these.
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
