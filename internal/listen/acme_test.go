package listen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/pyth-on/pyth-on/internal/listen"
)

// startPebble starts an ACME server that validates domains on the given ports. It
// returns the root certificates for the certificates that the ACME server issues.
func startPebble(t *testing.T, httpPort, tlsPort int) (server *httptest.Server, issued *x509.CertPool) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	logger := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	validation := va.New(logger, httpPort, tlsPort, false, "", store)
	front := wfe.New(logger, store, validation, authority, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)
	server = httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	issued = x509.NewCertPool()
	issued.AppendCertsFromPEM(authority.GetRootCert(0).PEM())
	return server, issued
}

// TestACMEObtainsCertificates obtains certificates from a real ACME server. It uses each
// kind of challenge once. After a restart, it uses the same certificate again.
func TestACMEObtainsCertificates(t *testing.T) {
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			secure, plain := open(t), open(t)
			tlsPort, httpPort := port(secure), port(plain)
			// For the other kind of challenge, Pebble connects to a port without a
			// listener.
			validHTTP, validTLS := httpPort, tlsPort
			if challenge == "http-01" {
				validTLS = 1
			} else {
				validHTTP, httpPort = 1, 0
			}
			pebble, issued := startPebble(t, validHTTP, validTLS)
			own := x509.NewCertPool()
			own.AddCert(pebble.Certificate())
			config := listen.ACMEConfig{
				Domains: []string{"localhost"}, Directory: pebble.URL + wfe.DirectoryPath, Roots: own, StorageDir: t.TempDir(),
				TLSPort: tlsPort, HTTPPort: httpPort, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			}
			first := serveACME(t, config, secure, plain)
			serial := await(t, secure.Addr().String(), issued)
			first.Close()

			pebble.Close() // A stored certificate needs no ACME server.
			again := open(t)
			second := serveACME(t, config, again, open(t))
			defer second.Close()
			if got := await(t, again.Addr().String(), issued); got != serial {
				t.Errorf("the certificate is %s after a restart, was %s", got, serial)
			}
		})
	}
}

func open(t *testing.T) net.Listener {
	t.Helper()
	l, err := listen.Open(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// serveACME serves HTTPS on the listener "secure". On the listener "plain", it answers
// challenges and redirects all other requests.
func serveACME(t *testing.T, config listen.ACMEConfig, secure, plain net.Listener) *listen.ACME {
	t.Helper()
	a := listen.NewACME(config)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	servers := []*http.Server{
		{Handler: ok, TLSConfig: a.TLSConfig(), ErrorLog: log.New(io.Discard, "", 0)},
		{Handler: a.Handler(listen.Redirect("443"))},
	}
	go func() { _ = servers[0].ServeTLS(secure, "", "") }()
	go func() { _ = servers[1].Serve(plain) }()
	t.Cleanup(func() { _, _ = servers[0].Close(), servers[1].Close() })
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if err := a.Manage(ctx); err != nil {
		t.Fatal(err)
	}
	return a
}

// await waits until the server has a valid certificate, and returns the serial number of
// the certificate.
func await(t *testing.T, address string, roots *x509.CertPool) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "localhost"},
		ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.ProtoMajor != 2 {
				t.Errorf("the protocol is %s", response.Proto)
			}
			return response.TLS.PeerCertificates[0].SerialNumber.String()
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
