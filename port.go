package pyth

import (
	"context"
	"net"
	"time"
)

// PortShare is the right to use one TCP port of a session until the time ExpiresAt.
// Everybody who has the signature has this right.
type PortShare struct {
	Session   SessionID
	Port      int
	Signature string
	ExpiresAt time.Time
}

// PortService connects to servers that programs start in sessions. It is safe for
// concurrent use.
type PortService interface {
	// DialPort connects to a TCP port on the loopback address of a session. The context
	// limits only the time to connect. The methods of the connection that set deadlines
	// do nothing. DialPort fails with CodeNotFound if the session does not exist or
	// belongs to another user. It fails with CodeInvalid if the port is out of range or
	// reserved. It fails with CodePortUnavailable if no server listens on the port. It
	// fails with CodeTooManyExecutions if the session has too many streams.
	DialPort(ctx context.Context, user UserID, session SessionID, port int) (net.Conn, error)
	// SharePort signs the right to use a port. It fails with the same errors as DialPort,
	// but it does not connect.
	SharePort(ctx context.Context, user UserID, session SessionID, port int, lifetime time.Duration) (*PortShare, error)
	// CheckPortShare checks a signature for a port of a session. It returns the user who
	// signed it, and the time when the right ends. It fails with CodeUnauthenticated if
	// the signature is wrong or has expired.
	CheckPortShare(session SessionID, port int, signature string) (UserID, time.Time, error)
}
