package egress

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// refusal is why a program does not get what it asks for, in words for its
// author: they tell nothing of the host's network.
type refusal struct {
	verdict Verdict
	reason  string
	// status and reply say it in HTTP and SOCKS5.
	status int
	reply  byte
}

func (r *refusal) Error() string { return r.reason }

// denied is for what may not be.
func denied(format string, args ...any) *refusal {
	return &refusal{Denied, fmt.Sprintf(format, args...), http.StatusForbidden, replyDenied}
}

// malformed is for what is not a request, and does not become one.
func malformed(reason string) *refusal {
	return &refusal{Denied, reason, http.StatusBadRequest, replyFailed}
}

// failed is for what may be, but did not work.
func failed(reply byte, format string, args ...any) *refusal {
	return &refusal{Failed, fmt.Sprintf(format, args...), http.StatusBadGateway, reply}
}

// unresolved is for a name that has no address. The error itself would tell
// where the host's resolver is.
func unresolved(t target, err error) *refusal {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return failed(replyHost, "host %s does not exist", t.host)
	}
	return failed(replyHost, "host %s could not be resolved", t.host)
}

// unconnected is for a target that does not answer.
func unconnected(t target, err error) *refusal {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed(replyRefused, "host %s refused the connection", t)
	case errors.Is(err, syscall.ENETUNREACH):
		return failed(replyNetwork, "the network of host %s cannot be reached", t)
	case errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return failed(replyHost, "host %s did not answer in time", t)
	default:
		return failed(replyHost, "host %s cannot be reached", t)
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
