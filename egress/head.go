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
}

// waitHead waits until a whole head is in the buffer.
func waitHead(r *bufio.Reader) ([]byte, error) {
	seen := 0
	for {
		// At least one byte more than what has been looked at.
		if _, err := r.Peek(seen + 1); err != nil {
			return nil, err
		}
		b, _ := r.Peek(r.Buffered())
		if b[0] == '\r' || b[0] == '\n' {
			return nil, errMalformed
		}
		for ; seen < len(b); seen++ {
			if b[seen] != '\n' {
				continue
			}
			rest := b[seen+1:]
			if bytes.HasPrefix(rest, []byte("\n")) {
				return b[:seen+2], nil
			}
			if bytes.HasPrefix(rest, []byte("\r\n")) {
				return b[:seen+3], nil
			}
			if len(rest) == 0 || len(rest) == 1 && rest[0] == '\r' {
				break
			}
		}
	}
}

// readRequest reads the head of a request. What two servers could understand
// in two ways is malformed.
func readRequest(r *bufio.Reader) (*request, error) {
	head, err := waitHead(r)
	if err != nil {
		return nil, err
	}
	tp := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	if _, err := tp.ReadLine(); err != nil {
		return nil, errMalformed
	}
	raw, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, errMalformed
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
	out := &request{Request: req}
	if len(hosts) == 1 {
		out.host, out.hasHost = hosts[0], true
	}
	return out, nil
}

// removeHops removes what is for the next hop only (RFC 9110, section 7.6.1).
// An upgrade is with it: what comes after it could not be checked.
func removeHops(h http.Header) {
	for _, list := range h["Connection"] {
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
