package egress_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

func TestAttack069WithoutRulesNothingIsReachedAndNoNameResolved(t *testing.T) {
	s := server(t, echo)
	r := newRig(t, egress.Config{Policy: loopback()})
	p := port(t, s)
	equal(t, get(t, r.client(s), "http://example.com:"+p), refusal("host example.com:"+p+" is not in network.allow"))
	equal(t, get(t, r.client(s), "http://127.0.0.1:"+p), refusal("host 127.0.0.1:"+p+" is not in network.allow"))
	equal(t, r.names.questions(), []string{})
}

func TestAttack070MetadataIsNotReachedEvenIfListed(t *testing.T) {
	policy := egress.Policy{AllowRanges: []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"),
	}}
	r := newRig(t, egress.Config{Policy: policy, Dialer: noDialer{t}}, "169.254.169.254", "[fd00:ec2::254]", "metadata.test")
	r.names.known["metadata.test."] = []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd00:ec2::254")}
	for _, host := range []string{"169.254.169.254", "[fd00:ec2::254]", "metadata.test"} {
		equal(t, get(t, r.client(nil), "http://"+host+"/latest/meta-data"),
			refusal("host "+host+":80 has no address that programs may connect to: it is a cloud's metadata service"))
	}
}

func TestAttack071SpecialAddressesAreRefused(t *testing.T) {
	bad := []string{
		"127.0.0.1", "10.0.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "0.0.0.0",
		"[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::1]",
	}
	r := newRig(t, egress.Config{Dialer: noDialer{t}}, append(bad, "[::ffff:127.0.0.1]", "mixed.test")...)
	for _, host := range append(bad, "[::ffff:127.0.0.1]") {
		a := get(t, r.client(nil), "http://"+host+"/")
		if a.status != 403 || a.verdict != "denied" {
			t.Errorf("%s: got %+v", host, a)
		}
		contains(t, a.body, "no address that programs may connect to")

		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil {
			t.Fatal(err)
		}
		r.names.known["mixed.test."] = []netip.Addr{addr}
		a = get(t, r.client(nil), "http://mixed.test/")
		if a.status != 403 || a.verdict != "denied" {
			t.Errorf("a name of %s: got %+v", host, a)
		}
	}
}

func TestAttack071OnlyPublicAddressesOfNameAreDialled(t *testing.T) {
	s := server(t, echo)
	dialer := &fixedDialer{to: s.Listener.Addr().String()}
	r := newRig(t, egress.Config{Dialer: dialer}, "mixed.test")
	r.names.known["mixed.test."] = []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("93.184.216.34"),
	}
	equal(t, get(t, r.client(s), "http://mixed.test/"), answer{200, "", "GET mixed.test / "})
	equal(t, dialer.dialled(), []string{"93.184.216.34:80"})
}

func TestAttack072UnusualAddressFormsAreRefused(t *testing.T) {
	r := newRig(t, egress.Config{Policy: loopback(), Dialer: noDialer{t}}, "127.0.0.1")
	for _, host := range []string{
		"2130706433", "0177.0.0.1", "127.1", "0x7f.1", "0x7f000001", "127.0.0.1.", "127.000.000.001", "127.0.1", "0",
	} {
		w := r.dial()
		w.say("CONNECT " + host + ":443 HTTP/1.1\r\nHost: " + host + ":443\r\n\r\n")
		a := w.answer("CONNECT")
		if a.status != 403 || a.verdict != "denied" {
			t.Errorf("CONNECT %s: got %+v", host, a)
		}
		a = get(t, r.client(nil), "http://"+host+"/")
		if a.status != 403 || a.verdict != "denied" {
			t.Errorf("GET http://%s: got %+v", host, a)
		}
		if _, reply := r.socks(host, 443); reply != 1 && reply != 2 {
			t.Errorf("SOCKS5 %s: got reply %d", host, reply)
		}
	}
	equal(t, r.names.questions(), []string{})
}

// The function "dns" starts a DNS server whose answer changes after the first query. It
// also returns a counter of the queries.
func dns(t *testing.T, first, second [4]byte) (_ *net.Resolver, asked *atomic.Int32) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int32)
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(b[:n]); err != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				address := first
				if asked.Add(1) > 1 {
					address = second
				}
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0},
					Body:   &dnsmessage.AResource{A: address},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, asked
}

func TestAttack073CheckedAddressIsDialled(t *testing.T) {
	s := server(t, echo)
	resolver, asked := dns(t, [4]byte{93, 184, 216, 34}, [4]byte{127, 0, 0, 1})
	dialer := &fixedDialer{to: s.Listener.Addr().String()}
	r := newRig(t, egress.Config{Resolver: resolver, Dialer: dialer}, "rebind.test")
	c := r.client(s)

	equal(t, get(t, c, "http://rebind.test/"), answer{200, "", "GET rebind.test / "})
	equal(t, asked.Load(), 1)
	equal(t, dialer.dialled(), []string{"93.184.216.34:80"})

	equal(t, get(t, c, "http://rebind.test/"),
		refusal("host rebind.test:80 has no address that programs may connect to: it is loopback"))
	equal(t, asked.Load(), 2)
	equal(t, dialer.dialled(), []string{"93.184.216.34:80"})
}

func TestAttack074RedirectsAreChecked(t *testing.T) {
	var to string
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		echo(w, r)
	})
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	for _, c := range []struct {
		name, to string
		want     answer
	}{
		{"to an allowed host", "http://a.test:" + p + "/x", answer{200, "", "GET a.test:" + p + " /x "}},
		{"to another host", "http://b.test:" + p + "/x", refusal("host b.test:" + p + " is not in network.allow")},
		{"to an address", "http://127.0.0.1:" + p + "/x", refusal("host 127.0.0.1:" + p + " is not in network.allow")},
		{"to a metadata service", "http://169.254.169.254/x", refusal("host 169.254.169.254:80 is not in network.allow")},
	} {
		t.Run(c.name, func(t *testing.T) {
			to = c.to
			equal(t, get(t, r.client(s), "http://a.test:"+p+"/"), c.want)
		})
	}
}

func TestAttack074EachRequestOfAConnectionIsChecked(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	w := r.dial()
	for range 2 {
		w.say("GET http://a.test:" + p + "/1 HTTP/1.1\r\nHost: a.test:" + p + "\r\n\r\n")
		equal(t, w.answer("GET"), answer{200, "", "GET a.test:" + p + " /1 "})
		w.say("GET http://b.test:" + p + "/2 HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n")
		equal(t, w.answer("GET"), refusal("host b.test:"+p+" is not in network.allow"))
	}
}

func TestAttack075HostHeaderMustMatchTarget(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p, "127.0.0.1:"+p)
	for _, c := range []struct{ name, head, want string }{
		{"in a request with a URL", "GET http://a.test:" + p + "/ HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "the Host header must be the host in the URL"},
		{"in CONNECT", "CONNECT a.test:" + p + " HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "the Host header of CONNECT must be its target"},
		{"also its port", "CONNECT a.test:" + p + " HTTP/1.1\r\nHost: a.test:1\r\n\r\n", "the Host header of CONNECT must be its target"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.dial()
			w.say(c.head)
			equal(t, w.answer("GET"), refusal(c.want))
		})
	}
	target := "a.test:" + p
	for _, c := range []struct{ name, target, request, want string }{
		{"in a tunnel", target, "GET / HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "a connection to " + target + " must not be used for another host"},
		{"in the URL in a tunnel", target, "GET http://b.test/ HTTP/1.1\r\nHost: " + target + "\r\n\r\n", "a request in a connection to " + target + " must have a path, not a URL"},
		{"if there is none", target, "GET / HTTP/1.0\r\n\r\n", "a request to " + target + " must have a Host header"},
		{"if there are two", target, "GET / HTTP/1.1\r\nHost: " + target + "\r\nHost: b.test\r\n\r\n", "a request to " + target + " is malformed"},
		{"with a name for an address", "127.0.0.1:" + p, "GET / HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "host b.test:" + p + " is not in network.allow"},
		{"with a method in small letters", target, "get / HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "a connection to " + target + " must not be used for another host"},
		{"after empty lines", target, "\r\n\r\nGET / HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "a request to " + target + " is malformed"},
		{"with a tab", target, "GET\t/\tHTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n", "a request to " + target + " is malformed"},
		{"in HTTP/2 without TLS", target, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "a request to " + target + " is malformed"},
		{"through another proxy", target, "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n", "a connection to " + target + " must not be used as a proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := r.connect(c.target)
			w.say(c.request)
			equal(t, w.answer("GET"), refusal(c.want))
			equal(t, w.rest(), "")
		})
	}
	t.Run("in small pieces", func(t *testing.T) {
		w := r.connect(target)
		for _, b := range []byte("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n") {
			w.say(string(b))
		}
		equal(t, w.answer("GET"), refusal("a connection to "+target+" must not be used for another host"))
	})
	t.Run("in the second request of a tunnel", func(t *testing.T) {
		w := r.connect(target)
		w.say("GET /1 HTTP/1.1\r\nHost: " + target + "\r\n\r\n")
		equal(t, w.answer("GET"), answer{200, "", "GET " + target + " /1 "})
		w.say("GET /2 HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n")
		equal(t, w.rest(), "")
	})
	t.Run("behind the body of another", func(t *testing.T) {
		w := r.connect(target)
		w.say("POST /1 HTTP/1.1\r\nHost: " + target + "\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: b.test\r\n\r\n")
		equal(t, w.answer("POST"), refusal("a request to "+target+" is malformed"))
	})
	for _, c := range r.connections() {
		if c.Verdict == egress.Denied && c.SentBytes > 0 && c.Reason != "a connection to "+target+" must not be used for another host" {
			t.Errorf("bytes were sent: %+v", c)
		}
	}
}

func TestAttack075SNIMustMatchTarget(t *testing.T) {
	s := tlsServer(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p, "www.a.test:"+p, "127.0.0.1:"+p)
	for _, c := range []struct {
		name, target, sni string
		ok                bool
	}{
		{"same name", "a.test", "a.test", true},
		{"same name in capitals", "a.test", "A.TEST", true},
		{"another name", "a.test", "b.test", false},
		{"another allowed name", "a.test", "www.a.test", false},
		{"no name", "a.test", "", false},
		{"address without a name", "127.0.0.1", "", true},
		{"address with an allowed name", "127.0.0.1", "a.test", true},
		{"address with another name", "127.0.0.1", "b.test", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tunnels := map[string]*wire{"CONNECT": r.connect(c.target + ":" + p)}
			if c.target == "a.test" {
				w, reply := r.socks(c.target, number(t, p))
				if reply != 0 {
					t.Fatalf("got reply %d", reply)
				}
				tunnels["SOCKS5"] = w
			}
			for way, w := range tunnels {
				err := w.handshake(c.sni)
				if (err == nil) != c.ok {
					t.Errorf("%s: got %v", way, err)
				}
				if err != nil {
					contains(t, err.Error(), "access denied")
				}
			}
		})
	}
	for _, c := range r.connections() {
		if c.Verdict == egress.Denied && (c.SentBytes > 0 || c.ReceivedBytes > 0) {
			t.Errorf("bytes passed: %+v", c)
		}
	}
}

func TestAttack076LookalikeNamesAreDistinct(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p, "*.b.test:"+p)
	known := r.names.known["a.test."]
	r.names.known["x.b.test."] = known
	for host, allowed := range map[string]bool{
		"a.test":              true,
		"A.Test":              true,
		"a.test.":             true,
		"x.b.test":            true,
		"X.B.TEST.":           true,
		"b.test":              false,
		"nota.test":           false,
		"notb.test":           false,
		"x.a.test":            false,
		"a.test.evil.org":     false,
		"a.test..":            false,
		".a.test":             false,
		"a..test":             false,
		"evil.org\x00a.test":  false,
		"evil.org\x00.b.test": false,
		"evil.org/.b.test":    false,
		"evil.org#.b.test":    false,
		"evil.org?.b.test":    false,
		"evil.org@a.test":     false,
		"a.test@evil.org":     false,
		"evil.org\r\n.b.test": false,
		"evil.org%00.b.test":  false,
		"evil.org .b.test":    false,
		"*.b.test":            false,
		"a.tеst":              false,
		"ａ.test":              false,
		"a。test":              false,
	} {
		_, reply := r.socks(host, number(t, p))
		if (reply == 0) != allowed {
			t.Errorf("SOCKS5 %q: got reply %d", host, reply)
		}
		w := r.dial()
		w.say("CONNECT " + host + ":" + p + " HTTP/1.0\r\n\r\n")
		if a := w.answer("CONNECT"); (a.status == 200) != allowed {
			t.Errorf("CONNECT %q: got %+v", host, a)
		}
		w = r.dial()
		w.say("GET http://" + host + ":" + p + "/ HTTP/1.0\r\n\r\n")
		if a := w.answer("GET"); (a.status == 200) != allowed {
			t.Errorf("GET http://%q: got %+v", host, a)
		}
	}
	for _, name := range r.names.questions() {
		if name != "a.test." && name != "x.b.test." {
			t.Errorf("%q was resolved", name)
		}
	}
}

func TestAttack077OtherPortsAreRefused(t *testing.T) {
	r := newRig(t, egress.Config{Policy: loopback(), Dialer: noDialer{t}}, "a.test", "b.test:8443")
	for _, target := range []string{"a.test:22", "a.test:25", "a.test:8443", "a.test:6379", "b.test:443", "b.test:80"} {
		w := r.dial()
		w.say("CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n")
		equal(t, w.answer("CONNECT"), refusal("host "+target+" is not in network.allow"))
		host, p, _ := strings.Cut(target, ":")
		if _, reply := r.socks(host, number(t, p)); reply != 2 {
			t.Errorf("SOCKS5 %s: got reply %d", target, reply)
		}
	}
	for _, target := range []string{"a.test", "a.test:", "a.test:0", "a.test:65979", "a.test:+443", "a.test:0443", "a.test:443:443"} {
		w := r.dial()
		w.say("CONNECT " + target + " HTTP/1.0\r\n\r\n")
		if a := w.answer("CONNECT"); a.status != 403 && a.status != 400 {
			t.Errorf("CONNECT %s: got %+v", target, a)
		}
	}
}

func TestAttack078RefusedNamesAreNotResolved(t *testing.T) {
	r := newRig(t, egress.Config{Dialer: noDialer{t}}, "a.test")
	secret := strings.Repeat("deadbeef", 7) + ".tunnel.evil.org"
	equal(t, get(t, r.client(nil), "http://"+secret+"/").status, 403)
	equal(t, get(t, r.client(nil), "http://"+secret+".a.test/").status, 403)
	equal(t, get(t, r.client(nil), "http://a.test:53/").status, 403)
	if _, reply := r.socks(secret, 443); reply != 2 {
		t.Errorf("got reply %d", reply)
	}
	equal(t, r.names.questions(), []string{})
	// BIND (2), UDP ASSOCIATE (3) and the undefined command 9 must be refused.
	// Only UDP ASSOCIATE could carry DNS queries.
	for command, want := range map[byte]byte{2: 7, 3: 7, 9: 7} {
		w := r.dial()
		w.say("\x05\x01\x00")
		w.hear(2)
		w.say("\x05" + string(rune(command)) + "\x00\x01\x08\x08\x08\x08\x00\x35")
		if reply := w.hear(10)[1]; reply != want {
			t.Errorf("command %d: got reply %d, want %d", command, reply, want)
		}
	}
}

func TestAttack079ServerIsNotReached(t *testing.T) {
	api := server(t, echo)
	p := port(t, api)
	own := netip.MustParseAddr("93.184.216.34")
	r := newRig(t, egress.Config{
		Dialer:        noDialer{t},
		HostAddresses: func() ([]netip.Addr, error) { return []netip.Addr{own}, nil },
	}, "127.0.0.1:"+p, "localhost:"+p, "[::1]:"+p, "0.0.0.0:"+p, own.String()+":"+p, "api.test:"+p, "10.0.0.2:"+p)
	r.names.known["localhost."] = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	r.names.known["api.test."] = []netip.Addr{own}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "0.0.0.0", "10.0.0.2", own.String(), "api.test"} {
		a := get(t, r.client(nil), "http://"+host+":"+p+"/api/health")
		if a.status != 403 || a.verdict != "denied" {
			t.Errorf("%s: got %+v", host, a)
		}
	}
	for _, path := range []string{"/", "/admin", "/metrics", "/debug/pprof/", "/proxy.pac", "*", "//a.test/"} {
		w := r.dial()
		w.say("GET " + path + " HTTP/1.1\r\nHost: " + r.addr + "\r\n\r\n")
		a := w.answer("GET")
		if a.status != 400 || a.verdict != "denied" {
			t.Errorf("%s: got %+v", path, a)
		}
		contains(t, a.body, "this is a proxy")
	}
	a := get(t, r.client(nil), "http://"+r.addr+"/")
	if a.status != 403 {
		t.Errorf("the proxy itself: got %+v", a)
	}
	for _, first := range []string{"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\n\n", "\x00\n\n", "GET / HTTP/9.9\r\n\r\n"} {
		w := r.dial()
		w.say(first)
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		got := w.rest()
		if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%q: got %q", first, got)
		}
	}
}

func TestAttack080RulesBelongToOneRun(t *testing.T) {
	s := server(t, echo)
	p := port(t, s)
	r := newRig(t, egress.Config{Policy: loopback()}, "a.test:"+p)
	rules, err := egress.ParseRules([]string{"b.test:" + p})
	if err != nil {
		t.Fatal(err)
	}
	other := r.proxy.NewRun(rules)
	defer other.Close()
	ours, theirs := net.Pipe()
	go r.proxy.Serve(t.Context(), theirs, other)
	w := &wire{t: t, Conn: ours, r: newReader(ours)}
	w.say("GET http://a.test:" + p + "/ HTTP/1.1\r\nHost: a.test:" + p + "\r\n\r\n")
	equal(t, w.answer("GET"), refusal("host a.test:"+p+" is not in network.allow"))
	w.say("GET http://b.test:" + p + "/ HTTP/1.1\r\nHost: b.test:" + p + "\r\n\r\n")
	equal(t, w.answer("GET").status, 200)
	equal(t, get(t, r.client(s), "http://a.test:"+p+"/").status, 200)
	equal(t, get(t, r.client(s), "http://b.test:"+p+"/").status, 403)
}
