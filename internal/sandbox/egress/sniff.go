package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/net/http/httpguts"
)

type protocol int

const (
	unknown protocol = iota
	protocolTLS
	protocolHTTP
	protocolOther
)

// These constants are values of the first bytes of a TLS connection. Some servers accept
// other records before the handshake record. Some servers also accept a ClientHello in
// the format of SSL 2.
const (
	recordFirst     = 0x14
	recordHandshake = 0x16
	recordLast      = 0x18
	versionMajor    = 3
	helloFirst      = 0x80
	helloLast       = 0xbf
)

// maxMethod is the maximum length of an HTTP method in bytes. Real methods are
// shorter.
const maxMethod = 32

// sniff reads the client's first bytes until they identify the protocol. It does not
// wait for more bytes than needed, because the client may wait for an answer. If the
// first bytes are not clearly HTTP or TLS, the type "opening" inspects the bytes while
// the proxy forwards them.
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

// recognize detects the protocol from the first bytes of a connection. An HTTP request
// line begins with a method and contains HTTP/.
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

// recognizeTLS reports whether the bytes may be the start of TLS. The result p is the
// constant "unknown" if more bytes are needed. The method sendTLS later refuses invalid
// TLS.
func recognizeTLS(b []byte) (p protocol, maybe bool) {
	at := func(i int, want byte) (seen, ok bool) { return i < len(b), i >= len(b) || b[i] == want }
	switch {
	case len(b) == 0:
		return unknown, true
	case b[0] == recordHandshake:
		return protocolTLS, true
	case recordFirst <= b[0] && b[0] <= recordLast:
		seen, ok := at(1, versionMajor)
		return tlsIf(seen), ok
	case helloFirst <= b[0] && b[0] <= helloLast:
		_, isHello := at(2, 1)
		seen, ok := at(3, versionMajor)
		return tlsIf(seen), isHello && ok
	default:
		return unknown, false
	}
}

func tlsIf(seen bool) protocol {
	if seen {
		return protocolTLS
	}
	return unknown
}
