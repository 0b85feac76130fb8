package audit

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// A Recorder writes events to the audit log.
type Recorder interface {
	// Record writes the event with the origin in ctx, and returns when the event is
	// durable. It writes the event even if ctx has ended, because the action has
	// already happened.
	Record(ctx context.Context, e *pyth.AuditEvent) error
}

// outcomeOf returns the outcome of an action. The parameter err is the error of the
// action. For an invalid request, outcomeOf returns "", because such a request needs no
// audit entry.
func outcomeOf(err error) pyth.AuditOutcome {
	switch pyth.ErrorCode(err) {
	case "":
		return pyth.AuditSuccess
	case pyth.CodeUnauthenticated, pyth.CodeInvalidCredentials, pyth.CodeSecondFactorRequired, pyth.CodeInvalidSecondFactor, pyth.CodeIdentityNotLinked, pyth.CodeForbidden, pyth.CodeMissingScope, pyth.CodeRegistrationClosed, pyth.CodeAccountDisabled, pyth.CodeEmailUnconfirmed,
		pyth.CodeNotFound, pyth.CodeRateLimited, pyth.CodeTokenBudget, pyth.CodeReservedName:
		return pyth.AuditDenied
	case pyth.CodeInvalid, pyth.CodeInvalidRequirement, pyth.CodeTooLarge, pyth.CodeUnsupportedMedia, pyth.CodeMethodNotAllowed, pyth.CodeNotImplemented:
		return ""
	default:
		return pyth.AuditFailure
	}
}

// recordAfter writes the audit entry of an action that returned err. It returns the
// error for the caller. If it cannot write the entry, the error has CodeUnavailable, and
// the caller does not learn the result of the action. Therefore a caller cannot try a
// password without an entry in the log.
func recordAfter(ctx context.Context, log Recorder, e *pyth.AuditEvent, err error) error {
	e.Outcome = outcomeOf(err)
	return recordOutcome(ctx, log, e, err)
}

// recordOutcome writes an entry like recordAfter, but the caller has already set the
// outcome of the entry e. If this outcome is "", it writes no entry.
func recordOutcome(ctx context.Context, log Recorder, e *pyth.AuditEvent, err error) error {
	if e.Outcome == "" {
		return err
	}
	_, span := tracing.Start(ctx, "audit.record")
	failed := log.Record(ctx, e)
	span.End(failed)
	if failed == nil {
		return err
	}
	message := "The audit log cannot be written, so the server does not report the result of the request. Try again later."
	if err == nil {
		failed = errors.Join(failed, pyth.ErrCarriedOut)
		message = "The action was carried out, but the audit log cannot be written. Check the current state before you try again."
	}
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: message, Err: errors.Join(failed, err)}
}
