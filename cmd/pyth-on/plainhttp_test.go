package main

import (
	"strings"
	"testing"
)

func TestWarnOfPlainHTTP(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]bool{
		"http://api.example.org":         true,
		"HTTP://api.example.org:8080/x":  true,
		"http://192.0.2.1":               true,
		"http://[2001:db8::1]:8080":      true,
		"http://localhost.example.org":   true,
		"https://api.example.org":        false,
		"http://localhost:8080":          false,
		"http://127.0.0.1:8080":          false,
		"http://127.9.9.9":               false,
		"http://[::1]:8080":              false,
		"api.example.org":                false,
		"http://bad host":                false,
		"unix:///run/pyth-on/http.sock":  false,
		"http://[::ffff:127.0.0.1]:8080": false,
	} {
		var out strings.Builder
		warnOfPlainHTTP(&out, server)
		if got := strings.HasPrefix(out.String(), "pyth-on: warning: the connection to "); got != want {
			t.Errorf("%s: got %q", server, &out)
		}
	}
}
