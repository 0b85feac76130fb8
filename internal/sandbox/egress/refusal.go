package egress

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// refusal describes why a connection was refused or failed. The reason is for the
// program's author and reveals nothing about the host's network.
type refusal struct {
	verdict Verdict
	reason  string
	// status and reply are the codes for HTTP and SOCKS5.
	status int
	reply  byte
}

func (r *refusal) Error() string { return r.reason }

// The function "denied" returns a refusal for a target that is not allowed.
func denied(format string, args ...any) *refusal {
	return &refusal{Denied, fmt.Sprintf(format, args...), http.StatusForbidden, replyDenied}
}

// The function "malformed" returns a refusal for an invalid request.
func malformed(reason string) *refusal {
	return &refusal{Denied, reason, http.StatusBadRequest, replyFailed}
}

// The function "failed" returns a refusal for a connection that was allowed, but did
// not succeed.
func failed(reply byte, format string, args ...any) *refusal {
	return &refusal{Failed, fmt.Sprintf(format, args...), http.StatusBadGateway, reply}
}

// The function "unresolved" returns a refusal for a name without an address. It does
// not include the text of err, which contains the address of the host's resolver.
func unresolved(t target, err error) *refusal {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return failed(replyHost, "host %s does not exist", t.host)
	}
	return failed(replyHost, "host %s could not be resolved", t.host)
}

// The function "unconnected" returns a refusal for a target that could not be dialled.
func unconnected(t target, err error) *refusal {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed(replyRefused, "host %s refused the connection", t)
	case errors.Is(err, syscall.ENETUNREACH):
		return failed(replyNetwork, "the network of host %s cannot be reached", t)
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return failed(replyHost, "host %s did not respond in time", t)
	default:
		return failed(replyHost, "host %s cannot be reached", t)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
