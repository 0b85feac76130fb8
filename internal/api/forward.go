package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// portAnswerTimeout is the time within which a server in a session must begin its
// response.
const portAnswerTimeout = 5 * time.Minute

// forward sends a request to a server in a session, and sends the response of this server
// to the client. The server in the session is hostile: it must not get credentials of the
// API, and its response must not change what browsers do with the origin of the API. The
// function "refuse" sends an error response.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request, t *portTarget, refuse func(error)) {
	content, err := newUpload(w, r, maxFileBytes, h.cfg.BodyTimeout)
	if err != nil {
		refuse(err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	// Cancel the request when the server stops. A stopping server does not wait for
	// connections that WebSocket has taken over.
	defer context.AfterFunc(h.drained, cancel)()
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct {
			io.Reader
			io.Closer
		}{content, r.Body}
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.cfg.Ports.DialPort(ctx, t.user, t.session, t.port)
		},
		// Each request uses a separate stream to the session, so that a session without
		// requests has no open streams.
		DisableKeepAlives: true, DisableCompression: true,
		ResponseHeaderTimeout: portAnswerTimeout, MaxResponseHeaderBytes: 64 << 10,
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { h.rewrite(p, t) },
		ModifyResponse: func(answer *http.Response) error {
			if err := checkStatus(answer.StatusCode); err != nil {
				return err
			}
			t.clean(answer, w.Header())
			return nil
		},
		Transport: finalOnly{transport, ctx}, FlushInterval: -1, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { refuse(portError(err, t)) },
	}
	proxy.ServeHTTP(&pacedWriter{w, http.NewResponseController(w), h.cfg.ResponseTimeout}, r)
}

// finalOnly is a RoundTripper that discards informational responses (1xx). ReverseProxy
// would forward their headers without a call of ModifyResponse, and would then remove the
// headers that this server has set for the final response. The field ctx is the context
// of the incoming request, which does not contain the client trace of ReverseProxy.
type finalOnly struct {
	transport *http.Transport
	ctx       context.Context
}

// RoundTrip sends the request. It returns an error when the field ctx ends.
func (f finalOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.transport.RoundTrip(r.WithContext(f.ctx))
}

// checkStatus returns an error for a status that is not valid in a final response. For
// some of these values, WriteHeader panics. Each of the other values would create a new
// time series of metrics.
func checkStatus(status int) error {
	if status == http.StatusSwitchingProtocols || status >= 200 && status <= 599 {
		return nil
	}
	return fmt.Errorf("invalid status %d", status)
}

// portError returns the error for a request that the server in the session did not answer.
func portError(err error, t *portTarget) error {
	if pyth.ErrorCode(err) != pyth.CodeInternal {
		return err
	}
	return &pyth.Error{Code: pyth.CodePortUnavailable, Message: "The server on port " + strconv.Itoa(t.port) + " of the session did not send a valid HTTP response.", Err: err}
}

// rewrite changes a request for the server in the session.
func (h *Handler) rewrite(p *httputil.ProxyRequest, t *portTarget) {
	own := t.host()
	out := p.Out
	out.URL.Scheme, out.URL.Host, out.Host = "http", own, own
	// Keep the path unchanged, even if it contains encoded slashes or double slashes.
	tail := "/" + strings.TrimPrefix(strings.TrimPrefix(p.In.URL.EscapedPath(), t.prefix), "/")
	out.URL.RawPath = tail
	if out.URL.Path, _ = url.PathUnescape(tail); out.URL.Path == "" {
		out.URL.Path, out.URL.RawPath = "/", ""
	}
	out.Header.Del("X-Api-Key")
	if !t.preview || containsKey(out.Header.Get("Authorization")) {
		out.Header.Del("Authorization")
	}
	t.cleanCookies(out)
	// Change Origin together with Host, because servers compare the two headers.
	scheme := callerScheme(p.In, h.live.Load().TrustedProxies)
	if out.Header.Get("Origin") == scheme+"://"+p.In.Host {
		out.Header.Set("Origin", "http://"+own)
	}
	out.Header.Set("X-Forwarded-For", requestOf(p.In.Context()).ip)
	out.Header.Set("X-Forwarded-Host", p.In.Host)
	out.Header.Set("X-Forwarded-Proto", scheme)
	if t.prefix != "" {
		out.Header.Set("X-Forwarded-Prefix", t.prefix)
	}
}

// host returns the host and the port of the server in the session. Many servers refuse
// requests for other hosts.
func (t *portTarget) host() string { return "localhost:" + strconv.Itoa(t.port) }

// cleanCookies removes the cookies of this server from a request.
func (t *portTarget) cleanCookies(out *http.Request) {
	cookies := out.Cookies()
	out.Header.Del("Cookie")
	if !t.preview {
		return
	}
	for _, c := range cookies {
		if !isOwnCookie(c.Name) {
			out.AddCookie(c)
		}
	}
}

func isOwnCookie(name string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimPrefix(name, hostCookiePrefix)), "pyth-on")
}

const hostCookiePrefix = "__Host-"

// controlsProxy reports whether a header is a command to a reverse proxy in front of this
// server, for example to send a file or the response of an internal address. The name must
// be canonical.
func controlsProxy(name string) bool {
	for _, prefix := range []string{"X-Accel-", "X-Sendfile", "X-Lighttpd-", "X-Litespeed-", "X-Reproxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// clean removes the response headers that would have an effect beyond the response: on
// the whole origin, on other hosts of the domain, on a reverse proxy, or on later
// requests. The parameter "ours" contains the headers that this server has set.
func (t *portTarget) clean(answer *http.Response, ours http.Header) {
	header := answer.Header
	for _, name := range []string{
		"Alt-Svc", "Clear-Site-Data", "Nel", "Origin-Trial", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Report-To", "Reporting-Endpoints",
		"Strict-Transport-Security", "X-Request-Id",
	} {
		header.Del(name)
	}
	maps.DeleteFunc(header, func(name string, _ []string) bool { return controlsProxy(name) })
	t.cleanLocation(header)
	if t.preview {
		cleanSetCookie(header)
		for name := range header {
			ours.Del(name)
		}
		header.Set("X-Robots-Tag", "noindex")
		return
	}
	for name := range header {
		if strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Content-Security-Policy") || strings.HasPrefix(name, "Cross-Origin-") {
			header.Del(name)
		}
	}
	for _, name := range []string{
		"Set-Cookie", "Service-Worker-Allowed", "Refresh", "Www-Authenticate", "Proxy-Authenticate", "Cache-Control", "Referrer-Policy", "X-Content-Type-Options",
		"Vary", "Link", "Origin-Agent-Cluster", "Permissions-Policy",
	} {
		header.Del(name)
	}
	header.Set("Content-Security-Policy", "sandbox")
}

// cleanSetCookie binds the cookies of a response to its host. A cookie for the whole
// domain would be sent to other previews, and perhaps to the API.
func cleanSetCookie(header http.Header) {
	lines := header.Values("Set-Cookie")
	header.Del("Set-Cookie")
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil || isOwnCookie(c.Name) {
			continue
		}
		c.Domain = ""
		if text := c.String(); text != "" {
			header.Add("Set-Cookie", text)
		}
	}
}

// cleanLocation changes a redirect whose target is the server in the session itself. The
// new target is a path below t.prefix, so that the client reaches it through this API.
func (t *portTarget) cleanLocation(header http.Header) {
	location := header.Get("Location")
	if location == "" {
		return
	}
	u, err := url.Parse(location)
	if err != nil {
		header.Del("Location")
		return
	}
	own := u.Host == t.host() || u.Host == "127.0.0.1:"+strconv.Itoa(t.port)
	if u.Host != "" && !own {
		return
	}
	if own {
		u.Scheme, u.Host = "", ""
	}
	if strings.HasPrefix(u.Path, "/") {
		u.Path, u.RawPath = t.prefix+"/"+strings.TrimLeft(u.Path, "/"), ""
	}
	header.Set("Location", u.String())
}

// pacedWriter is a ResponseWriter that gives the client a time-out for each part of a
// response. A response may last as long as the server in the session sends.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(p)
}
