package e2e_test

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"testing"
)

// linkState determines whether a proxy forwards, holds or closes its connections.
type linkState int

const (
	linkOpen linkState = iota
	// In the state linkHeld, the proxy forwards nothing and stores the bytes that
	// arrive. The connections stay open. This simulates a network that loses all
	// packets.
	linkHeld
	// In the state linkCut, the proxy closes all existing connections and each new
	// connection.
	linkCut
)

// proxy forwards TCP connections from one process to another process. A test can hold
// or close the connections, to simulate a network failure between two machines.
type proxy struct {
	listener        net.Listener
	network, target string

	mu    sync.Mutex
	state linkState
	// The channel "changed" is closed when the state changes the next time.
	changed     chan struct{}
	connections map[net.Conn]bool
	// traffic contains all bytes that the proxy has forwarded while the field "record"
	// was true.
	record  bool
	traffic bytes.Buffer
	ended   sync.WaitGroup
}

// startProxy starts a proxy that forwards connections to the address "target". The
// proxy stops when the test ends.
func startProxy(t testing.TB, network, target string) *proxy {
	t.Helper()
	l := must(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	p := &proxy{listener: l, network: network, target: target, changed: make(chan struct{}), connections: map[net.Conn]bool{}}
	p.ended.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(linkCut)
		p.ended.Wait()
	})
	return p
}

// address returns the address of the proxy.
func (p *proxy) address() string { return p.listener.Addr().String() }

// The method "set" changes the state of the proxy.
func (p *proxy) set(s linkState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
	close(p.changed)
	p.changed = make(chan struct{})
	if s == linkCut {
		for c := range p.connections {
			_ = c.Close()
		}
		clear(p.connections)
	}
}

// recorded returns the bytes that the proxy has forwarded on all connections.
func (p *proxy) recorded() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.traffic.Bytes())
}

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.ended.Go(func() { p.forward(c) })
	}
}

// errCut is the error for a proxy whose connections the test has closed.
var errCut = errors.New("cut")

// pass waits while the proxy is in the state linkHeld. It returns errCut if the state
// is linkCut.
func (p *proxy) pass() error {
	for {
		p.mu.Lock()
		state, changed := p.state, p.changed
		p.mu.Unlock()
		switch state {
		case linkOpen:
			return nil
		case linkCut:
			return errCut
		}
		<-changed
	}
}

// The method "add" stores a connection, so that the proxy can close it later. The
// method fails if the state is linkCut.
func (p *proxy) add(c net.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == linkCut {
		_ = c.Close()
		return errCut
	}
	p.connections[c] = true
	return nil
}

func (p *proxy) remove(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, c)
	_ = c.Close()
}

func (p *proxy) forward(from net.Conn) {
	if p.add(from) != nil {
		return
	}
	defer p.remove(from)
	if p.pass() != nil {
		return
	}
	to, err := net.Dial(p.network, p.target)
	if err != nil || p.add(to) != nil {
		return
	}
	defer p.remove(to)
	var both sync.WaitGroup
	both.Go(func() { p.copy(to, from) })
	both.Go(func() { p.copy(from, to) })
	both.Wait()
}

// The method "copy" copies bytes in one direction. At the end of the stream, it closes
// both connections, because neither NATS nor PostgreSQL uses half-closed connections.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if p.pass() != nil {
			return
		}
		if n > 0 {
			p.mu.Lock()
			if p.record {
				p.traffic.Write(buffer[:n])
			}
			p.mu.Unlock()
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
