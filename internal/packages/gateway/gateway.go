// Package gateway gives a sandbox access to a package index and to nothing else.
//
// A job that resolves packages sends its requests to Host. The server requests
// the pages from the index and answers the job. So the sandbox sees neither the
// index nor the operator's credentials.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/index"
)

// Host is the name of the index inside a sandbox.
const Host = "packages.internal"

// Gateway holds the routes of jobs in progress. It is safe for concurrent use.
type Gateway struct {
	mu     sync.Mutex
	routes map[pyth.GatewayID]*Route
}

// New makes a Gateway without routes.
func New() *Gateway { return &Gateway{routes: make(map[pyth.GatewayID]*Route)} }

// Handler answers one request of the job that uses the route.
type Handler func(*Route, http.ResponseWriter, *http.Request)

// Route connects one job with a handler.
type Route struct {
	gateway *Gateway
	id      pyth.GatewayID
	ctx     context.Context
	cancel  context.CancelFunc
	server  *http.Server
	conns   chan net.Conn

	mu sync.Mutex
	// failed is the first failure of the index; nil if there is none.
	failed error
}

// Open adds a route. Remove removes it. If ctx ends, the requests of the route
// are canceled.
func (g *Gateway) Open(ctx context.Context, handle Handler) *Route {
	r := &Route{gateway: g, id: pyth.GatewayID(rand.Text()), conns: make(chan net.Conn)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			host := q.URL.Host // A request to a proxy has the host in its URL.
			if host == "" {
				host = q.Host
			}
			if q.Method != http.MethodGet || host != Host {
				http.Error(w, "only the package index can be reached from here", http.StatusForbidden)
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

// Network returns the network of the job that uses the route. After Remove it
// refuses all connections.
func (g *Gateway) Network(id pyth.GatewayID) Network {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.routes[id]; r != nil {
		return r
	}
	return removed{}
}

// Network serves the connections of one job.
type Network interface {
	Serve(ctx context.Context, conn net.Conn)
	Close() []pyth.Connection
}

// removed is the network of a job whose route was removed.
type removed struct{}

func (removed) Serve(_ context.Context, conn net.Conn) { _ = conn.Close() }
func (removed) Close() []pyth.Connection               { return nil }

// ID identifies the route in the Network of a job.
func (r *Route) ID() pyth.GatewayID { return r.id }

// Remove removes the route and closes its connections.
func (r *Route) Remove() {
	r.gateway.mu.Lock()
	delete(r.gateway.routes, r.id)
	r.gateway.mu.Unlock()
	r.cancel()
	_ = r.server.Close()
}

// Err returns the first failure of the index; nil if there was none.
func (r *Route) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *Route) fail(err error) {
	if r.ctx.Err() != nil {
		return // The job has ended; the index did not fail.
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = err
	}
}

// Reply answers a failed request. A missing page does not count as a failure of
// the index: a resolver may ask for packages that do not exist.
func (r *Route) Reply(w http.ResponseWriter, err error) {
	if e, ok := errors.AsType[*index.StatusError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	r.fail(err)
	http.Error(w, "the package index failed", http.StatusBadGateway)
}

// Serve answers requests on the connection until it is closed.
func (r *Route) Serve(ctx context.Context, conn net.Conn) {
	ended := make(chan struct{})
	c := &notifyingConn{Conn: conn, closed: sync.OnceFunc(func() { close(ended) })}
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

// Close closes all connections. It returns no connections for the report of the
// run, since they reached only this gateway.
func (r *Route) Close() []pyth.Connection {
	r.cancel() // Ends Accept and all requests to the index.
	_ = r.server.Close()
	return nil
}

// notifyingConn calls closed when it is closed.
type notifyingConn struct {
	net.Conn
	closed func()
}

func (c *notifyingConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// listener accepts the connections of a route.
type listener struct{ *Route }

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (listener) Close() error { return nil }

// Addr returns the address of the index inside a sandbox.
func (listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "tcp" }
func (address) String() string  { return Host }
