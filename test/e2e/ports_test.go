package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// webServer is a web server for sessions, with a WebSocket that sends back each message.
// It runs in a thread of the interpreter.
const webServer = `
import base64, hashlib, http.server, json, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.headers.get('Upgrade', '').lower() == 'websocket':
            return self.echo()
        if self.path.startswith('/hostile'):
            return self.answer(200, b'<script>1</script>', [
                ('Content-Type', 'text/html'), ('Set-Cookie', 'a=1; Domain=localhost; Path=/'), ('Set-Cookie', 'pyth-on-preview=x; Path=/'),
                ('Access-Control-Allow-Origin', '*'), ('Clear-Site-Data', '"cookies"'), ('Strict-Transport-Security', 'max-age=1'),
                ('Alt-Svc', 'h2="evil:443"'), ('Service-Worker-Allowed', '/'), ('Content-Security-Policy', 'default-src *')])
        if self.path == '/redirect':
            return self.answer(302, b'', [('Location', '/target?x=1')])
        if self.path == '/page':
            return self.answer(200, PAGE.encode(), [('Content-Type', 'text/html')])
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        self.answer(200, json.dumps({'method': self.command, 'path': self.path, 'body': body, 'headers': dict(self.headers.items())}).encode(), [('Content-Type', 'application/json')])
    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET
    def echo(self):
        key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        self.send_response(101)
        self.send_header('Upgrade', 'websocket'); self.send_header('Connection', 'Upgrade')
        self.send_header('Sec-WebSocket-Accept', base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                break
            mask, data = self.rfile.read(4), self.rfile.read(head[1] & 127)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            self.wfile.write(bytes([0x81, len(data)]) + data); self.wfile.flush()
        self.close_connection = True
    def log_message(self, *args): pass
PAGE = '''<!doctype html><title>preview</title><p id=out>waiting</p><script>
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
socket.onopen = () => socket.send('hello');
socket.onmessage = (e) => { document.querySelector('#out').textContent = 'echo ' + e.data; };
</script>'''
server = http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
`

// portAnswer is the answer of webServer. It describes the request that webServer has
// received.
type portAnswer struct {
	Method, Path, Body string
	Headers            map[string]string
}

// share returns a signed address of the port 8000.
func (s *session) share(t testing.TB, expiresIn time.Duration) *url.URL {
	t.Helper()
	var r struct{ URL string }
	s.server.call(t, s.account, "POST", s.path("/ports/8000/url"), object{"expiresInMs": expiresIn.Milliseconds()}).want(t, 201, &r)
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// open sends a GET request for a URL whose host is below *.localhost. It connects to the
// server directly and only sets the Host header, because not every resolver knows such
// names.
func (s *server) open(t testing.TB, u *url.URL, header http.Header) *answer {
	t.Helper()
	return s.pass(t, u.Host, header, "GET", u.RequestURI(), "")
}

// callPort sends a request to a path below a port of a session.
func (s *server) callPort(t testing.TB, as *account, path string) *answer {
	t.Helper()
	header := http.Header{}
	if as != nil {
		header.Set("X-Api-Key", as.APIKey)
	}
	return s.pass(t, "", header, "GET", path, "")
}

// pass sends a request whose answer comes from a server in a session. The OpenAPI document
// does not describe such answers. pass does not follow redirects.
func (s *server) pass(t testing.TB, host string, header http.Header, method, path, body string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	req.Host = host
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{res.StatusCode, res.Header, b}
}

func withCookie(a *answer) http.Header {
	c, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	return http.Header{"Cookie": {c}}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--preview-domain=localhost", "--warm=2")
	a, b := server.register(t), server.register(t)
	s, other := a.openSession(t, object{}), a.openSession(t, object{})
	s.runCode(t, webServer)
	key := http.Header{"X-Api-Key": {a.APIKey}}

	t.Run("requests_are_passed_on", func(t *testing.T) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			header := http.Header{
				"X-Api-Key": {a.APIKey}, "X-Custom": {"c"}, "Cookie": {"pyth-on-token=x; other=y"}, "X-Forwarded-For": {"6.6.6.6"}, "Connection": {"X-Hop"}, "X-Hop": {"1"},
			}
			var got portAnswer
			body := ""
			if method != "GET" {
				body = "body"
			}
			server.pass(t, "", header, method, s.path("/ports/8000/a%2Fb//c/?q=%20&r"), body).want(t, 200, &got)
			if got.Method != method || got.Path != "/a%2Fb//c/?q=%20&r" || got.Body != body {
				t.Errorf("got %+v", got)
			}
			if got.Headers["Host"] != "localhost:8000" || got.Headers["X-Custom"] != "c" || got.Headers["X-Forwarded-Prefix"] != s.path("/ports/8000") {
				t.Errorf("got %v", got.Headers)
			}
			for name, value := range got.Headers {
				if strings.Contains(value, a.APIKey) || name == "Cookie" || name == "X-Hop" || strings.Contains(value, "6.6.6.6") {
					t.Errorf("the server got %s: %s", name, value)
				}
			}
		}
		for _, path := range []string{"/ports/8000", "/ports/8000/"} {
			var got portAnswer
			server.pass(t, "", key, "GET", s.path(path), "").want(t, 200, &got)
			if got.Path != "/" {
				t.Errorf("got %q", got.Path)
			}
		}
		r := server.pass(t, "", key, "GET", s.path("/ports/8000/redirect"), "")
		if got := r.header.Get("Location"); r.status != 302 || got != s.path("/ports/8000/target?x=1") {
			t.Errorf("got %d, %q", r.status, got)
		}
	})

	t.Run("137_other_sessions_and_the_host_are_out_of_reach", func(t *testing.T) {
		server.callPort(t, b, s.path("/ports/8000/")).refused(t, 404, "not_found")
		server.call(t, b, "POST", s.path("/ports/8000/url"), nil).refused(t, 404, "not_found")
		server.callPort(t, nil, s.path("/ports/8000/")).refused(t, 401, "unauthenticated")
		server.callPort(t, a, other.path("/ports/8000/")).refused(t, 502, "port_unavailable")
		// The API listens on the loopback address of the host, but a request to a port of
		// the session must not reach it.
		_, own, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
		server.callPort(t, a, s.path("/ports/"+own+"/api/health")).refused(t, 502, "port_unavailable")
		for _, port := range []string{"3128", "0", "65535x", "70000", "-1", "8000@evil", "08000"} {
			if r := server.callPort(t, a, s.path("/ports/"+port+"/")); r.status != 400 && r.status != 404 && port != "08000" {
				t.Errorf("port %s: got %d %s", port, r.status, r.body)
			}
		}
		u := s.share(t, time.Hour)
		moved := *u
		moved.Host = strings.Replace(u.Host, s.ID, other.ID, 1)
		if r := server.open(t, &moved, nil); r.status != 401 {
			t.Errorf("the signature works for another session: %d %s", r.status, r.body)
		}
		moved.Host = strings.Replace(u.Host, "-8000.", "-8001.", 1)
		if r := server.open(t, &moved, nil); r.status != 401 {
			t.Errorf("the signature works for another port: %d %s", r.status, r.body)
		}
	})

	t.Run("138_previews_and_the_API_are_separate", func(t *testing.T) {
		u := s.share(t, time.Hour)
		opened := server.open(t, u, nil)
		if opened.status != 303 || opened.header.Get("Location") != "/" || !strings.Contains(opened.header.Get("Set-Cookie"), "HttpOnly") || strings.Contains(opened.header.Get("Set-Cookie"), "Domain") {
			t.Fatalf("got %d %v", opened.status, opened.header)
		}
		cookie := withCookie(opened)
		for _, path := range []string{"/api", "/api/health", "/docs", "/openapi.json", "/metrics", "/api/v1/sessions"} {
			// All paths belong to the server in the session.
			u := &url.URL{Host: u.Host, Path: path}
			header := cookie.Clone()
			header.Set("X-Api-Key", a.APIKey)
			header.Set("Authorization", "Bearer "+a.APIKey)
			header.Add("Cookie", "mine=1")
			var got portAnswer
			server.open(t, u, header).want(t, 200, &got)
			if got.Path != path || got.Headers["Cookie"] != "mine=1" || strings.Contains(fmt.Sprint(got.Headers), a.APIKey) {
				t.Errorf("got %+v", got)
			}
			if r := server.open(t, u, key); r.status != 401 || strings.Contains(string(r.body), "languages") {
				t.Errorf("%s without a signature: got %d %s", path, r.status, r.body)
			}
		}
		// The cookie and the signature of a preview give no access to the API.
		server.pass(t, "", cookie, "GET", s.path("/ports/8000/"), "").refused(t, 401, "unauthenticated")
		server.callPort(t, nil, s.path("/ports/8000/?"+u.RawQuery)).refused(t, 401, "unauthenticated")
		for _, label := range []string{"x", "-", s.ID, s.ID + "-", s.ID + "-8000.x", "x." + s.ID + "-8000", s.ID + "-08000"} {
			r := server.open(t, &url.URL{Host: label + ".localhost", Path: "/", RawQuery: u.RawQuery}, cookie)
			if r.status != 404 && r.status != 401 {
				t.Errorf("%s: got %d %s", label, r.status, r.body)
			}
		}
		signature := u.Query().Get("pyth_on_signature")
		for _, forged := range []string{"x", signature[1:], signature + "A", strings.ToLower(signature), "A" + signature[1:]} {
			if forged == signature {
				continue
			}
			if r := server.open(t, &url.URL{Host: u.Host, Path: "/", RawQuery: "pyth_on_signature=" + forged}, nil); r.status != 401 {
				t.Errorf("%s: got %d %s", forged, r.status, r.body)
			}
		}
	})

	t.Run("142_headers_of_hostile_servers_are_removed", func(t *testing.T) {
		onAPI := server.pass(t, "", key, "GET", s.path("/ports/8000/hostile"), "").want(t, 200, nil)
		for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc", "Service-Worker-Allowed"} {
			if got := onAPI.header.Get(name); got != "" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := onAPI.header.Values("Content-Security-Policy"); len(got) != 1 || got[0] != "sandbox" {
			t.Errorf("got %q", got)
		}
		u := s.share(t, time.Hour)
		cookie := withCookie(server.open(t, u, nil))
		onPreview := server.open(t, &url.URL{Host: u.Host, Path: "/hostile"}, cookie).want(t, 200, nil)
		if got := onPreview.header.Values("Set-Cookie"); len(got) != 1 || got[0] != "a=1; Path=/" {
			t.Errorf("got %q", got)
		}
		for _, name := range []string{"Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc"} {
			if got := onPreview.header.Get(name); got != "" {
				t.Errorf("%s: %s", name, got)
			}
		}
	})

	t.Run("WebSocket", func(t *testing.T) {
		u := s.share(t, time.Hour)
		server.echo(t, u.Host, "/socket?"+u.RawQuery, nil)
		server.echo(t, strings.TrimPrefix(server.URL, "http://"), s.path("/ports/8000/socket"), key)
	})

	t.Run("expiry_and_end", func(t *testing.T) {
		u := s.share(t, time.Second)
		cookie := withCookie(server.open(t, u, nil))
		deadline := time.Now().Add(30 * time.Second)
		for server.open(t, &url.URL{Host: u.Host, Path: "/"}, cookie).status != 401 {
			if time.Now().After(deadline) {
				t.Fatal("the address does not expire")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if r := server.open(t, u, nil); r.status != 401 || !strings.Contains(string(r.body), "expired") {
			t.Errorf("got %d %s", r.status, r.body)
		}
		gone := a.openSession(t, object{})
		u = gone.share(t, time.Hour)
		cookie = withCookie(server.open(t, u, nil))
		if r := server.open(t, &url.URL{Host: u.Host, Path: "/"}, cookie); r.status != 502 {
			t.Errorf("without a server: got %d %s", r.status, r.body)
		}
		server.call(t, a, "DELETE", gone.path(""), nil).want(t, 204, nil)
		if r := server.open(t, &url.URL{Host: u.Host, Path: "/"}, cookie); r.status != 404 {
			t.Errorf("after the end: got %d %s", r.status, r.body)
		}
		a.wantAudit(t, "port.shared")
	})
}

// echo opens a WebSocket and sends a message. The server must send the same message back.
func (s *server) echo(t *testing.T, host, path string, header http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", path, host)
	for name := range header {
		fmt.Fprintf(conn, "%s: %s\r\n", name, header.Get(name))
	}
	_, _ = io.WriteString(conn, "\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("got %+v, %v", res, err)
	}
	if _, err := conn.Write([]byte("\x81\x85\x00\x00\x00\x00hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "\x81\x05hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestPortsInBrowser opens a server in a session through its signed address in Chromium.
func TestPortsInBrowser(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--preview-domain=localhost", "--warm=1")
	s := server.register(t).openSession(t, object{})
	s.runCode(t, webServer)
	page := s.share(t, time.Hour)
	page.Path = "/page"
	expired := s.share(t, time.Second)
	settings, err := json.Marshal(object{"api": server.URL, "path": s.path("/ports/8000/page"), "page": page.String(), "expired": expired.String()})
	if err != nil {
		t.Fatal(err)
	}
	dir := installNPMPackage(t, "browser", "../browser")
	t.Log("\n" + mustRun(t, commandIn(dir, nodeBinary(t), "ports.mjs", string(settings))))
}
