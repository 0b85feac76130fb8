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

// ServerConfig bounds what a connection may do. Zero values mean the defaults.
type ServerConfig struct {
	// ReadHeaderTimeout is how long a request's header may take: 10 seconds.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection may wait between requests: 120
	// seconds.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds a request's header: 32 KiB.
	MaxHeaderBytes int
	// DrainDelay is how long the server goes on accepting connections, and
	// answering 503, after Shutdown was called, for a load balancer to notice.
	// Zero means not at all.
	DrainDelay time.Duration
	// CancelDelay is how long requests may take to answer after Shutdown has
	// given up on waiting and canceled them: 5 seconds.
	CancelDelay time.Duration
	// MaxConnections bounds the connections that are open; 0 is no bound. At the
	// bound idle connections make room for new ones.
	MaxConnections int
	// Logger gets what net/http complains about; nil discards it.
	Logger *slog.Logger
}

// Server serves a Handler on a listener. Timeouts of a request's body and of
// its response are the Handler's.
//
// Its life is one Serve and one Shutdown.
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

// NewServer makes a Server.
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
	// Requests live in this context, so that Shutdown can end them.
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

// Serve accepts connections until Shutdown is called; then it returns nil
// soon, while Shutdown waits for the requests. It closes the listener.
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

// onceCloser is a listener that may be closed twice: by us, to listen no more,
// and by net/http, which takes the second time for an error.
type onceCloser struct {
	net.Listener
	close func() error
}

func (l onceCloser) Close() error { return l.close() }

// Shutdown refuses new requests and waits for those that are running. Until
// they have ended, connections that are open stay so and are answered 503: who
// sends on one that was just closed cannot know what became of the request.
//
// When ctx ends first what runs is canceled, and has CancelDelay to answer
// before its connections are closed; then the error is that of ctx.
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

// end closes all connections once the requests on them have been answered.
func (s *Server) end(ctx context.Context) error {
	if err := s.connections.wait(ctx); err != nil {
		return err
	}
	return s.server.Shutdown(ctx)
}

// listen notes the listener; it is false after Shutdown.
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
		// net/http closes it once more, and tells nobody either.
		_ = s.listener.Close()
	}
}

func (s *Server) hasStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}
