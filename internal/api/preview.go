package api

import (
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// previewSignature is the query parameter with the signature of an address.
const previewSignature = "pyth_on_signature"

// previewCookie is the name of the cookie with the signature. With HTTPS, the prefix
// __Host- is added, so that no other host of the domain can set the cookie.
const previewCookie = "pyth-on-preview"

// previewRoute is the route of requests to preview hosts, for logs and metrics.
const previewRoute = "preview"

// CheckPreviewDomain returns an error if previews cannot be served below the domain. The
// parameter publicURL is the address of the API, or "".
func CheckPreviewDomain(domain, publicURL string) error {
	if domain == "" {
		return nil
	}
	if !domainPattern().MatchString(domain) || net.ParseIP(domain) != nil || len(domain) > 200 {
		return fmt.Errorf("%q is not a domain; write it as preview.example.org, in lower case and without a port", domain)
	}
	if u, err := url.Parse(publicURL); err == nil && strings.HasSuffix(strings.ToLower(u.Hostname()), "."+domain) {
		return errors.New("the address of the API must not be below the preview domain; use another domain for previews")
	}
	return nil
}

func domainPattern() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
}

// previewLabel is the first label of the host of a preview. Each port of each session has
// a separate host, so that browsers isolate previews from each other.
func previewLabel(session pyth.SessionID, port int) string {
	return string(session) + "-" + strconv.Itoa(port)
}

// previewHost returns the label of a request to a preview host. It returns false if the
// request is for the API.
func (h *Handler) previewHost(r *http.Request) (label string, ok bool) {
	if h.cfg.PreviewDomain == "" {
		return "", false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.CutSuffix(host, "."+h.cfg.PreviewDomain)
}

// previewTarget returns the server in a session that the label of a preview host
// identifies.
func previewTarget(label string) (*portTarget, bool) {
	i := strings.LastIndexByte(label, '-')
	if i < 0 {
		return nil, false
	}
	port, err := strconv.ParseUint(label[i+1:], 10, 16)
	t := &portTarget{session: pyth.SessionID(label[:i]), port: int(port), preview: true}
	return t, err == nil && previewLabel(t.session, t.port) == label && !strings.Contains(label, ".")
}

// servePreview handles a request to a preview host. It forwards the request to a server
// in a session. The signature is in the query of the first request, and in a cookie
// afterwards. The API is not served on these hosts.
func (h *Handler) servePreview(w http.ResponseWriter, r *http.Request, label string) {
	// Delete the headers of the API, because the page belongs to the server in the
	// session, which sets its own headers.
	for _, name := range []string{"Cache-Control", "Referrer-Policy", "X-Content-Type-Options"} {
		w.Header().Del(name)
	}
	req := requestOf(r.Context())
	req.route = previewRoute
	refuse := func(err error) { h.refusePreview(w, r, err) }
	if h.draining.Load() {
		refuse(&pyth.Error{Code: pyth.CodeDraining, Message: "The server is shutting down. Try again later."})
		return
	}
	t, ok := previewTarget(label)
	if !ok || h.cfg.Ports == nil {
		refuse(pyth.Errorf(pyth.CodeNotFound, "This address does not exist."))
		return
	}
	query, signature := cutSignature(r.URL.RawQuery)
	user, end, err := h.checkPreview(r, t, signature)
	if err != nil {
		if limited := h.limitRate(r.Context(), opVerify); limited != nil {
			err = limited
		}
		refuse(err)
		return
	}
	setConnectionAuthenticated(r.Context())
	if t.user = user; signature == "" {
		h.forward(w, r, t, refuse)
		return
	}
	r.URL.RawQuery = query
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Upgrade") == "" {
		h.storePreview(w, r, signature, end)
		return
	}
	h.forward(w, r, t, refuse)
}

// cutSignature removes the signature from a query. The rest of the query does not change.
func cutSignature(query string) (rest, signature string) {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(part, previewSignature+"="); ok {
			signature = value
		} else if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&"), signature
}

// checkPreview checks the signature of a request, from the query or from a cookie.
func (h *Handler) checkPreview(r *http.Request, t *portTarget, signature string) (user pyth.UserID, end time.Time, err error) {
	if signature != "" {
		return h.cfg.Ports.CheckPortShare(t.session, t.port, signature)
	}
	err = pyth.Errorf(pyth.CodeUnauthenticated, "This address needs a signature. Open the whole address that the API returned.")
	for _, name := range []string{hostCookiePrefix + previewCookie, previewCookie} {
		for _, c := range r.CookiesNamed(name) {
			if user, end, err = h.cfg.Ports.CheckPortShare(t.session, t.port, c.Value); err == nil {
				return user, end, nil
			}
		}
	}
	return "", time.Time{}, err
}

// storePreview stores the signature in a cookie, and redirects to the same page without
// the signature. So the signature does not stay in the address bar, and no page of the
// server in the session can read it.
func (h *Handler) storePreview(w http.ResponseWriter, r *http.Request, signature string, end time.Time) {
	c := &http.Cookie{
		Name: previewCookie, Value: signature, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(end.Sub(h.now()).Seconds()) + 1,
	}
	if h.ownURL(r).Scheme == "https" {
		c.Name, c.Secure = hostCookiePrefix+previewCookie, true
	}
	http.SetCookie(w, c)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	// Begin the path with only one slash, because a path that begins with two slashes
	// would lead to another host.
	location := &url.URL{Path: "/" + strings.TrimLeft(r.URL.Path, "/"), RawQuery: r.URL.RawQuery}
	header.Set("Location", location.String())
	w.WriteHeader(http.StatusSeeOther)
}

// refusePreview sends a page with an error.
func (h *Handler) refusePreview(w http.ResponseWriter, r *http.Request, err error) {
	req := requestOf(r.Context())
	req.err = err
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok {
		e = &pyth.Error{Code: pyth.CodeInternal, Message: "The server has failed. Try again later."}
	}
	kind := problem.Find(e.Code)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(kind.Status)
	if r.Method == http.MethodHead {
		return
	}
	title := html.EscapeString(kind.Title)
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n</html>\n",
		title, title, html.EscapeString(e.Message))
}
