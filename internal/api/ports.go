package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// PortURLRequest is the body of createPortURL.
type PortURLRequest struct {
	_ struct{} `doc:"The settings of a signed address."`

	ExpiresInMs int64 `json:"expiresInMs,omitempty" minimum:"1000" maximum:"86400000" default:"3600000" doc:"The lifetime of the address, in milliseconds. The address also stops working when the session ends." example:"3600000"`
}

// PortURL is a signed address of a server in a session.
type PortURL struct {
	_ struct{} `doc:"A signed address of a server in a session."`

	URL       string    `json:"url" format:"uri" doc:"The address. Every person who knows the address can use the server until the address expires." example:"https://0197-8080.preview.example.org/?pyth_on_signature=AAAB"`
	ExpiresAt Timestamp `json:"expiresAt" doc:"When the address stops working."`
}

type (
	portURLInput struct {
		SessionRef
		Port int `path:"port" minimum:"1" maximum:"65535" doc:"The TCP port on which the server listens in the session." example:"8080"`
		jsonBody[PortURLRequest]
	}
	portURLOutput struct{ Body PortURL }
)

const (
	tagPorts  = "Ports"
	portsPath = sessionPath + "/ports/{port}"
	// portRoute is the route of requests to servers in sessions, for logs and metrics.
	portRoute = portsPath + "/" + filePath
)

func (h *Handler) registerPorts() {
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "createPortURL", Method: http.MethodPost, Path: portsPath + "/url", DefaultStatus: http.StatusCreated,
			Summary: "Sign an address of a server in a session", Tags: []string{tagPorts},
			Description: "Returns a signed address of a server that listens on a port of the session. A browser can open the address without credentials of the API. Each port has a separate host. You can create the address before the server runs. The API forwards requests for all other paths below /api/v1/sessions/{id}/ports/{port}/ to the server in the session. The API also forwards WebSocket connections. See /docs/ports.",
			Errors:      []int{http.StatusNotFound},
		},
		example: map[string]any{"expiresInMs": 3600000}, bodyOptional: true, action: pyth.ActionPortShared,
		answer: map[string]any{"url": "https://0197-8080.preview.example.org/?pyth_on_signature=AAAB", "expiresAt": "2026-04-04T09:23:21.123Z"},
	}, ifEnabled(h.cfg.Ports != nil && h.cfg.PreviewDomain != "", "signed addresses of ports", h.createPortURL))
}

// defaultShare is the lifetime of a signed address if the request contains no lifetime.
const defaultShare = time.Hour

func (h *Handler) createPortURL(ctx context.Context, in *portURLInput) (*portURLOutput, error) {
	lifetime := defaultShare
	if in.Value.ExpiresInMs > 0 {
		lifetime = time.Duration(in.Value.ExpiresInMs) * time.Millisecond
	}
	share, err := h.cfg.Ports.SharePort(ctx, caller(ctx).User.ID, in.id(), in.Port, lifetime)
	if err != nil {
		return nil, err
	}
	u := h.ownURL(requestOf(ctx).r)
	u.Host = hostWithPort(previewLabel(share.Session, share.Port)+"."+h.cfg.PreviewDomain, u.Port())
	u.Path, u.RawQuery = "/", url.Values{previewSignature: {share.Signature}}.Encode()
	return &portURLOutput{Body: PortURL{URL: u.String(), ExpiresAt: Timestamp(share.ExpiresAt)}}, nil
}

// ownURL returns the scheme and the host with which users reach this server.
func (h *Handler) ownURL(r *http.Request) *url.URL {
	if u, err := url.Parse(h.cfg.PublicURL); err == nil && u.Host != "" {
		return &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
	return &url.URL{Scheme: callerScheme(r, h.live.Load().TrustedProxies), Host: r.Host}
}

func hostWithPort(host, port string) string {
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

// portTarget is a server in a session.
type portTarget struct {
	user    pyth.UserID
	session pyth.SessionID
	port    int
	// prefix is the beginning of the request path. The API removes the prefix before it
	// forwards the request to the server in the session.
	prefix string
	// If "preview" is true, the request came to a preview host. Otherwise it came to the
	// host of the API.
	preview bool
}

// portRequest returns the server in a session to which the API must forward the request.
// It returns false for all other requests, including requests for the operation
// createPortURL.
func portRequest(r *http.Request) (*portTarget, bool) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), sessionsPath+"/")
	id, rest, more := strings.Cut(rest, "/")
	rest, isPort := strings.CutPrefix(rest, "ports/")
	if !ok || !more || !isPort || id == "" {
		return nil, false
	}
	port, tail, _ := strings.Cut(rest, "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || tail == "url" && r.Method == http.MethodPost {
		return nil, false
	}
	prefix := fmt.Sprintf("%s/%s/ports/%s", sessionsPath, id, port)
	return &portTarget{session: pyth.SessionID(id), port: int(number), prefix: prefix}, true
}

// servePort handles a request to the host of the API. It forwards the request to a server
// in a session.
func (h *Handler) servePort(w http.ResponseWriter, r *http.Request, t *portTarget) {
	if err := h.admitPort(r, t); err != nil {
		h.writeError(w, r, err)
		return
	}
	h.forward(w, r, t, func(err error) { h.writeError(w, r, err) })
}

// admitPort authenticates the caller. Credentials in a cookie are not valid, for two
// reasons: the server in the session belongs to another origin, and a page of any site
// could open the path.
func (h *Handler) admitPort(r *http.Request, t *portTarget) error {
	ctx := r.Context()
	if h.cfg.Ports == nil {
		return pyth.Errorf(pyth.CodeNotImplemented, "This server does not support ports of sessions.")
	}
	if !slices.Contains(portMethods(), r.Method) {
		return pyth.Errorf(pyth.CodeMethodNotAllowed, "The server does not forward requests with this method. Use %s.", strings.Join(portMethods(), ", "))
	}
	if err := h.identify(ctx); err != nil {
		return err
	}
	req := requestOf(ctx)
	if req.byCookie {
		req.principal = nil
		return pyth.Errorf(pyth.CodeUnauthenticated, "Cookies are not valid credentials for servers in sessions. Send an API key or a token in a header, or open a signed address from POST %s/url.", t.prefix)
	}
	if err := h.requireScope(ctx, pyth.ScopeSessions); err != nil {
		return err
	}
	if err := h.requireConfirmed(ctx, pyth.ScopeSessions); err != nil {
		return err
	}
	t.user = caller(ctx).User.ID
	return h.limitRate(ctx, "port")
}

func portMethods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
}
