package e2b

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config configures a Server. Gate, Sessions, Expired, Executions, Processes and Helpers
// are required.
type Config struct {
	Gate       Gate
	Sessions   Sessions
	Executions Executions
	// Processes runs the commands and terminals of clients. Helpers runs processes that
	// serve files. The audit log does not record these processes. It also does not record
	// operations on the files of sessions.
	Processes, Helpers Processes
	// Expired closes the sessions of sandboxes whose time has ended.
	Expired Closer
	// Languages contains the languages and the custom images of the server.
	Languages []pyth.LanguageInfo
	// Limits contains the limits of sandboxes. Clients can read these limits. MaxTimeout
	// is the maximum time of one run.
	Limits     pyth.Limits
	MaxTimeout time.Duration
	// Processors is the number of processors that clients see.
	Processors int
	// Network contains the hosts that a sandbox may connect to if its client selects no
	// hosts.
	Network []string
	// Clock returns the current time. The default is time.Now.
	Clock func() time.Time
}

// Headers that select a sandbox and one of its protocols.
const (
	sandboxHeader = "E2b-Sandbox-Id"
	portHeader    = "E2b-Sandbox-Port"
)

// Ports of the protocols of a sandbox.
const (
	envdPort        = "49983"
	interpreterPort = "49999"
)

// Time-outs of requests. An operation on files or a run waits until the earlier runs of
// the session have ended, so turnAllowance is added to the maximum time of a run.
const (
	controlTimeout  = time.Minute
	turnAllowance   = 90 * time.Second
	transferTimeout = 2 * time.Hour
)

// maxAge is the maximum age of a session, and so of a sandbox.
const maxAge = 24 * time.Hour

// Server is a handler for the three protocols. It is safe for concurrent use. Call Close
// before the services are closed.
type Server struct {
	config      Config
	sandboxes   *registry
	control     *http.ServeMux
	envd        *http.ServeMux
	interpreter *http.ServeMux
}

// New returns a Server.
func New(config Config) *Server {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	config.Processors = cmp.Or(config.Processors, 1)
	s := &Server{config: config, sandboxes: newRegistry(config.Expired, config.Clock)}
	s.control, s.envd, s.interpreter = s.controlRoutes(), s.envdRoutes(), s.interpreterRoutes()
	return s
}

// Close forgets all sandboxes. It waits until expired sessions are closed.
func (s *Server) Close() { s.sandboxes.close() }

// ServeHTTP handles one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ids, ports := r.Header.Values(sandboxHeader), r.Header.Values(portHeader)
	switch {
	case len(ids) == 0 && len(ports) == 0 && r.URL.Path == filesPath:
		_, r.Pattern = s.envd.Handler(r)
		s.serveSigned(w, r)
	case len(ids) == 0 && len(ports) == 0:
		s.dispatch(w, r, s.control, s.Refuse)
	case len(ids) != 1 || len(ports) != 1:
		// Refuse several values of a header, because a proxy may have checked only one of
		// them.
		s.Refuse(w, r, fail(http.StatusBadRequest, "Send each of the headers %s and %s exactly once.", sandboxHeader, portHeader))
	case ports[0] == envdPort:
		// Set the route first, so that the access log also shows the route of a refused
		// request.
		_, r.Pattern = s.envd.Handler(r)
		s.serveEnvd(w, r, ids[0])
	case ports[0] == interpreterPort:
		_, r.Pattern = s.interpreter.Handler(r)
		s.serveInterpreter(w, r, ids[0])
	default:
		s.Refuse(w, r, fail(http.StatusBadGateway, "Port %q of the sandbox is not reachable through this server.", clip(ports[0])))
	}
}

// dispatch calls the handler for the path and the method of the request. If there is no
// handler, it calls the function "refuse", which sends an error in the format of the
// protocol.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, routes *http.ServeMux, refuse func(http.ResponseWriter, *http.Request, error)) {
	_, pattern := routes.Handler(r)
	if pattern == "" || r.URL.Path != path.Clean(r.URL.Path) {
		refuse(w, r, fail(http.StatusNotFound, "This server has no operation %s %s of the protocol.", clip(r.Method), clip(r.URL.Path)))
		return
	}
	routes.ServeHTTP(w, r)
}

type sandboxKey struct{}

// access is a request of a caller who has access to a sandbox.
type access struct {
	*sandbox
	principal *pyth.Principal
}

// withAccess adds the sandbox to the context of a request.
func withAccess(r *http.Request, a *access) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), sandboxKey{}, a))
}

// accessOf returns the sandbox of a request to envd or to the interpreter.
func accessOf(ctx context.Context) *access { return ctx.Value(sandboxKey{}).(*access) }

// admit checks that the holder of the grant may still use the sandbox, and that the
// session of the sandbox exists. If one of these checks fails, it writes an error
// response and returns false.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, x *sandbox, g *grant, refuse func(http.ResponseWriter, *http.Request, error), scopes ...pyth.Scope) (*http.Request, bool) {
	p, err := s.config.Gate.Admit(r.Context(), g.key, "", scopes...)
	if err != nil {
		refuse(w, r, err)
		return nil, false
	}
	if p.User.ID != x.user {
		refuseGone(w, string(x.id))
		return nil, false
	}
	if !s.alive(r.Context(), x) {
		refuseGone(w, string(x.id))
		return nil, false
	}
	return withAccess(r, &access{x, p}), true
}

// alive reports whether the session of the sandbox exists. If the session no longer
// exists, alive removes the sandbox.
func (s *Server) alive(ctx context.Context, x *sandbox) bool {
	_, err := s.config.Sessions.Session(ctx, x.user, x.id)
	if isGone(err) {
		// Ignore the errors, because the caller did not ask for the end of the sandbox.
		_ = s.end(context.WithoutCancel(ctx), x, s.config.Expired)
		return false
	}
	return err == nil
}

// end removes the sandbox and closes its sessions.
func (s *Server) end(ctx context.Context, x *sandbox, sessions Closer) error {
	var first error
	for _, id := range s.sandboxes.remove(x) {
		if err := sessions.CloseSession(ctx, x.user, id); err != nil && !isGone(err) && first == nil {
			first = err
		}
	}
	return first
}
