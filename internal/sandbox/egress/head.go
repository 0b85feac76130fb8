package egress

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// maxHead is the maximum size of the head of a request or a response, in bytes.
// The buffer for a client's first bytes has the same size.
const maxHead = 64 << 10

var errMalformed = errors.New("egress: malformed HTTP")

// request adds to an http.Request the headers that net/http removes from it.
type request struct {
	*http.Request
	// host is the value of the Host header. hasHost is false if the request has no Host
	// header.
	host    string
	hasHost bool
	// connection holds the values of the Connection header.
	connection []string
}

// waitHead waits until the buffer contains a complete head, including the empty
// line.
func waitHead(r *bufio.Reader) ([]byte, error) {
	seen := 0
	for {
		if _, err := r.Peek(seen + 1); err != nil {
			return nil, err
		}
		b, _ := r.Peek(r.Buffered())
		if b[0] == '\r' || b[0] == '\n' {
			return nil, errMalformed
		}
		// The end of the head consists of several bytes. An earlier Peek may have read
		// some of these bytes, so search from three bytes before the new bytes.
		from := max(seen-3, 0)
		for _, end := range []string{"\n\n", "\n\r\n"} {
			if i := bytes.Index(b[from:], []byte(end)); i >= 0 {
				return b[:from+i+len(end)], nil
			}
		}
		seen = len(b)
	}
}

// peekHeader waits for a complete head and parses its header. The head stays in the
// buffer, so that net/http can also parse the head.
func peekHeader(r *bufio.Reader) (http.Header, error) {
	head, err := waitHead(r)
	if err != nil {
		return nil, err
	}
	tp := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	if _, err := tp.ReadLine(); err != nil {
		return nil, errMalformed
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, errMalformed
	}
	return http.Header(h), nil
}

// readRequest reads the head of a request. It rejects a head that two servers
// could interpret differently.
func readRequest(r *bufio.Reader) (*request, error) {
	raw, err := peekHeader(r)
	if err != nil {
		return nil, err
	}
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, errMalformed
	}
	hosts := raw["Host"]
	_, chunked := raw["Transfer-Encoding"]
	_, sized := raw["Content-Length"]
	switch {
	case req.ProtoMajor != 1 || req.ProtoMinor > 1,
		len(hosts) > 1,
		len(hosts) == 0 && req.ProtoMinor == 1 && req.Method != http.MethodConnect,
		chunked && (sized || req.ProtoMinor == 0),
		(chunked || sized) && req.Method == http.MethodConnect,
		req.URL.User != nil || strings.Contains(req.URL.Host, "@"):
		return nil, errMalformed
	}
	for name, values := range raw {
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return nil, errMalformed
			}
		}
	}
	out := &request{Request: req, connection: raw["Connection"]}
	if len(hosts) == 1 {
		out.host, out.hasHost = hosts[0], true
	}
	return out, nil
}

// hasPath reports whether the request line contains a path instead of an absolute
// URL.
func (r *request) hasPath() bool {
	return r.URL.Scheme == "" && (strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*")
}

// removeHopHeaders removes the headers that are meant for the next hop only (RFC 9110,
// section 7.6.1). The parameter "connection" holds the values of the Connection header.
// Upgrade is removed because the proxy could not check an upgraded connection.
func removeHopHeaders(h http.Header, connection []string) {
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
}
