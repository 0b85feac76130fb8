package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"
)

// maxHello is the maximum size of a ClientHello in bytes, including its record
// headers. crypto/tls rejects a ClientHello larger than 64 KiB.
const maxHello = 80 << 10

// errHelloRead ends the handshake as soon as the ClientHello is complete, because the
// rest of the handshake is not needed.
var errHelloRead = errors.New("egress: ClientHello complete")

// readHello reads a ClientHello and returns its server name and its raw bytes. The name
// is "" if the client sent none. If the client sends an Encrypted ClientHello (ECH),
// the name is the unencrypted outer name.
func readHello(ctx context.Context, r io.Reader) (name string, raw []byte, err error) {
	var read bytes.Buffer
	conn := tls.Server(helloConn{r: io.TeeReader(io.LimitReader(r, maxHello), &read)}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errHelloRead
		},
	})
	if err := conn.HandshakeContext(ctx); !errors.Is(err, errHelloRead) {
		return "", nil, err
	}
	return name, read.Bytes(), nil
}

// helloConn lets a TLS server read from r, and discards what the server writes.
type helloConn struct{ r io.Reader }

func (c helloConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c helloConn) Close() error                     { return nil }
func (c helloConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c helloConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c helloConn) SetDeadline(time.Time) error      { return nil }
func (c helloConn) SetReadDeadline(time.Time) error  { return nil }
func (c helloConn) SetWriteDeadline(time.Time) error { return nil }

// checkSNI returns a refusal if the server name of a ClientHello is not allowed
// for the target.
func (s *clientConn) checkSNI(t target, name string) *refusal {
	switch {
	case name != "":
		h, err := parseHost(name)
		if err != nil {
			return denied("the name in TLS (SNI) %v", err)
		}
		return s.checkIdentity(t, h)
	case t.host.name != "":
		return denied("a TLS connection to %s must send that name (SNI)", t)
	default:
		return nil
	}
}

// alertDenied returns a TLS record with the fatal alert access_denied (RFC 8446,
// section 6).
func alertDenied() []byte { return []byte{0x15, 3, 3, 0, 2, 2, 49} }
