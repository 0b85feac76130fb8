package egress

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// opening inspects the first bytes of a connection whose protocol is unknown, while the
// proxy forwards these bytes. It prevents a server from reading the bytes as HTTP with
// a Host header that the proxy has not checked.
//
// Servers accept different forms of a request line. Some skip control characters and
// Unicode spaces before the line. Some treat such characters as separators, and some
// accept any word as a method. The proxy therefore ends the connection in two cases:
//   - Some server could accept the first line as a request. The proxy stops before
//     the line is complete.
//   - The first line may be an HTTP/0.9 request, and a Host header names another
//     host. HTTP/0.9 has no headers, but some servers read them.
//
// opening never waits for more bytes, so it does not delay binary protocols.
type opening struct {
	state openingState
	// The field "word" holds the first bytes of the current word. The field "words" is
	// the number of words before the current word. The field "first" is the first word of
	// the line. The field "version" is true if the last complete word is an HTTP version.
	word    []byte
	words   int
	first   string
	version bool
	// The field "line" holds the first bytes of the current header. The field
	// "filled" is false if the current line is still empty.
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
	// The constant "version" is the prefix of the last word of a request line.
	version = "HTTP/"
	// maxWords is the maximum number of words in a request line. Non-ASCII bytes
	// separate words, so a path may count as several words.
	maxWords = 8
	// maxOpening limits how many bytes of a header are stored.
	maxOpening = 512
)

// openingVerdict is the result of the inspection. It says whether the proxy may forward
// the inspected bytes.
type openingVerdict int

const (
	openingPasses openingVerdict = iota
	// openingIsHTTP means that the bytes are HTTP in a form that the proxy cannot
	// check.
	openingIsHTTP
	// openingIsForAnother means that a Host header names another host.
	openingIsForAnother
)

// inspect processes the client's next bytes. isTarget reports whether the value
// of a Host header is the target.
func (o *opening) inspect(b []byte, isTarget func(host string) bool) openingVerdict {
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

// firstLine processes one byte, and reports whether some server could accept the
// line as a request. Such a line starts with a token and later contains "HTTP/",
// or it starts with any word and ends with an HTTP version. firstLine skips empty
// lines, as servers do.
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

// header processes one byte. It returns true at the end of a Host header that
// names another host.
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

// methods returns the HTTP methods that a server may accept in an HTTP/0.9
// request.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect,
	}
}
