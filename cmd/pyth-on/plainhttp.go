package main

import (
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/pyth-on/pyth-on/internal/printable"
)

// warnOfPlainHTTP writes a warning if the connection to the server is not encrypted and
// leaves this machine. It writes nothing for an invalid address.
func warnOfPlainHTTP(w io.Writer, server string) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" {
		return
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return
	}
	// Ignore the error, because the command works without the warning.
	_, _ = fmt.Fprintf(w, "pyth-on: warning: the connection to %s is not encrypted, so others in the network can read the password or the API key; use https:// if the server supports it\n",
		printable.Clean(u.Host))
}
