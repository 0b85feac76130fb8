package http

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
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
	drainDelay  time.Duration
	cancelDelay time.Duration
	cancel      context.CancelFunc
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
	return &Server{
		handler:     h,
		drainDelay:  cfg.DrainDelay,
		cancelDelay: cfg.CancelDelay,
		cancel:      cancel,
		server: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: cfg.ReadHeaderTimeout,
			IdleTimeout:       cfg.IdleTimeout,
			MaxHeaderBytes:    cfg.MaxHeaderBytes,
			BaseContext:       func(net.Listener) context.Context { return base },
			ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
		},
	}
}

// Serve accepts connections until Shutdown is called; then it returns nil at
// once, while Shutdown waits for the requests. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown refuses new requests and waits for those that are running. When ctx
// ends first these are canceled, and have CancelDelay to answer before their
// connections are closed; then the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cancel()
	s.handler.Drain()
	if s.drainDelay > 0 {
		select {
		case <-time.After(s.drainDelay):
		case <-ctx.Done():
		}
	}
	err := s.server.Shutdown(ctx)
	if err == nil {
		return nil
	}
	s.cancel()
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), s.cancelDelay)
	defer stop()
	if s.server.Shutdown(last) != nil {
		return errors.Join(err, s.server.Close())
	}
	return err
}
