package listen

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Redirect returns a handler for plain HTTP that redirects GET and HEAD requests to
// HTTPS on the given port. It refuses all other requests, because such a request has
// already sent data without encryption.
func Redirect(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		host := hostOf(r.Host)
		if host == "" {
			http.Error(w, "The header Host is missing or invalid. Send the name of the server in the header Host.", http.StatusBadRequest)
			return
		}
		if port != "443" {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, fmt.Sprintf("This address serves no requests without TLS. Send the request to https://%s.", host), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

// hostOf returns the host in a Host header without the port. If the header is not valid,
// hostOf returns "".
func hostOf(header string) string {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
		if strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if host == "" || strings.ContainsAny(host, "/\\@?# \t") {
		return ""
	}
	return host
}
