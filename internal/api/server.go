package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServerConfig has the limits of connections. Zero values mean the defaults.
type ServerConfig struct {
	// ReadHeaderTimeout is the time limit for the header of a request: 10
	// seconds.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is the time limit between requests: 120 seconds.
	IdleTimeout time.Duration
	// MaxHeaderBytes is the maximum size of a header: 32 KiB.
	MaxHeaderBytes int
	// DrainDelay is the time after Shutdown in which the server still accepts
	// connections and answers 503, so that a load balancer notices. Zero means
	// none.
	DrainDelay time.Duration
	// CancelDelay is the time that canceled requests have to answer: 5 seconds.
	CancelDelay time.Duration
	// MaxConnections is the maximum number of open connections; 0 means no
	// limit. At the limit, idle connections are closed for new ones.
	MaxConnections int
	// Logger gets the errors of net/http; nil discards them.
	Logger *slog.Logger
}

// Server serves a Handler on a listener. The Handler has the time limits of
// bodies and responses.
//
// Call Serve once and Shutdown once.
type Server struct {
	handler     *Handler
	server      *http.Server
	connections *connections
	drainDelay  time.Duration
	cancelDelay time.Duration
	cancel      context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
	stopped  bool
}

// NewServer returns a Server.
func NewServer(h *Handler, cfg ServerConfig) *Server {
	setDefault(&cfg.ReadHeaderTimeout, 10*time.Second)
	setDefault(&cfg.IdleTimeout, 120*time.Second)
	setDefault(&cfg.CancelDelay, 5*time.Second)
	if cfg.MaxHeaderBytes <= 0 {
		cfg.MaxHeaderBytes = 32 << 10
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	// Shutdown cancels this context of all requests.
	base, cancel := context.WithCancel(context.Background())
	connections := newConnections(cfg.MaxConnections)
	return &Server{
		handler:     h,
		connections: connections,
		drainDelay:  cfg.DrainDelay,
		cancelDelay: cfg.CancelDelay,
		cancel:      cancel,
		server: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: cfg.ReadHeaderTimeout,
			IdleTimeout:       cfg.IdleTimeout,
			MaxHeaderBytes:    cfg.MaxHeaderBytes,
			BaseContext:       func(net.Listener) context.Context { return base },
			ConnContext:       connections.context,
			ConnState:         connections.note,
			ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
		},
	}
}

// Serve accepts connections until Shutdown is called, and then returns nil
// while Shutdown waits for the requests. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	l = onceCloser{l, sync.OnceValue(l.Close)}
	if !s.listen(l) {
		return l.Close()
	}
	err := s.server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || s.hasStopped() {
		return nil
	}
	return err
}

// onceCloser is a listener that is closed twice: by Server, to accept no more,
// and by net/http, which reports an error for the second time.
type onceCloser struct {
	net.Listener
	close func() error
}

func (l onceCloser) Close() error { return l.close() }

// Shutdown refuses new requests and waits for those in progress. Meanwhile open
// connections stay open and get 503: a client cannot know what happened to a
// request on a closed connection.
//
// If ctx ends first, Shutdown cancels the requests, waits for CancelDelay,
// closes the connections, and returns the error of ctx.
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

// end closes all connections after their requests are answered.
func (s *Server) end(ctx context.Context) error {
	if err := s.connections.wait(ctx); err != nil {
		return err
	}
	return s.server.Shutdown(ctx)
}

// listen stores the listener; it returns false after Shutdown.
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
		// net/http closes it again, and ignores the error as well.
		_ = s.listener.Close()
	}
}

func (s *Server) hasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
