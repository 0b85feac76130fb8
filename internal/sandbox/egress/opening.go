package egress

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// opening looks at the beginning of a connection that is neither clean HTTP nor
// TLS, while it is passed on. Servers differ in what they take for a request: some
// skip control characters and spaces of any script before it, some take these for
// separators, some take any word for a method. A server must not get a Host header
// that was not checked, and that comes after the first line. So the connection ends
// at a first line that some server takes for a request, before the line is
// complete; or at a Host header for another host, where the first line may be a
// request of HTTP/0.9, after which some servers read headers all the same.
//
// Binary protocols are not held up: nothing is waited for.
type opening struct {
	state openingState
	// word is the current word of the line, or the beginning of it; words counts
	// the words before it, first is the first one, and version tells whether the
	// last one is a version.
	word    []byte
	words   int
	first   string
	version bool
	// line is the current header, or the beginning of it, and filled tells whether
	// it has any character.
	line   []byte
	filled bool
}

type openingState int

const (
	inFirstLine openingState = iota
	inHeaders
	passed
)

const (
	// version is what the last word of a request line begins with.
	version = "HTTP/"
	// maxWords is how many words a first line may have to be a request. Bytes beyond
	// ASCII are taken for separators, so that a path may be several words.
	maxWords = 8
	// maxOpening bounds what is kept of a header.
	maxOpening = 512
)

// openingVerdict is what an opening says of bytes that were not passed on yet.
type openingVerdict int

const (
	openingPasses openingVerdict = iota
	// openingIsHTTP is HTTP in a form that is not checked.
	openingIsHTTP
	// openingIsForAnother has the header of a request for another host.
	openingIsForAnother
)

// look goes on with bytes from the client. isTarget tells whether a Host header is
// for the target.
func (o *opening) look(b []byte, isTarget func(host string) bool) openingVerdict {
	for _, c := range b {
		switch o.state {
		case inFirstLine:
			if o.firstLine(c) {
				return openingIsHTTP
			}
		case inHeaders:
			if o.header(c, isTarget) {
				return openingIsForAnother
			}
		case passed:
			return openingPasses
		}
	}
	return openingPasses
}

// firstLine reports whether some server takes the line for a request: one that
// begins with a token and goes on with a version, or with any word and ends with a
// version. Empty lines before it are skipped, as servers do.
func (o *opening) firstLine(c byte) bool {
	if c > ' ' && c < 0x7f {
		if len(o.word) < maxMethod {
			o.word = append(o.word, c)
		}
		return len(o.word) == len(version) && o.words > 0 && isVersion(o.word) && httpguts.ValidHeaderFieldName(o.first)
	}
	if len(o.word) > 0 {
		if o.words == 0 {
			o.first = string(o.word)
		}
		o.words++
		o.version = isVersion(o.word) && strings.Trim(string(o.word[len(version):]), "0123456789.") == ""
		o.word = o.word[:0]
	}
	switch {
	case c == '\n' && o.words > 1 && slices.Contains(methods(), strings.ToUpper(o.first)):
		o.state = inHeaders
	case c == '\n' && o.words > 0, o.words > maxWords:
		o.state = passed
	}
	return c == '\n' && o.words > 1 && o.version
}

func isVersion(word []byte) bool {
	return len(word) >= len(version) && strings.EqualFold(string(word[:len(version)]), version)
}

// header reports whether a header names another host.
func (o *opening) header(c byte, isTarget func(string) bool) bool {
	if c != '\n' && c != '\r' {
		if len(o.line) < maxOpening {
			o.line = append(o.line, c)
		}
		o.filled = true
		return false
	}
	name, host, ok := bytes.Cut(o.line, []byte(":"))
	isHost := ok && bytes.EqualFold(bytes.TrimFunc(name, isSpace), []byte("Host"))
	o.line = o.line[:0]
	if c == '\n' {
		if !o.filled {
			o.state = passed
		}
		o.filled = false
	}
	return isHost && !isTarget(string(bytes.TrimFunc(host, isSpace)))
}

func isSpace(c rune) bool { return c <= ' ' || c >= 0x7f }

// methods are those of HTTP requests that servers may take for such without a
// version.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect,
	}
}
