// Package gateway gives a sandbox access only to a package index.
//
// A job that resolves packages sends its requests to Host. The server gets the requested
// pages from the index and sends them to the job. So the job does not learn the address
// of the index or the operator's credentials.
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

// Host is the host name of the index inside a sandbox.
const Host = "packages.internal"

// Gateway holds a Route for each running job. It is safe for concurrent use.
type Gateway struct {
	mu     sync.Mutex
	routes map[pyth.GatewayID]*Route
}

// New returns a Gateway without routes.
func New() *Gateway { return &Gateway{routes: make(map[pyth.GatewayID]*Route)} }

// Handler answers one request that a job sent through a route.
type Handler func(*Route, http.ResponseWriter, *http.Request)

// Route connects one job with the handler that answers the requests of the job.
type Route struct {
	gateway *Gateway
	id      pyth.GatewayID
	ctx     context.Context
	cancel  context.CancelFunc
	server  *http.Server
	conns   chan net.Conn

	mu     sync.Mutex
	failed error
}

// Open creates a route. The parameter "handle" answers the requests of this route. The
// caller must call Remove on the route. When ctx ends, the requests of the route are
// canceled.
func (g *Gateway) Open(ctx context.Context, handle Handler) *Route {
	r := &Route{gateway: g, id: pyth.GatewayID(rand.Text()), conns: make(chan net.Conn)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			host := q.URL.Host // Requests to a proxy have the host in the URL.
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

// Network returns the network of the job whose route has this ID. After a call of Remove
// for the route, it returns a network that closes every connection.
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

// The type "removed" is the network of a job whose route was removed.
type removed struct{}

func (removed) Serve(_ context.Context, conn net.Conn) { _ = conn.Close() }
func (removed) Close() []pyth.Connection               { return nil }

// ID returns the ID of the route, for pyth.Network.Gateway.
func (r *Route) ID() pyth.GatewayID { return r.id }

// Remove removes the route from its Gateway and closes its connections.
func (r *Route) Remove() {
	r.gateway.mu.Lock()
	delete(r.gateway.routes, r.id)
	r.gateway.mu.Unlock()
	r.cancel()
	_ = r.server.Close()
}

// Err returns the first failure of the index. It returns nil if the index has not failed.
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

// Reply tells the job that its request failed with err. It also records err as a failure
// of the index. A missing page is not a failure, because resolvers may ask for packages
// that do not exist.
func (r *Route) Reply(w http.ResponseWriter, err error) {
	if e, ok := errors.AsType[*index.StatusError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	r.fail(err)
	http.Error(w, "the package index failed", http.StatusBadGateway)
}

// Serve answers the requests on the connection. It returns when the connection is
// closed or ctx ends.
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

// Close closes the connections of the route. It returns nil, because connections to the
// gateway are not part of the report of a run.
func (r *Route) Close() []pyth.Connection {
	r.cancel() // The call ends Accept and all requests to the index.
	_ = r.server.Close()
	return nil
}

// notifyingConn is a connection that calls the function "closed" when it is closed.
type notifyingConn struct {
	net.Conn
	closed func()
}

func (c *notifyingConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// listener is a net.Listener that accepts the connections passed to Serve.
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
