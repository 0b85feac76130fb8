package e2b

import (
	"context"
	"net"
	"net/http"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// envdVersion selects the features that clients use. Version 0.5.7 has uploads of plain
// bytes and the end of standard input, but no metadata of files.
const envdVersion = "0.5.7"

// maxControlBytes is the maximum size of a request body for the control plane. So it also
// limits the total size of the environment variables and the metadata.
const maxControlBytes = 1 << 20

// Descriptions of sandboxes in responses. The protocol determines the names of the
// fields.
type (
	createdSandbox struct {
		TemplateID         string `json:"templateID"`
		SandboxID          string `json:"sandboxID"`
		ClientID           string `json:"clientID"`
		EnvdVersion        string `json:"envdVersion"`
		EnvdAccessToken    string `json:"envdAccessToken"`
		TrafficAccessToken string `json:"trafficAccessToken"`
		Domain             string `json:"domain"`
	}
	sandboxInfo struct {
		TemplateID  string            `json:"templateID"`
		SandboxID   string            `json:"sandboxID"`
		ClientID    string            `json:"clientID"`
		StartedAt   time.Time         `json:"startedAt"`
		EndAt       time.Time         `json:"endAt"`
		CPUCount    int               `json:"cpuCount"`
		MemoryMB    int64             `json:"memoryMB"`
		DiskSizeMB  int64             `json:"diskSizeMB"`
		State       string            `json:"state"`
		EnvdVersion string            `json:"envdVersion"`
		Metadata    map[string]string `json:"metadata,omitempty"`
	}
	sandboxDetail struct {
		sandboxInfo
		Domain              string           `json:"domain"`
		EnvdAccessToken     string           `json:"envdAccessToken"`
		AllowInternetAccess bool             `json:"allowInternetAccess"`
		Network             *networkSettings `json:"network,omitempty"`
		Lifecycle           lifecycle        `json:"lifecycle"`
	}
	lifecycle struct {
		OnTimeout  string `json:"onTimeout"`
		AutoResume bool   `json:"autoResume"`
	}
)

// clientID is the client ID in all responses. Old clients append the client ID to the ID
// of a sandbox.
const clientID = "pyth-on"

const stateRunning = "running"

// controlRoutes returns the routes of the control plane.
func (s *Server) controlRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("POST /sandboxes", s.handle(pyth.ActionSessionCreated, s.createSandbox(shortTimeout)))
	mux.HandleFunc("POST /v2/sandboxes", s.handle(pyth.ActionSessionCreated, s.createSandbox(longTimeout)))
	mux.HandleFunc("GET /sandboxes", s.handle("", s.listSandboxes))
	mux.HandleFunc("GET /v2/sandboxes", s.handle("", s.listSandboxes))
	mux.HandleFunc("GET /sandboxes/{id}", s.handle("", s.ofSandbox(s.describeSandbox)))
	mux.HandleFunc("DELETE /sandboxes/{id}", s.handle(pyth.ActionSessionDeleted, s.ofSandbox(s.killSandbox)))
	mux.HandleFunc("POST /sandboxes/{id}/timeout", s.handle("", s.ofSandbox(s.setTimeout)))
	mux.HandleFunc("POST /sandboxes/{id}/connect", s.handle("", s.ofSandbox(s.connectSandbox)))
	mux.HandleFunc("POST /v2/sandboxes/{id}/connect", s.handle("", s.ofSandbox(s.connectSandboxV2)))
	mux.HandleFunc("POST /sandboxes/{id}/refreshes", s.handle("", s.ofSandbox(s.refreshSandbox)))
	s.refuseRoutes(mux)
	return mux
}

// call is an admitted request to the control plane.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	principal *pyth.Principal
	key       string
}

// handle returns a handler that admits the caller. If the function "serve" returns an
// error, this function must not have written a response.
func (s *Server) handle(action pyth.Action, serve func(*call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), controlTimeout)
		defer cancel()
		c := &call{w: w, r: r.WithContext(ctx)}
		err := s.admitCall(c, action)
		if err == nil {
			err = serve(c)
		}
		if err != nil {
			s.Refuse(w, r, err)
		}
	}
}

func (s *Server) admitCall(c *call, action pyth.Action) (err error) {
	keys := c.r.Header.Values("X-Api-Key")
	if len(keys) != 1 || keys[0] == "" {
		return fail(http.StatusUnauthorized, "The request has no API key, or more than one. Send one API key of this server in the header X-API-Key.")
	}
	c.key = keys[0]
	c.principal, err = s.config.Gate.Admit(c.r.Context(), c.key, action, pyth.ScopeSessions)
	return err
}

// ofSandbox returns a handler for the sandbox in the path.
func (s *Server) ofSandbox(serve func(*call, *sandbox) error) func(*call) error {
	return func(c *call) error {
		id := c.r.PathValue("id")
		x := s.sandboxes.get(id)
		if x == nil || x.user != c.principal.User.ID || !s.alive(c.r.Context(), x) {
			return errNoSandbox(id)
		}
		return serve(c, x)
	}
}

func (s *Server) describeSandbox(c *call, x *sandbox) error {
	g, err := x.grantFor(c.key)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, sandboxDetail{
		sandboxInfo: s.info(x), Domain: domain(c.r), EnvdAccessToken: g.envd, AllowInternetAccess: len(x.network) > 0,
		Network: x.settings, Lifecycle: lifecycle{OnTimeout: "kill"},
	})
	return nil
}

func (s *Server) killSandbox(c *call, x *sandbox) error {
	if err := s.end(c.r.Context(), x, s.config.Sessions); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// info returns the description of a sandbox in lists.
func (s *Server) info(x *sandbox) sandboxInfo {
	return sandboxInfo{
		TemplateID: x.template, SandboxID: string(x.id), ClientID: clientID, StartedAt: x.created.UTC(), EndAt: x.end().UTC(),
		CPUCount: s.config.Processors, MemoryMB: s.config.Limits.MemoryBytes >> 20, DiskSizeMB: s.config.Limits.DiskBytes >> 20,
		State: stateRunning, EnvdVersion: envdVersion, Metadata: x.metadata,
	}
}

// writeCreated writes the response with the access tokens of a sandbox.
func (*Server) writeCreated(c *call, x *sandbox, status int) error {
	g, err := x.grantFor(c.key)
	if err != nil {
		return err
	}
	writeJSON(c.w, status, createdSandbox{
		TemplateID: x.template, SandboxID: string(x.id), ClientID: clientID, EnvdVersion: envdVersion,
		EnvdAccessToken: g.envd, TrafficAccessToken: g.traffic, Domain: domain(c.r),
	})
	return nil
}

// domain returns the host name of the server, as the client knows it.
func domain(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		return r.Host
	}
	return host
}
