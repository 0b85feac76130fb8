package packages

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// gatewayHost is what the index is called inside a sandbox.
const gatewayHost = "packages.internal"

// Gateway is the only host that a job of this package reaches. It fetches what
// the job asks for from the operator's index, with credentials that the sandbox
// does not see.
type Gateway struct {
	mu     sync.Mutex
	routes map[pyth.GatewayID]*route
}

// NewGateway makes a Gateway without routes.
func NewGateway() *Gateway { return &Gateway{routes: make(map[pyth.GatewayID]*route)} }

// route is the way of one job.
type route struct {
	gateway *Gateway
	id      pyth.GatewayID
	ctx     context.Context
	cancel  context.CancelFunc
	server  *http.Server
	conns   chan net.Conn

	mu sync.Mutex
	// failed is why the index did not do its part; nil if it did.
	failed error
}

// begin makes a way, on which the handler answers. The context ends what it
// does.
func (g *Gateway) begin(ctx context.Context, handle func(*route, http.ResponseWriter, *http.Request)) *route {
	r := &route{gateway: g, id: pyth.GatewayID(rand.Text()), conns: make(chan net.Conn)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			host := q.URL.Host // As proxies are asked.
			if host == "" {
				host = q.Host
			}
			if q.Method != http.MethodGet || host != gatewayHost {
				http.Error(w, "only the index can be reached from here", http.StatusForbidden)
				return
			}
			handle(r, w, q)
		}),
		BaseContext:       func(net.Listener) context.Context { return r.ctx },
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
	go func() { _ = r.server.Serve(listener{r}) }()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.routes[r.id] = r
	return r
}

// end takes the way away.
func (r *route) end() {
	r.gateway.mu.Lock()
	delete(r.gateway.routes, r.id)
	r.gateway.mu.Unlock()
	r.cancel()
	_ = r.server.Close()
}

// fail notes that the index did not do its part.
func (r *route) fail(err error) {
	if r.ctx.Err() != nil {
		return // It is the job that has ended.
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

func (r *route) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// answer tells the resolver of an error of the index: what is not there may not
// be the index's fault.
func (r *route) answer(w http.ResponseWriter, err error) {
	if e, ok := errors.AsType[*statusError](err); ok && (e.status == http.StatusNotFound || e.status == http.StatusGone) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	r.fail(err)
	http.Error(w, "the index could not be used", http.StatusBadGateway)
}

// Network is the network of a job that resolves packages.
type Network interface {
	Serve(ctx context.Context, conn net.Conn)
	Close() []pyth.Connection
}

// Network returns the network of a job. It is closed when the job has ended.
func (g *Gateway) Network(id pyth.GatewayID) Network {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.routes[id]; r != nil {
		return r
	}
	return closed{}
}

// closed is the network of a job that has ended.
type closed struct{}

func (closed) Serve(_ context.Context, conn net.Conn) { _ = conn.Close() }
func (closed) Close() []pyth.Connection               { return nil }

// Serve answers on the connection to its end.
func (r *route) Serve(ctx context.Context, conn net.Conn) {
	ended := make(chan struct{})
	c := &counted{Conn: conn, ended: sync.OnceFunc(func() { close(ended) })}
	select {
	case r.conns <- c:
	case <-r.ctx.Done():
		_ = conn.Close()
		return
	case <-ctx.Done():
		_ = conn.Close()
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
		_ = c.Close()
	}
}

// Close ends all connections. There is nothing to tell of them: they reached
// nobody but this.
func (r *route) Close() []pyth.Connection {
	r.cancel() // Which ends Accept, and what is being fetched.
	_ = r.server.Close()
	return nil
}

// counted tells when it is closed.
type counted struct {
	net.Conn
	ended func()
}

func (c *counted) Close() error {
	defer c.ended()
	return c.Conn.Close()
}

// listener takes the connections of a route.
type listener struct{ *route }

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (listener) Close() error { return nil }

// Addr is that of the host as it is called inside.
func (listener) Addr() net.Addr { return gatewayAddr{} }

type gatewayAddr struct{}

func (gatewayAddr) Network() string { return "tcp" }
func (gatewayAddr) String() string  { return gatewayHost }
