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

// maxHello bounds a ClientHello with its records. crypto/tls takes none that is
// larger than 64 KiB.
const maxHello = 80 << 10

// errHello ends the handshake when all is known.
var errHello = errors.New("egress: the ClientHello is read")

// readHello reads a ClientHello and returns the name in it, "" if there is
// none, and what was read. Of an encrypted one it is the outer name, as it is
// for the server.
func readHello(ctx context.Context, r io.Reader) (name string, raw []byte, err error) {
	var read bytes.Buffer
	conn := tls.Server(helloConn{r: io.TeeReader(io.LimitReader(r, maxHello), &read)}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errHello
		},
	})
	if err := conn.HandshakeContext(ctx); !errors.Is(err, errHello) {
		return "", nil, err
	}
	return name, read.Bytes(), nil
}

// helloConn lets a server read and not speak.
type helloConn struct{ r io.Reader }

func (c helloConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c helloConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c helloConn) Close() error                     { return nil }
func (c helloConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c helloConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c helloConn) SetDeadline(time.Time) error      { return nil }
func (c helloConn) SetReadDeadline(time.Time) error  { return nil }
func (c helloConn) SetWriteDeadline(time.Time) error { return nil }

// checkName tells why a client may not say the name in its ClientHello.
func (s *session) checkName(t target, name string) *refusal {
	switch {
	case name != "":
		h, err := parseHost(name)
		if err != nil {
			return denied("the name in TLS (SNI) %v", err)
		}
		return s.speaksOf(t, h)
	case t.host.name != "":
		return denied("a TLS connection to %s must say that name (SNI)", t)
	default:
		return nil
	}
}

// alertDenied is what TLS says to a client that is refused: a record of an
// alert, fatal, access_denied (RFC 8446, section 6).
func alertDenied() []byte { return []byte{0x15, 3, 3, 0, 2, 2, 49} }
