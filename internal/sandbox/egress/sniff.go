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

// The first bytes of TLS. Some servers take other records before the handshake,
// or a ClientHello in the form of SSL 2.
const (
	recordFirst     = 0x14
	recordHandshake = 0x16
	recordLast      = 0x18
	versionMajor    = 3
	helloFirst      = 0x80
	helloLast       = 0xbf
)

// maxMethod is longer than any method of HTTP.
const maxMethod = 32

// sniff waits for as many of the client's first bytes as tell what they begin.
// What is not clearly HTTP or TLS is passed on at once, since a client may wait for
// an answer to it, and is looked at on its way: see opening.
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

// recognize goes by the first line: HTTP begins with a method and has HTTP/ in it.
func recognize(b []byte) protocol {
	if p, maybe := recognizeTLS(b); maybe {
		return p
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

// recognizeTLS tells whether the bytes may begin TLS; unknown is that more must
// come. What turns out to be none is refused later.
func recognizeTLS(b []byte) (p protocol, maybe bool) {
	at := func(i int, want byte) (seen, ok bool) { return i < len(b), i >= len(b) || b[i] == want }
	switch {
	case len(b) == 0:
		return unknown, true
	case b[0] == recordHandshake:
		return protocolTLS, true
	case recordFirst <= b[0] && b[0] <= recordLast:
		seen, ok := at(1, versionMajor)
		return when(seen), ok
	case helloFirst <= b[0] && b[0] <= helloLast:
		_, isHello := at(2, 1)
		seen, ok := at(3, versionMajor)
		return when(seen), isHello && ok
	default:
		return unknown, false
	}
}

func when(seen bool) protocol {
	if seen {
		return protocolTLS
	}
	return unknown
}
