package api

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

// Denials writes denied requests to the audit log. The method "Note" does not wait until
// the entry is written, and it may drop an entry.
type Denials interface {
	Note(ctx context.Context, e *pyth.AuditEvent)
}

// The type "denied" writes audit entries for requests that the API itself denied. The
// service for the action does not see these requests. The API denies them because of
// missing or invalid credentials, rate limits, or unknown encrypted programs. Callers can
// repeat such requests without limit. So the number of entries is limited for each
// caller, and for all unknown callers together. The next entry for an unknown caller
// contains the number of omitted entries.
type denied struct {
	to        Denials
	perCaller *ratelimit.Limiter
	unknown   *ratelimit.Limiter
	// The field "omitted" counts the requests without an audit entry. The server sets it
	// to 0 when it writes an entry that contains the number.
	omitted    atomic.Int64
	suppressed prometheus.Counter
}

func newDenied(to Denials, now func() time.Time) *denied {
	return &denied{
		to:        to,
		perCaller: ratelimit.New(ratelimit.Rate{Count: 30, Per: time.Minute}, maxLimitedKeys, now),
		unknown:   ratelimit.New(ratelimit.Rate{Count: 600, Per: time.Minute}, 1, now),
		suppressed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pyth_on_audit_suppressed_total",
			Help: "Denied requests that have no entry in the audit log, because there were too many denied requests.",
		}),
	}
}

// noteDenied writes a denied request to the audit log. It does nothing if err is not a
// denial, or if the audit log does not record the operation.
func (h *Handler) noteDenied(ctx context.Context, err error) {
	req, d := requestOf(ctx), h.denied
	switch pyth.ErrorCode(err) {
	case pyth.CodeUnauthenticated, pyth.CodeInvalidCredentials, pyth.CodeMissingScope, pyth.CodeRateLimited, pyth.CodeNotFound,
		pyth.CodeForbidden, pyth.CodeAccountDisabled, pyth.CodeEmailUnconfirmed:
	default:
		return
	}
	if req.action == "" || d.to == nil {
		return
	}
	e := &pyth.AuditEvent{Action: req.action, Outcome: pyth.AuditDenied, Details: map[string]any{"code": string(pyth.ErrorCode(err))}}
	caller := ipKey(req.ip)
	if p := req.principal; p != nil {
		e.User = p.User.ID
		caller = string(e.User)
	}
	if !d.perCaller.Allow(caller).Allowed || e.User == "" && !d.unknown.Allow("").Allowed {
		d.omitted.Add(1)
		d.suppressed.Inc()
		return
	}
	if e.User == "" {
		if n := d.omitted.Swap(0); n > 0 {
			e.Details["omitted"] = n
		}
	}
	d.to.Note(ctx, e)
}
