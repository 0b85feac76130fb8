package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// anyOrigin allows the pages of all origins.
const anyOrigin = "*"

// Headers for cross-origin requests (CORS). No response has the header
// Access-Control-Allow-Credentials, because a page of another origin must itself add its
// credentials to the headers of a request. Credentials in cookies are only for pages of
// this server.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id, Prefer, X-Api-Key, X-Request-Id"
	corsExposed = "Idempotent-Replayed, Link, Location, Mcp-Session-Id, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
	corsMaxAge  = "600"
)

// CheckOrigins returns an error if an element is invalid. An element must be an origin,
// for example https://example.org, or * for all origins.
func CheckOrigins(origins []string) error {
	for _, o := range origins {
		if o == anyOrigin && len(origins) == 1 {
			continue
		}
		if o == anyOrigin {
			return errors.New("the origin * includes all other origins; write either * or a list of origins")
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(o, "*") || o != strings.ToLower(o) {
			return fmt.Errorf("%q is not an origin; write it as https://example.org or https://example.org:8443, in lower case and without a path", o)
		}
	}
	return nil
}

// allowOrigin adds the headers that allow a page of another origin to read the response.
// If the request is a preflight request, allowOrigin sends the response and returns true.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	origins := h.live.Load().Origins
	if len(origins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	allowed := anyOrigin
	if !slices.Contains(origins, anyOrigin) {
		if !slices.Contains(origins, origin) {
			return false
		}
		allowed = origin
	}
	if origin == "" {
		return false
	}
	header.Set("Access-Control-Allow-Origin", allowed)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		header.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	header.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", corsMethods)
	header.Set("Access-Control-Allow-Headers", corsHeaders)
	header.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
