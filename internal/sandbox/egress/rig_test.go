package egress_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

// rig is one run with a proxy. The proxy listens on loopback, without a sandbox.
type rig struct {
	t     *testing.T
	proxy *egress.Proxy
	run   *egress.Run
	addr  string
	names *names
}

// names resolves names to fixed addresses, and records the names that were requested.
type names struct {
	known map[string][]netip.Addr

	mu      sync.Mutex
	queried []string
}

func (n *names) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queried = append(n.queried, name)
	if addrs, ok := n.known[name]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, Server: "10.9.8.7:53", IsNotFound: true}
}

func (n *names) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.queried...)
}

// loopback returns a policy that allows the test servers' addresses.
func loopback() egress.Policy {
	return egress.Policy{AllowRanges: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// newRig creates a rig. Names that end in .test or example.com resolve to loopback.
func newRig(t *testing.T, config egress.Config, allow ...string) *rig {
	t.Helper()
	local := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	r := &rig{t: t, names: &names{known: map[string][]netip.Addr{
		"example.com.": local, "a.test.": local, "b.test.": local, "www.a.test.": local,
	}}}
	if config.Resolver == nil {
		config.Resolver = r.names
	}
	rules, err := egress.ParseRules(allow)
	if err != nil {
		t.Fatal(err)
	}
	r.proxy = egress.New(config)
	r.run = r.proxy.NewRun(rules)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.proxy.Serve(t.Context(), conn, r.run) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.run.Close()
		all.Wait()
	})
	return r
}

// client returns an HTTP client that uses the proxy and trusts the server's
// certificate.
func (r *rig) client(server *httptest.Server) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr})}
	if server != nil && server.TLS != nil {
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (r *rig) dial() *wire {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	// With this deadline, a test fails instead of waiting forever.
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &wire{t: r.t, Conn: conn, r: bufio.NewReader(conn)}
}

// connect sends a CONNECT request to open a tunnel to the target.
func (r *rig) connect(target string) *wire {
	r.t.Helper()
	w := r.dial()
	w.say("CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n")
	if a := w.answer("CONNECT"); a.status != 200 {
		r.t.Fatalf("CONNECT %s: %+v", target, a)
	}
	return w
}

// socks sends a SOCKS5 request for a host name and a port. It returns the
// connection and the reply code.
func (r *rig) socks(host string, port int) (*wire, byte) {
	r.t.Helper()
	w := r.dial()
	w.say("\x05\x01\x00")
	if got := w.hear(2); got != "\x05\x00" {
		r.t.Fatalf("the greeting was answered with %q", got)
	}
	w.say("\x05\x01\x00\x03" + string(rune(len(host))) + host + string([]byte{byte(port >> 8), byte(port)}))
	reply := w.hear(10)
	return w, reply[1]
}

// connections waits until all connections of the run have ended, and returns
// their records.
func (r *rig) connections() []egress.Connection {
	r.t.Helper()
	r.run.Close()
	list, dropped := r.run.Connections()
	if dropped != 0 {
		r.t.Errorf("%d connections were dropped, want 0", dropped)
	}
	return list
}

type wire struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *wire) say(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, s); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) hear(n int) string {
	w.t.Helper()
	b := make([]byte, n)
	if n, err := io.ReadFull(w.r, b); err != nil {
		w.t.Fatalf("received %q, then %v", b[:n], err)
	}
	return string(b)
}

func (w *wire) rest() string {
	b, _ := io.ReadAll(w.r)
	return string(b)
}

// answer holds the parts of an HTTP response that tests compare.
type answer struct {
	status  int
	verdict string
	body    string
}

func (w *wire) answer(method string) answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	if method == "CONNECT" && resp.StatusCode == 200 {
		return answer{status: 200}
	}
	return read(w.t, resp)
}

func read(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("X-Pyth-On-Egress"), string(b)}
}

func get(t *testing.T, c *http.Client, url string) answer {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return answer{body: err.Error()}
	}
	return read(t, resp)
}

// refusal returns the proxy's response to a denied request.
func refusal(reason string) answer { return answer{403, "denied", "pyth-on: " + reason + "\n"} }

func port(t *testing.T, s *httptest.Server) string {
	t.Helper()
	_, p, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The function "echo" answers with a description of the request.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, b)
}

func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func tlsServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	// Do not log failed handshakes. Clients that refuse the certificate cause them.
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// handshake performs a TLS handshake in the tunnel, with the given server name.
func (w *wire) handshake(name string) error {
	c := tls.Client(w.Conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	return c.Handshake()
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(answer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func contains(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}
