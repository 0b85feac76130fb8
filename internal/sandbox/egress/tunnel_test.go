package egress_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/proxy"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

func TestHTTPSPassesThroughCONNECT(t *testing.T) {
	s := tlsServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.Host)
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "example.com:"+p, "127.0.0.1:"+p)
	c := r.client(s)
	equal(t, get(t, c, "https://example.com:"+p), answer{200, "", "HTTP/1.1 example.com:" + p})
	equal(t, get(t, c, s.URL), answer{200, "", "HTTP/1.1 127.0.0.1:" + p})
	c = r.client(s)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	equal(t, get(t, c, "https://example.com:"+p), answer{200, "", "HTTP/2.0 example.com:" + p})
	contains(t, get(t, c, "https://b.test:"+p).body, "Forbidden")
	// The proxy passes on the server's certificate unchanged. This client does
	// not trust the test CA, so it must refuse the certificate.
	contains(t, get(t, r.client(nil), "https://example.com:"+p).body, "certificate")
}

func TestHTTPSPassesThroughSOCKS5(t *testing.T) {
	s := tlsServer(t, echo)
	plain := server(t, echo)
	p, q := port(t, s), port(t, plain)
	r := newRig(t, egress.Config{Policy: loopback()}, "example.com:"+p, "example.com:"+q, "127.0.0.1:"+q)
	d, err := proxy.SOCKS5("tcp", r.addr, nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		DialContext:     d.(proxy.ContextDialer).DialContext,
		TLSClientConfig: s.Client().Transport.(*http.Transport).TLSClientConfig.Clone(),
	}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	equal(t, get(t, c, "https://example.com:"+p), answer{200, "", "GET example.com:" + p + " / "})
	equal(t, get(t, c, "http://example.com:"+q+"/x"), answer{200, "", "GET example.com:" + q + " /x "})
	equal(t, get(t, c, "http://127.0.0.1:"+q+"/x"), answer{200, "", "GET 127.0.0.1:" + q + " /x "})
	resp, err := c.Post("http://example.com:"+q+"/", "", struct{ io.Reader }{strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, read(t, resp), answer{200, "", "POST example.com:" + q + " / body"})
	contains(t, get(t, c, "https://127.0.0.1:"+p).body, "not allowed by ruleset")
	contains(t, get(t, c, "https://b.test:"+p).body, "not allowed by ruleset")
}

func TestTunnelAllowsServerToSpeakFirst(t *testing.T) {
	p := rawServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 welcome\r\n")
		_, _ = io.Copy(c, c)
	})
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	socks, reply := r.socks("a.test", number(t, p))
	equal(t, reply, 0)
	for way, w := range map[string]*wire{"CONNECT": r.connect("a.test:" + p), "SOCKS5": socks} {
		t.Run(way, func(t *testing.T) {
			equal(t, w.hear(13), "220 welcome\r\n")
			w.say("EHLO x\r\n")
			equal(t, w.hear(8), "EHLO x\r\n")
			_ = w.Conn.(*net.TCPConn).CloseWrite()
			equal(t, w.rest(), "")
		})
	}
}

func TestTunnelAllowsOtherProtocols(t *testing.T) {
	p := rawServer(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	for name, says := range map[string]string{
		"a line":               "PING\r\n",
		"a line with a word":   "AUTH secret\r\n",
		"an array of Redis":    "*1\r\n$4\r\nPING\r\n",
		"SSH":                  "SSH-2.0-OpenSSH_9.9\r\n",
		"JSON without a line":  `{"jsonrpc":"2.0"}`,
		"bytes":                "\x00\x00\x00\x08\x04\xd2\x16\x2f",
		"one byte":             "\x01",
		"a long word":          strings.Repeat("x", 40),
		"not UTF-8":            "\xff\xfe",
		"a request of Gemini":  "gemini://a.test/\r\n",
		"HTTP/0.9":             "GET /\r\n\r\n",
		"Redis":                "GET key\r\nSET host 1\r\n\r\n",
		"STOMP":                "CONNECT\naccept-version:1.2\nhost:other\n\n\x00",
		"SOCKS5":               "\x05\x01\x00",
		"CQL":                  "\x04\x00\x00\x00\x05\x00\x00\x00\x00",
		"AMQP":                 "AMQP\x00\x00\x09\x01",
		"MQTT":                 "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test",
		"a log in JSON":        `{"log":"GET / HTTP/1.1 200"}` + "\n",
		"a log of syslog":      "<34>Oct 11 22:14:15 host app: GET / HTTP/1.1 200\n",
		"SIP":                  "OPTIONS sip:a.test SIP/2.0\r\nVia: SIP/2.0/TCP b.test\r\n\r\n",
		"a byte of Telnet":     "\xff\xfb\x01",
		"a byte like TLS":      "\x15\x00",
		"bytes like SSL 2":     "\x80\x00\x00",
		"an answer first line": "\x80HTTP/1.1 200\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
			w := r.connect("a.test:" + p)
			w.say(says)
			equal(t, w.hear(len(says)), says)
			// Complete the first line. The proxy inspects only the first line of this
			// protocol.
			if !strings.Contains(says, "\n") {
				w.say("x\n")
				equal(t, w.hear(2), "x\n")
			}
			w.say("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
			equal(t, w.hear(3), "GET")
		})
	}
}

func TestTunnelForwardsHalfClose(t *testing.T) {
	heard := make(chan string, 1)
	p := rawServer(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		heard <- string(b)
		_, _ = io.WriteString(c, "after the end")
	})
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.connect("a.test:" + p)
	w.say("all there is\n")
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	equal(t, <-heard, "all there is\n")
	equal(t, w.rest(), "after the end")
	equal(t, r.connections(), []egress.Connection{
		{Host: "a.test", Port: number(t, p), SentBytes: 13, ReceivedBytes: 13, Verdict: egress.Allowed, Count: 1},
	})
}

func TestInvalidTLSIsRefused(t *testing.T) {
	p := rawServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for name, says := range map[string]string{
		"no message":                "\x16\x03\x01\x00\x00",
		"no length":                 "\x16\x03\x01",
		"another message":           "\x16\x03\x01\x00\x04\x02\x00\x00\x00",
		"a message of 16 MB":        "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
		"half a ClientHello":        "\x16\x03\x01\x00\x05\x01\x00\x00\x05\x03",
		"records without end":       strings.Repeat("\x16\x03\x01\x00\x00", 1000),
		"a ClientHello of SSL 2":    "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + strings.Repeat("x", 37),
		"a change of ciphers first": "\x14\x03\x01\x00\x01\x01\x16\x03\x01",
		"something else":            "\x16GET / HTTP/1.1\r\n\r\n",
		"invalid record":            "\x16\x03\x01\xff\xff" + strings.Repeat("x", 1000),
	} {
		w := r.connect("a.test:" + p)
		w.say(says)
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		if got := w.rest(); got != "\x15\x03\x03\x00\x02\x02\x31" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	equal(t, r.connections(), []egress.Connection{{
		Host: "a.test", Port: number(t, p), Verdict: egress.Denied, Count: 10,
		Reason: "a connection to a.test:" + p + " does not begin with valid TLS",
	}})
}

func TestTunnelReadsFragmentedClientHello(t *testing.T) {
	s := tlsServer(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for name, ok := range map[string]bool{"a.test": true, "b.test": false} {
		w := r.connect("a.test:" + p)
		c := tls.Client(splitting{w.Conn}, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err := c.Handshake(); (err == nil) != ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAttack075AlertDoesNotHideClientHello(t *testing.T) {
	s := tlsServer(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for _, alert := range []string{"\x15\x03\x01\x00\x02\x01\x5a", "\x15\x03\x03\x00\x02\x01\x00"} {
		w := r.connect("a.test:" + p)
		w.say(alert)
		if err := w.handshake("b.test"); err == nil {
			t.Errorf("%q: the handshake succeeded", alert)
		}
	}
	for _, c := range r.connections() {
		if c.Verdict != egress.Denied || c.SentBytes > 0 {
			t.Errorf("got %+v", c)
		}
	}
}

// The type "splitting" is a connection that splits a TLS handshake record into records of
// at most ten bytes. It writes each of these records in two parts.
type splitting struct{ net.Conn }

func (c splitting) Write(p []byte) (int, error) {
	if p[0] != 0x16 {
		return c.Conn.Write(p)
	}
	for rest := p[5:]; len(rest) > 0; {
		n := min(10, len(rest))
		for _, part := range [][]byte{{0x16, p[1], p[2], 0, byte(n)}, rest[:n]} {
			if _, err := c.Conn.Write(part); err != nil {
				return 0, err
			}
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// TestTunnelChecksLenientRequests sends invalid requests that some servers accept. The
// proxy must check these requests in the same way as valid requests.
func TestTunnelChecksLenientRequests(t *testing.T) {
	var mu sync.Mutex
	heard := map[string]string{}
	p := rawServer(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		mu.Lock()
		defer mu.Unlock()
		heard[c.RemoteAddr().String()] = string(b)
	})
	const rest = "Host: evil.test\r\n\r\n"
	for _, line := range []string{
		"\x0cGET / HTTP/1.1\r\n", "\x0bGET / HTTP/1.1\r\n", "\x1fGET / HTTP/1.1\r\n", "\xa0GET / HTTP/1.1\r\n", "\xc2\xa0GET / HTTP/1.1\r\n",
		"\x85GET / HTTP/1.1\r\n", "\xe2\x80\x83GET / HTTP/1.1\r\n", "\xef\xbb\xbfGET / HTTP/1.1\r\n", "\x00GET / HTTP/1.1\r\n", "\x1c\r\nGET / HTTP/1.1\r\n",
		"GET\x0c/\x0cHTTP/1.1\r\n", "GET\x0b/\x0bHTTP/1.1\n", "GET\xa0/\xa0HTTP/1.0\r\n", "GET\x1d/\x1dhttp/1.1\r\n",
		" GET / HTTP/1.1\r\n", "\tGET / HTTP/1.1\r\n", "\r\n\r\nGET / HTTP/1.1\r\n", "\rGET / HTTP/1.1\r\n",
		"G(T / HTTP/1.1\r\n", `"GET" / HTTP/1.1` + "\r\n", "{} / HTTP/1.1\n", strings.Repeat("X", 40) + " / HTTP/1.1\r\n", "G\xc9T / HTTP/1.1\r\n",
		"GET /\r\n", "get /\r\n", "GET x\n", "GET / FOO\r\n", "POST / 1.1\r\n", "HEAD /\r\nX: y\r\n", "GET /\r\n \tHost : b.test\r\n",
		"GET / HTTP/1.1\rHost: evil.test\r\r", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		for _, split := range []int{0, 1, 3, len(line) - 1} {
			r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
			w := r.connect("a.test:" + p)
			w.say(line[:split])
			// Ignore errors: the proxy may close the connection before the last
			// bytes arrive.
			_, _ = io.WriteString(w.Conn, line[split:])
			_, _ = io.WriteString(w.Conn, rest)
			_ = w.Conn.(*net.TCPConn).CloseWrite()
			w.rest()
			c := r.connections()
			if len(c) != 1 || c[0].Verdict != egress.Denied {
				t.Errorf("%q, split at %d: %+v", line, split, c)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, all := range heard {
		if strings.Contains(strings.ToLower(all), "evil") {
			t.Errorf("the server received %q", all)
		}
	}
}

// TestTunnelRefusesAmbiguousRequests sends requests that name the target's host,
// but that some servers interpret differently.
func TestTunnelRefusesAmbiguousRequests(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	p := port(t, s)
	target := "a.test:" + p
	for name, request := range map[string]string{
		"two hosts":                "GET / HTTP/1.1\r\nHost: " + target + "\r\nHost: evil.test\r\n\r\n",
		"a folded host":            "GET / HTTP/1.1\r\nHost:\r\n evil.test\r\n\r\n",
		"a folded header":          "GET / HTTP/1.1\r\nHost: " + target + "\r\n evil.test\r\n\r\n",
		"a space before the colon": "GET / HTTP/1.1\r\nHost : evil.test\r\n\r\n",
		"a URL":                    "GET http://evil.test/ HTTP/1.1\r\nHost: " + target + "\r\n\r\n",
		"a second request":         "GET / HTTP/1.1\r\nHost: " + target + "\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"a second one after junk":  "GET / HTTP/1.1\r\nHost: " + target + "\r\n\r\n\x0cGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"two lengths": "POST / HTTP/1.1\r\nHost: " + target + "\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"0\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"unknown encoding": "POST / HTTP/1.1\r\nHost: " + target + "\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		"a chunk's extension": "POST / HTTP/1.1\r\nHost: " + target + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"0;x\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n\r\n",
	} {
		r := newRig(t, egress.Config{Policy: loopback()}, target)
		w := r.connect(target)
		w.say(request)
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		if got := w.rest(); strings.Contains(got, "\r\n\r\nevil.test") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
