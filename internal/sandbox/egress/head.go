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

// maxHead bounds the head of a request and of a response. It is also what is
// kept of a client's first bytes.
const maxHead = 64 << 10

var errMalformed = errors.New("egress: malformed HTTP")

// request is a request of plain HTTP with what net/http does not keep.
type request struct {
	*http.Request
	// host is the Host header; hasHost tells that there is one.
	host    string
	hasHost bool
	// hops are the headers that the Connection header names.
	hops []string
}

// waitHead waits until a whole head is in the buffer, up to its empty line.
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
		// An end that came in two parts begins at most three bytes back.
		from := max(seen-3, 0)
		for _, end := range []string{"\n\n", "\n\r\n"} {
			if i := bytes.Index(b[from:], []byte(end)); i >= 0 {
				return b[:from+i+len(end)], nil
			}
		}
		seen = len(b)
	}
}

// peekHeader waits for a whole head and reads its header, but leaves it in the
// buffer: net/http reads it again, and does not keep all.
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

// readRequest reads the head of a request. What two servers could understand
// in two ways is malformed.
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
	out := &request{Request: req, hops: raw["Connection"]}
	if len(hosts) == 1 {
		out.host, out.hasHost = hosts[0], true
	}
	return out, nil
}

// hasPath tells whether the request has the form that a host's own server gets.
func (r *request) hasPath() bool {
	return r.URL.Scheme == "" && (strings.HasPrefix(r.RequestURI, "/") || r.RequestURI == "*")
}

// removeHops removes what is for the next hop only (RFC 9110, section 7.6.1).
// hops are the values of Connection. An upgrade goes too: what comes after it
// could not be checked.
func removeHops(h http.Header, hops []string) {
	for _, list := range hops {
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
