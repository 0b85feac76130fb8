package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// portService is a PortService whose sessions have one server.
type portService struct {
	pyth.PortService
	address string
}

func (p portService) DialPort(ctx context.Context, _ pyth.UserID, _ pyth.SessionID, _ int) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", p.address)
}

func (portService) CheckPortShare(pyth.SessionID, int, string) (pyth.UserID, time.Time, error) {
	return "usr_ada", created.Add(time.Hour), nil
}

// forwarder is an API with a server in a session.
type forwarder struct {
	*server
	url string
}

// newForwarder returns an API whose session has the server at the address.
func newForwarder(t *testing.T, address string) *forwarder {
	t.Helper()
	s := newServer(t, func(c *api.Config) {
		c.Ports, c.PreviewDomain = portService{address: address}, "preview.example.org"
	})
	front := httptest.NewServer(s.handler)
	t.Cleanup(front.Close)
	return &forwarder{s, front.URL}
}

// serveRaw returns the address of a server that sends the same bytes to each client.
func serveRaw(t *testing.T, response string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, response)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// requests returns two requests to the server in the session: one through the host of the
// API, and one through the preview host.
func (f *forwarder) requests(ctx context.Context) map[string]*http.Request {
	f.Helper()
	all := map[string]*http.Request{}
	for name, target := range map[string]string{
		"API": "/api/v1/sessions/ses_1/ports/8080/x", "preview": "/x?pyth_on_signature=s",
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+target, nil)
		if err != nil {
			f.Fatal(err)
		}
		if name == "API" {
			r.Header.Set("X-Api-Key", goodKey)
		} else {
			r.Host = "ses_1-8080.preview.example.org"
		}
		all[name] = r
	}
	return all
}

func TestForwardRemovesCommandsToProxies(t *testing.T) {
	names := []string{
		"X-Accel-Redirect", "x-accel-expires", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset", "X-Sendfile", "X-Sendfile2", "X-Sendfile-Temporary",
		"X-LIGHTTPD-send-file", "X-LiteSpeed-Location", "X-Reproxy-URL",
	}
	lines := ""
	for _, name := range names {
		lines += name + ": /internal/x\r\n"
	}
	f := newForwarder(t, serveRaw(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kept: 1\r\n"+lines+"\r\nok"))
	for host, r := range f.requests(t.Context()) {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 || res.Header.Get("X-Kept") != "1" {
			t.Errorf("%s: status %d, headers %v", host, res.StatusCode, res.Header)
		}
		for _, name := range names {
			if res.Header.Get(name) != "" {
				t.Errorf("%s: the response has the header %s", host, name)
			}
		}
	}
}

func TestForwardDiscardsInformationalResponses(t *testing.T) {
	f := newForwarder(t, serveRaw(t, "HTTP/1.1 103 Early Hints\r\nSet-Cookie: pyth-on=x\r\nX-Accel-Redirect: /internal/x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for host, r := range f.requests(t.Context()) {
		received := ""
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			received += fmt.Sprint(code, header)
			return nil
		}}))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != 200 || string(body) != "ok" {
			t.Errorf("%s: status %d, body %q, %v", host, res.StatusCode, body, err)
		}
		if received != "" {
			t.Errorf("%s: received %s", host, received)
		}
		if res.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request ID in %v", host, res.Header)
		}
		if host == "API" && (res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("headers %v", res.Header)
		}
	}
	f.awaitLog(`"route":"preview"`)
	f.awaitLog(`/ports/{port}/{path}"`)
	if strings.Contains(f.log.String(), `"status":103`) {
		t.Errorf("the log: %s", f.log)
	}
}

// awaitLog waits until the log contains the text. The server writes the access log after
// the response.
func (f *forwarder) awaitLog(text string) {
	f.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(f.log.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("the log does not contain %s: %s", text, f.log)
		}
	}
}

func TestForwardRefusesInvalidStatus(t *testing.T) {
	for _, status := range []string{"000", "099", "600", "999"} {
		f := newForwarder(t, serveRaw(t, "HTTP/1.1 "+status+" X\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\nok"))
		for host, r := range f.requests(t.Context()) {
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Errorf("%s: status %s: %v", host, status, err)
				continue
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusBadGateway || res.Header.Get("X-Own") != "" || host == "API" && !strings.Contains(string(body), `"port_unavailable"`) {
				t.Errorf("%s: status %s: got %d, %s, %v", host, status, res.StatusCode, body, err)
			}
		}
	}
	f := newForwarder(t, serveRaw(t, "HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n"))
	for host, r := range f.requests(t.Context()) {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != 599 {
			t.Errorf("%s: got %d, want 599", host, res.StatusCode)
		}
	}
}

func TestForwardCancelsRequest(t *testing.T) {
	began, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	defer back.Close()
	f := newForwarder(t, back.Listener.Addr().String())
	for _, host := range []string{"API", "preview"} {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			res, err := http.DefaultClient.Do(f.requests(ctx)[host])
			if err == nil {
				_ = res.Body.Close()
			}
			failed <- err
		}()
		<-began
		cancel()
		if err := <-failed; err == nil {
			t.Errorf("%s: got a response", host)
		}
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the request to the server in the session continues", host)
		}
	}
}

func TestForwardPassesOnWebSockets(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Accel-Redirect", "/internal/x")
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		if err := conn.Write(r.Context(), kind, append([]byte("echo "), message...)); err != nil {
			t.Error(err)
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	}))
	defer back.Close()
	f := newForwarder(t, back.Listener.Addr().String())
	for host, r := range f.requests(t.Context()) {
		conn, res, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(r.URL.String(), "http"), &websocket.DialOptions{HTTPHeader: r.Header, Host: r.Host})
		if err != nil {
			t.Fatal(host, err)
		}
		if res.Header.Get("X-Accel-Redirect") != "" {
			t.Errorf("%s: headers %v", host, res.Header)
		}
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Error(host, err)
		}
		if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "echo hello" {
			t.Errorf("%s: got %q, %v", host, message, err)
		}
		_ = conn.CloseNow()
	}
}
