package egress_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

func TestPlainHTTPIsForwarded(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p, "127.0.0.1:"+p)
	c := r.client(s)
	equal(t, get(t, c, "http://a.test:"+p+"/x%2fy?q=1&q=2"), answer{200, "", "GET a.test:" + p + " /x%2fy?q=1&q=2 "})
	equal(t, get(t, c, "http://A.TEST.:"+p+"/"), answer{200, "", "GET a.test:" + p + " / "})
	equal(t, get(t, c, s.URL+"/"), answer{200, "", "GET 127.0.0.1:" + p + " / "})
	for _, body := range []io.Reader{
		strings.NewReader("body"),
		struct{ io.Reader }{strings.NewReader("body")}, // The client does not know the length of such a body, so it sends chunks.
	} {
		resp, err := c.Post("http://a.test:"+p+"/", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, read(t, resp), answer{200, "", "POST a.test:" + p + " / body"})
	}
	resp, err := c.Head("http://a.test:" + p + "/")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, read(t, resp), answer{200, "", ""})
}

func TestRequestForwardsLargeBodies(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	s := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	resp, err := r.client(s).Post("http://a.test:"+p+"/", "", bytes.NewReader(large))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, resp); got.body != string(large) {
		t.Errorf("got %d bytes back, want %d", len(got.body), len(large))
	}
	list := r.connections()
	if len(list) != 1 || list[0].SentBytes < int64(len(large)) || list[0].ReceivedBytes < int64(len(large)) {
		t.Errorf("got %+v", list)
	}
}

func TestRequestForwardsBodyWithoutDelay(t *testing.T) {
	more := make(chan struct{})
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "two\n")
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	resp, err := r.client(s).Get("http://a.test:" + p + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n"} {
		got, err := lines.ReadString('\n')
		if got != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		if want == "one\n" {
			close(more)
		}
	}
}

func TestHopByHopHeadersAreNotForwarded(t *testing.T) {
	got := make(chan http.Header, 1)
	p := rawServer(t, func(c net.Conn) {
		r, _ := http.ReadRequest(bufio.NewReader(c))
		got <- r.Header
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: x-hop, close\r\nX-Hop: answer\r\nKeep-Alive: timeout=5\r\n"+
			"Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-End: answer\r\nContent-Length: 2\r\n\r\nok")
	})
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.dial()
	w.say("GET http://a.test:" + p + "/ HTTP/1.1\r\nHost: a.test:" + p + "\r\n" +
		"Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n" +
		"TE: trailers\r\nUpgrade: websocket\r\nX-Hop: request\r\nX-End: request\r\n\r\n")
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, <-got, http.Header{"Connection": {"close"}, "X-End": {"request"}})
	equal(t, resp.Header.Clone(), http.Header{"X-End": {"answer"}, "Content-Length": {"2"}})
	equal(t, read(t, resp).body, "ok")
}

func TestRequestSendsBodyAfter100Continue(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for _, c := range []struct {
		name string
		w    *wire
		url  string
	}{
		{"with a URL", r.dial(), "http://a.test:" + p + "/"},
		{"in a tunnel", r.connect("a.test:" + p), "/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				c.w.say("POST " + c.url + " HTTP/1.1\r\nHost: a.test:" + p + "\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
				if got := c.w.hear(25); got != "HTTP/1.1 100 Continue\r\n\r\n" {
					t.Fatalf("got %q", got)
				}
				c.w.say("body")
				equal(t, c.w.answer("POST"), answer{200, "", "POST a.test:" + p + " / body"})
			}
		})
	}
}

func TestEarlyHintsAreForwarded(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		echo(w, r)
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	var hints []string
	req := httptest.NewRequest("GET", "http://a.test:"+p+"/", nil)
	req.RequestURI = ""
	req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			hints = append(hints, h.Get("Link"))
			return nil
		},
	}))
	resp, err := r.client(s).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, read(t, resp).status, 200)
	equal(t, hints, []string{"</style.css>"})
}

func TestRequestEndsConnectionOnEarlyResponse(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.dial()
	w.say("POST http://a.test:" + p + "/ HTTP/1.1\r\nHost: a.test:" + p + "\r\nContent-Length: 1000000\r\n\r\nabc")
	equal(t, w.answer("POST").status, 418)
	equal(t, w.rest(), "")
}

func TestResponseToHTTP10HasNoChunks(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one ")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "two")
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.dial()
	w.say("GET http://a.test:" + p + "/ HTTP/1.0\r\n\r\n")
	got := w.rest()
	if !strings.HasSuffix(got, "\r\n\r\none two") || strings.Contains(got, "chunked") {
		t.Errorf("got %q", got)
	}
}

func TestResponseWithoutLengthKeepsConnection(t *testing.T) {
	raw := rawServer(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\nuntil the end")
	})
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+raw)
	w := r.dial()
	for range 2 {
		w.say("GET http://a.test:" + raw + "/ HTTP/1.1\r\nHost: a.test:" + raw + "\r\n\r\n")
		equal(t, w.answer("GET"), answer{200, "", "until the end"})
	}
}

func TestRequestRefusesAmbiguousMessages(t *testing.T) {
	r := newRig(t, egress.Config{Policy: loopback(), Dialer: noDialer{t}}, "a.test")
	const head = "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
	for name, request := range map[string]string{
		"a length and chunks":      head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks and a length":      head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"two lengths":              head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"a list of lengths":        head + "Content-Length: 3, 4\r\n\r\nabcd",
		"a length with a sign":     head + "Content-Length: +3\r\n\r\nabc",
		"another encoding":         head + "Transfer-Encoding: gzip, chunked\r\n\r\n",
		"two encodings":            head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
		"chunks in HTTP/1.0":       "POST http://a.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a space before the colon": head + "Content-Length : 3\r\n\r\nabc",
		"a space in front":         "GET http://a.test/ HTTP/1.1\r\n Host: a.test\r\n\r\n",
		"no colon":                 head + "Content-Length\r\n\r\n",
		"no name":                  head + ": x\r\n\r\n",
		"NUL in a value":           head + "X: a\x00b\r\n\r\n",
		"a carriage return alone":  head + "X: a\rContent-Length: 3\r\n\r\n",
		"two hosts":                "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
		"no host":                  "GET http://a.test/ HTTP/1.1\r\n\r\n",
		"a user in the URL":        "GET http://x@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"another version":          "GET http://a.test/ HTTP/2.0\r\nHost: a.test\r\n\r\n",
		"a body of CONNECT":        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nContent-Length: 3\r\n\r\nabc",
		"an empty line first":      "\r\nGET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"spaces in the URL":        "GET http://a.test/ x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"https without CONNECT":    "GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"another scheme":           "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"a scheme without slashes": "GET http:a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
	} {
		w := r.dial()
		w.say(request)
		if a := w.answer("GET"); a.status != 400 || a.verdict != "denied" {
			t.Errorf("%s: got %+v", name, a)
		}
	}
}

func TestRequestHeadIsLimited(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	const start, end = "GET http://a.test:%s/ HTTP/1.1\r\nHost: a.test:%s\r\nX: ", "\r\n\r\n"
	request := func(size int) string {
		head := fmt.Sprintf(start, p, p)
		return head + strings.Repeat("x", size-len(head)-len(end)) + end
	}
	w := r.dial()
	w.say(request(64 << 10))
	equal(t, w.answer("GET").status, 200)
	w.say(request(64<<10 + 1))
	equal(t, w.answer("GET"), answer{431, "denied", "pyth-on: the head of the request is larger than 64 KiB\n"})
}

func TestResponseInvalidIsReported(t *testing.T) {
	for name, says := range map[string]string{
		"another protocol":   "SSH-2.0-x\r\n\r\n",
		"nothing":            "",
		"half a head":        "HTTP/1.1 200 OK\r\nContent-",
		"a head without end": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10),
		"hints without end":  strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 20),
		"an upgrade":         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"HTTP/2":             "HTTP/2.0 200 OK\r\n\r\n",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			raw := rawServer(t, func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, says)
			})
			r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+raw)
			equal(t, get(t, r.client(nil), "http://a.test:"+raw+"/"),
				answer{502, "failed", "pyth-on: host a.test:" + raw + " sent no valid HTTP response\n"})
		})
	}
}

func TestResponseStaysTruncated(t *testing.T) {
	for name, says := range map[string]string{
		"within its length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"within a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			raw := rawServer(t, func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, says)
			})
			r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+raw)
			resp, err := r.client(nil).Get("http://a.test:" + raw + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("got %q without an error", b)
			}
		})
	}
}

func TestRequestWithRefusedBodyKeepsConnection(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.dial()
	w.say("POST http://b.test/ HTTP/1.1\r\nHost: b.test\r\nContent-Length: 4\r\n\r\nbody")
	equal(t, w.answer("POST").status, 403)
	w.say("POST http://b.test/ HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
	equal(t, w.answer("POST").status, 403)
	w.say("GET http://a.test:" + p + "/ HTTP/1.1\r\nHost: a.test:" + p + "\r\n\r\n")
	equal(t, w.answer("GET").status, 200)
	w.say("POST http://b.test/ HTTP/1.1\r\nHost: b.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	equal(t, w.answer("POST").status, 403)
	equal(t, w.rest(), "")
}

// rawServer starts a TCP server that calls serve for each connection. It returns
// the server's port.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResponseHidesOriginVerdictHeader(t *testing.T) {
	p := rawServer(t, func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		const said = "X-Pyth-On-Egress: denied\r\nx-pyth-on-egress: failed\r\n"
		switch req.URL.Path {
		case "/early":
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n"+said+"\r\nHTTP/1.1 407 No\r\n"+said+"Content-Length: 2\r\n\r\nok")
		case "/trailer":
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTrailer: X-Other, X-Pyth-On-Egress\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Other: 1\r\n"+said+"\r\n")
		default:
			_, _ = io.WriteString(c, "HTTP/1.1 407 No\r\n"+said+"Content-Length: 2\r\n\r\nok")
		}
	})
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for _, path := range []string{"/", "/early", "/trailer"} {
		w := r.dial()
		w.say("GET http://a.test:" + p + path + " HTTP/1.1\r\nHost: a.test:" + p + "\r\nConnection: close\r\n\r\n")
		got := w.rest()
		contains(t, got, "ok")
		if strings.Contains(strings.ToLower(got), "egress") || path == "/trailer" && !strings.Contains(got, "X-Other: 1") {
			t.Errorf("%s: got %q", path, got)
		}
	}
}
