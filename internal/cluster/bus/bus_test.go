package bus_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/cluster/bus"
	"github.com/pyth-on/pyth-on/internal/cluster/bus/natstest"
)

func open(t *testing.T, c bus.Config) *bus.Bus {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := bus.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// eventually waits until the function "ok" returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out: ", what)
		}
	}
}

// requireDelivery checks that a message arrives over the connection.
func requireDelivery(t *testing.T, b *bus.Bus) {
	t.Helper()
	const subject = "pyth-on.cluster.test"
	received := make(chan string, 100)
	if err := b.Subscribe(subject, func(m []byte) { received <- string(m) }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "message arrives", func() bool {
		if b.Publish(subject, []byte("hello")) != nil {
			return false
		}
		select {
		case m := <-received:
			return m == "hello"
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

func TestBusConnectsAgainAfterRestart(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, bus.Config{URLs: s.URL})
	requireDelivery(t, b)
	if n := b.MaxPayload(); n != 1<<20 {
		t.Errorf("maximum payload: %d", n)
	}
	connected := make(chan struct{}, 10)
	b.OnConnect(func() { connected <- struct{}{} })
	<-connected
	s.Stop()
	eventually(t, "disconnected", func() bool { return !b.Connected() })
	if err := b.Publish("subject", nil); err == nil {
		t.Error("published without a connection")
	}
	s.Restart(t)
	<-connected
	requireDelivery(t, b)
}

func TestBusStartsBeforeNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	b := open(t, bus.Config{URLs: s.URL})
	if b.Connected() || b.MaxPayload() <= 0 {
		t.Error("connected to a stopped server")
	}
	s.Restart(t)
	requireDelivery(t, b)
}

func TestBusAuthenticatesWithPasswordAndTLS(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	s := natstest.Start(t, "--user", "pyth-on", "--pass", "canary-password", "--tls", "--tlscert", certificate, "--tlskey", key)
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	right := bus.Config{URLs: s.URL, CA: certificate, User: "pyth-on", Password: "canary-password", Logger: logger}
	requireDelivery(t, open(t, right))
	wrong := right
	wrong.Password = "canary-wrong"
	if b := open(t, wrong); b.Connected() {
		t.Error("connected with a wrong password")
	}
	unknown := right
	unknown.CA = ""
	if b := open(t, unknown); b.Connected() {
		t.Error("connected to a server with an unknown certificate")
	}
	if text := log.String(); strings.Contains(text, "canary") {
		t.Errorf("the log contains a password: %s", text)
	}
}

// TestBusWorksWithLimitedPermissions checks that the NATS permissions in
// docs/scaling.md are sufficient.
func TestBusWorksWithLimitedPermissions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\nauthorization {")
	authorization, _, end := strings.Cut(rest, "```")
	if !found || !end {
		t.Fatal("docs/scaling.md has no permissions")
	}
	config := filepath.Join(t.TempDir(), "nats.conf")
	text := "authorization {" + strings.ReplaceAll(authorization, "$NATS_PASSWORD", "\"canary-password\"")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, "--config", config)
	b := open(t, bus.Config{URLs: s.URL, User: "pyth-on", Password: "canary-password"})
	requireDelivery(t, b)
	if err := b.Subscribe("other", func([]byte) { t.Error("received a message of another subject") }); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("other", nil); err != nil {
		t.Fatal(err)
	}
	requireDelivery(t, b) // A message to "other" would have arrived first.
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// selfSigned returns the paths of a self-signed certificate for 127.0.0.1 and of its
// key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nats"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}

func TestOpenRefusesInvalidSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]bus.Config{
		"no scheme":            {URLs: "localhost:4222"},
		"HTTP":                 {URLs: "http://localhost"},
		"password in URL":      {URLs: "nats://user:canary@localhost"},
		"second URL":           {URLs: "nats://localhost,x"},
		"no CA":                {URLs: "nats://localhost", CA: "/absent"},
		"CA is no certificate": {URLs: "nats://localhost", CA: "/etc/hostname"},
		"no client key":        {URLs: "nats://localhost", Certificate: "/absent"},
		"no credentials":       {URLs: "nats://localhost", Credentials: "/absent"},
	} {
		c.Logger = slog.New(slog.DiscardHandler)
		b, err := bus.Open(c)
		if err == nil {
			b.Close()
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error contains the password: %v", name, err)
		}
	}
}
