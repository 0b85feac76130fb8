package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

// The type "piped" is a dialer for connections in memory. It calls serve with the
// server's end of each connection.
type piped struct{ serve func(net.Conn) }

func (p piped) DialContext(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		p.serve(theirs)
	}()
	return ours, nil
}

// bubble runs a test in a synctest bubble, which has a fake clock. The test fails if
// a goroutine remains.
func bubble(t *testing.T, config egress.Config, test func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.HostAddresses = func() ([]netip.Addr, error) { return nil, nil }
		p := egress.New(config)
		test(t, p, func(run *egress.Run) *wire {
			ours, theirs := net.Pipe()
			go p.Serve(t.Context(), theirs, run)
			return &wire{t: t, Conn: ours, r: newReader(ours)}
		})
	})
}

func rules(t *testing.T, allow ...string) egress.Rules {
	t.Helper()
	r, err := egress.ParseRules(allow)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const connectTo = "CONNECT 8.8.8.8:443 HTTP/1.1\r\nHost: 8.8.8.8:443\r\n\r\n"

func TestIdleConnectionEnds(t *testing.T) {
	serve := func(c net.Conn) { _, _ = io.Copy(c, c) }
	bubble(t, egress.Config{Dialer: piped{serve}}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
		run := p.NewRun(rules(t, "8.8.8.8"))
		w := dial(run)
		w.say(connectTo)
		equal(t, w.answer("CONNECT").status, 200)
		for range 3 {
			time.Sleep(5*time.Minute - time.Second)
			w.say("\x00")
			equal(t, w.hear(1), "\x00")
		}
		start := time.Now()
		equal(t, w.rest(), "")
		equal(t, time.Since(start), 5*time.Minute)
		synctest.Wait()
		list, _ := run.Connections()
		equal(t, list, []egress.Connection{{
			Host: "8.8.8.8", Port: 443, SentBytes: 3, ReceivedBytes: 3, Verdict: egress.Allowed,
			Reason: "no bytes were sent or received within the idle time-out", Count: 1,
		}})
		run.Close()
	})
}

func TestHandshakeTimesOut(t *testing.T) {
	for name, says := range map[string]string{
		"a slow head":             "GET http://8.8.8.8/ HTTP/1.1\r\nHost: 8.8.8.8\r\nX-And-So-On: and so on and so on",
		"a slow SOCKS5 handshake": "\x05\xff" + string(make([]byte, 90)),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, egress.Config{Dialer: noDialer{t}}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
				run := p.NewRun(rules(t, "8.8.8.8"))
				defer run.Close()
				w := dial(run)
				start := time.Now()
				for _, b := range []byte(says) {
					if _, err := w.Write([]byte{b}); err != nil {
						break
					}
					time.Sleep(700 * time.Millisecond)
				}
				equal(t, time.Since(start).Truncate(time.Second), 30*time.Second)
			})
		})
	}
}

func TestDialSharesTimeBetweenAddresses(t *testing.T) {
	bubble(t, egress.Config{
		Resolver: &names{known: map[string][]netip.Addr{"a.test.": {netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("9.9.9.9")}}},
		Dialer: dialFunc(func(ctx context.Context, address string) (net.Conn, error) {
			if address == "8.8.8.8:443" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return piped{func(c net.Conn) { _, _ = io.WriteString(c, "hello") }}.DialContext(ctx, "", "")
		}),
	}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
		run := p.NewRun(rules(t, "a.test"))
		defer run.Close()
		w := dial(run)
		start := time.Now()
		w.say("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n")
		equal(t, w.answer("CONNECT").status, 200)
		equal(t, time.Since(start), 10*time.Second)
		equal(t, w.hear(5), "hello")
	})
}

func TestCloseEndsAllConnections(t *testing.T) {
	silent := piped{func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}
	block := dialFunc(func(ctx context.Context, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for name, c := range map[string]struct {
		dialer egress.Dialer
		says   string
	}{
		"before the first byte":         {silent, ""},
		"within a head":                 {silent, "GET http://8.8.8.8/"},
		"within a SOCKS5 handshake":     {silent, "\x05"},
		"while dialling":                {block, connectTo},
		"while dialling for SOCKS5":     {block, "\x05\x01\x00"},
		"in a tunnel":                   {silent, connectTo},
		"while waiting for the answer":  {silent, "GET http://8.8.8.8/ HTTP/1.1\r\nHost: 8.8.8.8\r\n\r\n"},
		"while sending a body":          {silent, "POST http://8.8.8.8/ HTTP/1.1\r\nHost: 8.8.8.8\r\nContent-Length: 9\r\n\r\n123"},
		"while skipping a refused body": {silent, "POST http://b.test/ HTTP/1.1\r\nHost: b.test\r\nContent-Length: 9\r\n\r\n123"},
	} {
		for _, how := range []string{"by closing", "by its context"} {
			t.Run(name+", "+how, func(t *testing.T) {
				bubble(t, egress.Config{Dialer: c.dialer}, func(t *testing.T, p *egress.Proxy, _ func(*egress.Run) *wire) {
					run := p.NewRun(rules(t, "8.8.8.8"))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					ours, theirs := net.Pipe()
					defer ours.Close()
					served := make(chan struct{})
					go func() { p.Serve(ctx, theirs, run); close(served) }()
					go func() { _, _ = io.Copy(io.Discard, ours) }()
					if _, err := io.WriteString(ours, c.says); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					start := time.Now()
					if how == "by closing" {
						run.Close()
						select {
						case <-served:
						case <-time.After(time.Second):
							t.Error("Close returned before Serve")
						}
					} else {
						cancel()
						<-served
						run.Close()
					}
					if d := time.Since(start); d > 0 {
						t.Errorf("Close took %v", d)
					}
				})
			})
		}
	}
}

func TestRunRefusesConnectionsAfterClose(t *testing.T) {
	bubble(t, egress.Config{Dialer: noDialer{t}}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
		run := p.NewRun(rules(t, "8.8.8.8"))
		run.Close()
		run.Close()
		equal(t, dial(run).rest(), "")
		synctest.Wait()
		list, _ := run.Connections()
		equal(t, list, []egress.Connection{{Verdict: egress.Denied, Reason: "the run has ended", Count: 1}})
	})
}

func TestConcurrentConnectionsAreLimited(t *testing.T) {
	silent := piped{func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }}
	bubble(t, egress.Config{Dialer: silent, MaxConnections: 2}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
		run, other := p.NewRun(rules(t, "8.8.8.8")), p.NewRun(rules(t, "8.8.8.8"))
		defer run.Close()
		defer other.Close()
		first, second := dial(run), dial(run)
		synctest.Wait()
		equal(t, dial(run).rest(), "")
		first.Close()
		synctest.Wait()
		for _, w := range []*wire{second, dial(run), dial(other)} {
			w.say(connectTo)
			equal(t, w.answer("CONNECT").status, 200)
		}
	})
}

func TestSimilarConnectionsShareARecord(t *testing.T) {
	var seen observer
	bubble(t, egress.Config{Dialer: noDialer{t}, Observer: &seen}, func(t *testing.T, p *egress.Proxy, dial func(*egress.Run) *wire) {
		run := p.NewRun(egress.Rules{})
		w := dial(run)
		for i := range 1001 {
			for range 1 + i%2 {
				w.say(fmt.Sprintf("GET http://%d.test/ HTTP/1.1\r\nHost: %d.test\r\n\r\n", i, i))
				equal(t, w.answer("GET").status, 403)
			}
		}
		run.Close()
		list, dropped := run.Connections()
		if len(list) != 1000 || dropped != 1 || seen.count != 1501 {
			t.Errorf("%d records were kept, %d connections dropped, %d observed", len(list), dropped, seen.count)
		}
		equal(t, list[1], egress.Connection{
			Host: "1.test", Port: 80, Verdict: egress.Denied, Reason: "host 1.test:80 is not in network.allow", Count: 2,
		})
		equal(t, seen.last.Count, 1)
	})
}

func TestRefusalsRevealNothingAboutHost(t *testing.T) {
	for _, c := range []struct {
		name, host string
		err        error
		reply      byte
		want       string
	}{
		{"a name that does not exist", "none.test", nil, 4, "host none.test does not exist"},
		{"a name without an address", "empty.test", nil, 4, "host empty.test has no address"},
		{"a port that is closed", "8.8.8.8", syscall.ECONNREFUSED, 5, "host 8.8.8.8:443 refused the connection"},
		{"a network without a route", "8.8.8.8", syscall.ENETUNREACH, 3, "the network of host 8.8.8.8:443 cannot be reached"},
		{"a host without a route", "8.8.8.8", syscall.EHOSTUNREACH, 4, "host 8.8.8.8:443 cannot be reached"},
		{"a host that is silent", "8.8.8.8", os.ErrDeadlineExceeded, 4, "host 8.8.8.8:443 did not respond in time"},
		{"other error", "8.8.8.8", errors.New("no buffer on eth7"), 4, "host 8.8.8.8:443 cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, egress.Config{Dialer: dialFunc(func(context.Context, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: c.err}
			})}, c.host)
			r.names.known["empty.test."] = nil
			w := r.dial()
			w.say("CONNECT " + c.host + ":443 HTTP/1.1\r\nHost: " + c.host + "\r\n\r\n")
			equal(t, w.answer("CONNECT"), answer{502, "failed", "pyth-on: " + c.want + "\n"})
			_, reply := r.socks(c.host, 443)
			equal(t, reply, c.reply)
			equal(t, r.connections(), []egress.Connection{{Host: c.host, Port: 443, Verdict: egress.Failed, Reason: c.want, Count: 2}})
		})
	}
}

func TestDialNeedsAddressesOfHost(t *testing.T) {
	r := newRig(t, egress.Config{
		Dialer:        noDialer{t},
		HostAddresses: func() ([]netip.Addr, error) { return nil, errors.New("no netlink") },
	}, "8.8.8.8")
	equal(t, get(t, r.client(nil), "http://8.8.8.8/").status, 502)
}

func TestDialRefusesAddressesOfHost(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		addr, _ := netip.AddrFromSlice(a.(*net.IPNet).IP)
		if addr = addr.Unmap(); addr.IsLoopback() || !addr.Is4() {
			continue
		}
		policy := egress.Policy{AllowRanges: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
		r := newRig(t, egress.Config{Policy: policy, Dialer: noDialer{t}}, addr.String())
		a := get(t, r.client(nil), "http://"+addr.String()+"/")
		equal(t, a.status, 403)
		contains(t, a.body, "an address of the server itself")
	}
}

func TestDenyTakesPrecedenceOverAllow(t *testing.T) {
	deny, err := egress.ParseDeny([]string{"a.test", "*.b.test:80", "9.9.9.9"})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, egress.Config{Policy: egress.Policy{Deny: deny}, Dialer: noDialer{t}},
		"a.test", "a.test:8080", "*.b.test", "9.9.9.9", "nine.test")
	r.names.known["nine.test."] = []netip.Addr{netip.MustParseAddr("9.9.9.9")}
	for _, target := range []string{"a.test:80", "a.test:8080", "x.b.test:80"} {
		equal(t, get(t, r.client(nil), "http://"+target+"/"),
			refusal("host "+target+" is denied by the operator of this server"))
	}
	equal(t, get(t, r.client(nil), "http://nine.test/"),
		refusal("host nine.test:80 has no address that programs may connect to: it is denied by the operator of this server"))
	off := newRig(t, egress.Config{Policy: egress.Policy{Off: true}, Dialer: noDialer{t}}, "8.8.8.8")
	equal(t, get(t, off.client(nil), "http://8.8.8.8/"), refusal("programs have no network on this server"))
}

type dialFunc func(ctx context.Context, address string) (net.Conn, error)

func (f dialFunc) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return f(ctx, address)
}

type observer struct {
	mu    sync.Mutex
	count int
	last  egress.Connection
}

func (o *observer) Finished(c egress.Connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	o.last = c
}
