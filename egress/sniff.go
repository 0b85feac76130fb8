package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/net/http/httpguts"
)

// protocol is what a client's first bytes begin.
type protocol int

const (
	unknown protocol = iota
	protocolTLS
	protocolHTTP
	protocolOther
)

// recordHandshake is the first byte of TLS.
const recordHandshake = 0x16

// maxMethod is longer than any method of HTTP.
const maxMethod = 32

// sniff waits for as many of the client's first bytes as tell what they begin.
// A client that has sent all before has nothing that a server could take for a
// request.
func sniff(r *bufio.Reader) (protocol, error) {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(n)
		b, _ := r.Peek(r.Buffered())
		p := recognize(b)
		switch {
		case p != unknown:
			return p, nil
		case errors.Is(err, io.EOF):
			return protocolOther, nil
		case err != nil:
			return unknown, err
		}
	}
}

// recognize goes by what a lenient server would take for a request: a line
// that begins with a word and has HTTP/ in it.
func recognize(b []byte) protocol {
	if len(b) > 0 && b[0] == recordHandshake {
		return protocolTLS
	}
	b = bytes.TrimLeft(b, "\r\n\t ")
	method := b
	end := bytes.IndexAny(b, " \t\r\n")
	if end >= 0 {
		method = b[:end]
	}
	switch {
	case len(b) == 0:
		return unknown
	case len(method) > maxMethod || !httpguts.ValidHeaderFieldName(string(method)):
		return protocolOther
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	switch {
	case !whole:
		return unknown
	case bytes.Contains(bytes.ToUpper(line), []byte("HTTP/")):
		return protocolHTTP
	default:
		return protocolOther
	}
}
