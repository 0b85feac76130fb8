// Package ports implements pyth.PortService: it connects to servers that programs start in
// sessions, and it signs the right to use a port.
package ports

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// KeyBytes is the length of the key that signs rights, in bytes.
const KeyBytes = 32

// Sessions finds the sessions of users and opens streams to their sandboxes.
type Sessions interface {
	pyth.SessionStreams
	Session(ctx context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error)
}

// Config configures a Service. All fields are required.
type Config struct {
	Sessions Sessions
	// Key signs rights. All servers that serve the same sessions need the same key.
	Key   []byte
	Clock func() time.Time
}

// Service implements pyth.PortService.
type Service struct{ config Config }

var _ pyth.PortService = (*Service)(nil)

// New returns a Service.
func New(config Config) *Service { return &Service{config} }

// checkPort returns an error if users cannot connect to the port. For example, the ports
// of the session's proxies are reserved.
func checkPort(port int) error {
	if port < 1 || port > 65535 {
		return pyth.Invalid("path.port", "must be between 1 and 65535")
	}
	for _, address := range protocol.ProxyAddresses() {
		if _, reserved, err := net.SplitHostPort(address); err == nil && reserved == strconv.Itoa(port) {
			return pyth.Invalid("path.port", "%d is reserved for the proxy of the session", port)
		}
	}
	return nil
}

// SharePort signs the right to use a port.
func (s *Service) SharePort(ctx context.Context, user pyth.UserID, session pyth.SessionID, port int, lifetime time.Duration) (*pyth.PortShare, error) {
	if err := checkPort(port); err != nil {
		return nil, err
	}
	if _, err := s.config.Sessions.Session(ctx, user, session); err != nil {
		return nil, err
	}
	end := s.config.Clock().Add(lifetime).Truncate(time.Millisecond)
	payload := append(binary.BigEndian.AppendUint64(nil, uint64(end.UnixMilli())), user...)
	return &pyth.PortShare{
		Session: session, Port: port, ExpiresAt: end,
		Signature: base64.RawURLEncoding.EncodeToString(append(s.sign(session, port, payload), payload...)),
	}, nil
}

// sign returns the message authentication code of a right. The payload contains the time
// at which the right ends, and the user of the right.
func (s *Service) sign(session pyth.SessionID, port int, payload []byte) []byte {
	mac := hmac.New(sha256.New, s.config.Key)
	// The texts before the payload contain no NUL byte, so their ends are unambiguous.
	_, _ = fmt.Fprintf(mac, "pyth-on/port/1\x00%s\x00%d\x00%s", session, port, payload)
	return mac.Sum(nil)
}

// CheckPortShare checks a signature for a port of a session.
func (s *Service) CheckPortShare(session pyth.SessionID, port int, signature string) (pyth.UserID, time.Time, error) {
	b, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(b) < sha256.Size+8 || !hmac.Equal(b[:sha256.Size], s.sign(session, port, b[sha256.Size:])) {
		return "", time.Time{}, pyth.Errorf(pyth.CodeUnauthenticated, "The signature of this address is not valid.")
	}
	payload := b[sha256.Size:]
	end := time.UnixMilli(int64(binary.BigEndian.Uint64(payload)))
	if !s.config.Clock().Before(end) {
		return "", time.Time{}, pyth.Errorf(pyth.CodeUnauthenticated, "This address has expired.")
	}
	return pyth.UserID(payload[8:]), end, nil
}
