package egress

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzRequest checks that the parser accepts only complete requests, and that the
// forwarded request has only one interpretation.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"))
	f.Add([]byte("POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\nHost: a.test\nContent-Length: 3\n\nabcGET / HTTP/1.1\n\n"))
	f.Add([]byte("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n\x16\x03"))
	f.Add([]byte("0 A:0 HTTP/1.0\nHost:A\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := readRequest(bufio.NewReaderSize(bytes.NewReader(b), maxHead))
		if err != nil || req.Method == "CONNECT" || !req.hasPath() && (req.URL.Scheme != "http" || req.URL.Host == "") {
			return
		}
		said, err := parseTarget(req.host, portHTTP)
		if err != nil {
			return
		}
		forOrigin(req, said)
		var out bytes.Buffer
		if writeFlushing(&out, req.Request) != nil {
			return
		}
		r := bufio.NewReaderSize(&out, maxHead)
		again, err := readRequest(r)
		if err != nil {
			t.Fatalf("%q was written as a malformed request: %v", b, err)
		}
		if again.Method != req.Method || again.host != said.authority() {
			t.Fatalf("%q was written as %s %s", b, again.Method, again.host)
		}
		if !drain(again) || r.Buffered() != 0 {
			t.Fatalf("%q was written with extra bytes", b)
		}
	})
}
