package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// writeCertificate creates a self-signed certificate for localhost and 127.0.0.1. It
// writes the certificate and its key to the directory and returns the certificate.
func writeCertificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<60)))(t), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	private := must(x509.MarshalPKCS8PrivateKey(key))(t)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	return must(x509.ParseCertificate(der))(t)
}

// clientFor returns an HTTP client that trusts the certificates.
func clientFor(certificates ...*x509.Certificate) *http.Client {
	roots := x509.NewCertPool()
	for _, c := range certificates {
		roots.AddCert(c)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
}

// runningSetting returns the value of a setting of the running server. It also returns
// the origin of this value, for example a flag or the settings file.
func (s *server) runningSetting(t *testing.T, name string) (value, origin string, restart bool) {
	t.Helper()
	out, err := runBinary(t, "settings", "show", "--running", "--json", "--data-dir="+s.data)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list []struct {
		Name, Value, Origin string
		RestartNeeded       bool
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, one := range list {
		if one.Name == name {
			return one.Value, one.Origin, one.RestartNeeded
		}
	}
	t.Fatalf("no setting %s in %s", name, out)
	return "", "", false
}

// reload sends SIGHUP to the server. Then it waits until the server has logged the
// given message once more.
func (s *server) reload(t *testing.T, message string) {
	t.Helper()
	before := strings.Count(s.log.String(), message)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log has "+message, func() bool { return strings.Count(s.log.String(), message) > before })
}

// TestServeReloadsSettings changes the settings file of a server with TLS while clients
// send requests. No request may fail.
func TestServeReloadsSettings(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]bool{"as root": false, "as an ordinary user": true} {
		t.Run(name, func(t *testing.T) { testReload(t, user) })
	}
}

func testReload(t *testing.T, ordinary bool) {
	dir := t.TempDir()
	var attr *syscall.SysProcAttr
	data := newDataDir(t)
	if ordinary {
		attr, data = ordinaryUser(t)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "pyth-on.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("registration = \"open\"\nmax-sessions-per-user = 1\ntoken-ttl = \"1h\"\n")
	s := startServerIn(t, data, attr, "--config="+file)
	a := s.register(t)

	// In the background, send requests until the test ends.
	var failures, requests atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, _ := http.NewRequest("GET", s.URL+"/api/v1/keys", http.NoBody)
				req.Header.Set("X-Api-Key", a.APIKey)
				res, err := http.DefaultClient.Do(req)
				if err != nil || res.StatusCode != 200 {
					failures.Add(1)
				}
				if err == nil {
					_ = res.Body.Close()
				}
				requests.Add(1)
			}
		})
	}

	a.openSession(t, object{"language": "python"})
	s.call(t, a, "POST", "/api/v1/sessions", object{"language": "python"}).want(t, 429, nil)
	write("registration = \"closed\"\nmax-sessions-per-user = 2\ntoken-ttl = \"30m\"\nmax-connections = 77\n")
	s.reload(t, `msg="settings reloaded" changed="[registration token-ttl max-sessions-per-user]"`)
	if !strings.Contains(s.log.String(), `msg="some changed settings need a restart" settings=[max-connections]`) {
		t.Errorf("the log does not name the setting that needs a restart: %s", s.log)
	}
	s.call(t, nil, "POST", "/api/register", object{"email": "late@example.org", "password": "a long password"}).want(t, 403, nil)
	a.openSession(t, object{"language": "python"})
	if value, origin, _ := s.runningSetting(t, "registration"); value != "closed" || origin != "file" {
		t.Errorf("registration is %s from %s", value, origin)
	}
	if value, _, restart := s.runningSetting(t, "max-connections"); value != "0" || !restart {
		t.Errorf("max-connections is %s, %v", value, restart)
	}

	// If the settings file contains a mistake, the server must keep the old settings.
	write("registration = \"open\"\ntoken-tl = \"1h\"\n")
	s.reload(t, `msg="settings not reloaded" error="`+file+`:2: \"token-tl\" is not a setting; did you mean token-ttl?"`)
	s.call(t, nil, "POST", "/api/register", object{"email": "late@example.org", "password": "a long password"}).want(t, 403, nil)

	write("registration = \"open\"\nlog-level = \"warn\"\n")
	s.reload(t, `msg="settings reloaded"`)
	s.call(t, nil, "POST", "/api/register", object{"email": "late" + filepath.Base(dir) + "@example.org", "password": "a long password"}).want(t, 201, nil)
	close(stop)
	clients.Wait()
	if failures.Load() > 0 || requests.Load() == 0 {
		t.Errorf("%d of %d requests failed", failures.Load(), requests.Load())
	}
}

// TestServeTLS starts a server with TLS, a redirect, HSTS and CORS. Then it replaces
// the certificate.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := writeCertificate(t, dir)
	plain := "127.0.0.1:" + freePort(t)
	data := newDataDir(t)
	s := newServer(data)
	args := append([]string{
		"serve", "--addr=127.0.0.1:0", "--data-dir=" + data, "--rate-limit=off",
		"--tls-cert=" + dir + "/cert.pem", "--tls-key=" + dir + "/key.pem", "--redirect-addr=" + plain, "--hsts=24h", "--cors-origins=https://app.example.org",
	}, append(noStock, npmRegistry()...)...)
	if err := s.begin(nil, args...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t) })
	eventually(t, "the server serves", func() bool {
		_, line, found := strings.Cut(s.log.String(), "msg=serving ")
		if found {
			s.URL, _, _ = strings.Cut(strings.TrimPrefix(line, "url="), " ")
		}
		return found
	})
	client := clientFor(first)
	get := func(client *http.Client, url string) *http.Response {
		t.Helper()
		res := must(client.Get(url))(t)
		_ = res.Body.Close()
		return res
	}
	if res := get(client, s.URL+"/healthz"); res.StatusCode != 200 || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") != "max-age=86400" {
		t.Errorf("%s %s: %v", res.Proto, res.Status, res.Header)
	}
	// The HTTP port must redirect requests without a body to HTTPS, and refuse requests
	// with a body.
	if res := get(client, "http://"+plain+"/healthz"); res.StatusCode != 200 || res.Request.URL.Scheme != "https" {
		t.Errorf("redirect: %s %s", res.Status, res.Request.URL)
	}
	res := must(http.Post("http://"+plain+"/api/login", "application/json", strings.NewReader("{}")))(t)
	_ = res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("POST without TLS: %s", res.Status)
	}
	// Send CORS preflight requests from an allowed origin and from an origin that is
	// not allowed.
	for origin, allowed := range map[string]bool{"https://app.example.org": true, "https://evil.example.org": false} {
		req := must(http.NewRequest("OPTIONS", s.URL+"/api/v1/execute", http.NoBody))(t)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		res := must(client.Do(req))(t)
		_ = res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); (got == origin) != allowed || (res.StatusCode == 204) != allowed || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %s, %v", origin, res.Status, res.Header)
		}
	}
	second := writeCertificate(t, dir)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server uses the new certificate", func() bool {
		res, err := clientFor(second).Get(s.URL + "/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == 200
	})
	// An open connection must continue to work, although it still uses the old
	// certificate.
	get(client, s.URL+"/healthz")
}
