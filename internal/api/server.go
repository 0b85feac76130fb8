package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ServerConfig contains the limits on connections. The value zero of a field means the
// default.
type ServerConfig struct {
	// ReadHeaderTimeout is the time-out for receiving the header of a request. The
	// default is 10 seconds.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is the maximum time between two requests on a connection. The
	// default is 120 seconds.
	IdleTimeout time.Duration
	// MaxHeaderBytes is the maximum size of the header of a request. The default is
	// 32 KiB.
	MaxHeaderBytes int
	// DrainDelay is the length of the first phase of Shutdown. In this phase, the server
	// accepts connections and responds with status 503. So load balancers notice that
	// they must stop using the server. If DrainDelay is 0, Shutdown skips this phase.
	DrainDelay time.Duration
	// CancelDelay is the time that Shutdown waits for the responses after it canceled the
	// requests. The default is 5 seconds.
	CancelDelay time.Duration
	// MaxConnections is the maximum number of open connections. The value 0 means no
	// limit. At the limit, a new connection replaces a connection that has no
	// authenticated request.
	MaxConnections int
	// TLS is the configuration of TLS. If TLS is nil, the server uses plain HTTP.
	TLS *tls.Config
	// HSTS is the time for which browsers must use HTTPS for this host (RFC 6797). If
	// HSTS is 0, or if TLS is nil, the server does not send the header
	// Strict-Transport-Security.
	HSTS time.Duration
	// Logger receives the errors of net/http. If Logger is nil, the server discards these
	// errors.
	Logger *slog.Logger
}

// Drainer is a handler that can refuse new requests: a Handler or a Mount.
type Drainer interface {
	http.Handler
	// Drain makes the handler refuse new requests. Current requests continue.
	Drain()
}

// Server serves a Handler on a listener. The Server limits connections. The Handler
// limits the time for bodies and responses.
//
// A caller must call Serve once and Shutdown once.
type Server struct {
	handler     Drainer
	server      *http.Server
	connections *connections
	drainDelay  time.Duration
	cancelDelay time.Duration
	cancel      context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
	stopped  bool
}

// NewServer returns a Server for the Handler. Call Serve to start it.
func NewServer(h Drainer, cfg ServerConfig) *Server {
	setDefault(&cfg.ReadHeaderTimeout, 10*time.Second)
	setDefault(&cfg.IdleTimeout, 120*time.Second)
	setDefault(&cfg.CancelDelay, 5*time.Second)
	if cfg.MaxHeaderBytes <= 0 {
		cfg.MaxHeaderBytes = 32 << 10
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	// All requests inherit this context. So Shutdown can cancel all requests.
	base, cancel := context.WithCancel(context.Background())
	connections := newConnections(cfg.MaxConnections)
	return &Server{
		handler:     h,
		connections: connections,
		drainDelay:  cfg.DrainDelay,
		cancelDelay: cfg.CancelDelay,
		cancel:      cancel,
		server: &http.Server{
			Handler:           withHSTS(h, cfg),
			TLSConfig:         cfg.TLS,
			ReadHeaderTimeout: cfg.ReadHeaderTimeout,
			IdleTimeout:       cfg.IdleTimeout,
			MaxHeaderBytes:    cfg.MaxHeaderBytes,
			BaseContext:       func(net.Listener) context.Context { return base },
			ConnContext:       connections.context,
			ConnState:         connections.updateState,
			ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
		},
	}
}

// Serve accepts connections until Shutdown closes the listener. It then returns nil,
// even if Shutdown is still waiting for requests.
func (s *Server) Serve(l net.Listener) error {
	l = onceCloser{l, sync.OnceValue(l.Close)}
	if !s.listen(l) {
		return l.Close()
	}
	serve := s.server.Serve
	if s.server.TLSConfig != nil {
		// ServeTLS also offers HTTP/2.
		serve = func(l net.Listener) error { return s.server.ServeTLS(l, "", "") }
	}
	err := serve(l)
	if errors.Is(err, http.ErrServerClosed) || s.hasStopped() {
		return nil
	}
	return err
}

// withHSTS returns a handler that adds the header Strict-Transport-Security. If the
// configuration does not enable this header, withHSTS returns "next" unchanged.
func withHSTS(next http.Handler, cfg ServerConfig) http.Handler {
	if cfg.TLS == nil || cfg.HSTS <= 0 {
		return next
	}
	value := "max-age=" + strconv.FormatInt(int64(cfg.HSTS.Seconds()), 10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", value)
		next.ServeHTTP(w, r)
	})
}

// onceCloser is a listener that allows two calls of its Close method. The Server closes
// the listener to stop accepting connections, and net/http closes it again. Without
// onceCloser, the second call would return an error.
type onceCloser struct {
	net.Listener
	close func() error
}

func (l onceCloser) Close() error { return l.close() }

// Shutdown refuses new requests and waits for the end of current requests. It keeps
// connections open and responds to new requests with status 503. If it closed a
// connection instead, the client could not know whether the server had executed the last
// request.
//
// If ctx ends first, Shutdown cancels the requests and waits for CancelDelay. Then it
// closes the connections and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.handler.Drain()
	if s.drainDelay > 0 {
		select {
		case <-time.After(s.drainDelay):
		case <-ctx.Done():
		}
	}
	s.stopListening()
	err := s.end(ctx)
	if err == nil {
		return nil
	}
	s.cancel()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), s.cancelDelay)
	defer stop()
	if s.end(last) != nil {
		return errors.Join(err, s.server.Close())
	}
	return err
}

// The method "end" waits until all current requests have ended, and closes all
// connections.
func (s *Server) end(ctx context.Context) error {
	if err := s.connections.wait(ctx); err != nil {
		return err
	}
	return s.server.Shutdown(ctx)
}

// listen stores the listener. So Shutdown can close the listener. If Shutdown was called
// before, listen returns false.
func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return !s.stopped
}

func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.listener != nil {
		// Ignore the error, as net/http does.
		_ = s.listener.Close()
	}
}

func (s *Server) hasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
