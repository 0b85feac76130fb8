package egress_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pyth-on/pyth-on/internal/sandbox/egress"
)

func BenchmarkConnect(b *testing.B) {
	s := benchServer(b, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	p, run := benchRun(b, s)
	hello := []byte("CONNECT " + s + " HTTP/1.1\r\nHost: " + s + "\r\n\r\n")
	buf := make([]byte, 256)
	for b.Loop() {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { p.Serve(b.Context(), theirs, run); close(done) }()
		if _, err := ours.Write(hello); err != nil {
			b.Fatal(err)
		}
		if _, err := ours.Read(buf); err != nil {
			b.Fatal(err)
		}
		ours.Close()
		<-done
	}
}

func BenchmarkRequest(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	addr := s.Listener.Addr().String()
	p, run := benchRun(b, addr)
	ours, theirs := net.Pipe()
	defer ours.Close()
	go p.Serve(b.Context(), theirs, run)
	r := newReader(ours)
	for b.Loop() {
		if _, err := io.WriteString(ours, "GET http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// BenchmarkTunnel measures the throughput from the server to the client.
func BenchmarkTunnel(b *testing.B) {
	const chunk = 1 << 20
	s := benchServer(b, func(c net.Conn) {
		for data := make([]byte, chunk); ; {
			if _, err := c.Write(data); err != nil {
				return
			}
		}
	})
	p, run := benchRun(b, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			p.Serve(b.Context(), c, run)
		}
	}()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer ours.Close()
	if _, err := io.WriteString(ours, "CONNECT "+s+" HTTP/1.1\r\nHost: "+s+"\r\n\r\n"); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, chunk)
	b.SetBytes(chunk)
	for b.Loop() {
		if _, err := io.ReadFull(ours, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRun(b *testing.B, target string) (*egress.Proxy, *egress.Run) {
	b.Helper()
	rules, err := egress.ParseRules([]string{target})
	if err != nil {
		b.Fatal(err)
	}
	p := egress.New(egress.Config{Policy: loopback()})
	run := p.NewRun(rules)
	b.Cleanup(run.Close)
	return p, run
}

func benchServer(b *testing.B, serve func(net.Conn)) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}
