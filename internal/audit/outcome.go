package audit

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
)

// outcomeOf returns the outcome of an action from the error of its service. It
// returns "" for an invalid request, which needs no entry.
func outcomeOf(err error) pyth.AuditOutcome {
	switch pyth.ErrorCode(err) {
	case "":
		return pyth.AuditSuccess
	case pyth.CodeUnauthenticated, pyth.CodeInvalidCredentials, pyth.CodeForbidden, pyth.CodeRegistrationClosed,
		pyth.CodeNotFound, pyth.CodeRateLimited, pyth.CodeTokenBudget, pyth.CodeReservedName:
		return pyth.AuditDenied
	case pyth.CodeInvalid, pyth.CodeInvalidRequirement, pyth.CodeTooLarge, pyth.CodeUnsupportedMedia, pyth.CodeMethodNotAllowed, pyth.CodeNotImplemented:
		return ""
	default:
		return pyth.AuditFailure
	}
}

// recordAfter records the outcome of an action and returns the error for the caller.
// If the entry cannot be written, it always returns CodeUnavailable. It hides even
// the error of the action, so that nobody can guess passwords without an entry.
func recordAfter(ctx context.Context, log pyth.Auditor, e *pyth.AuditEvent, err error) error {
	e.Outcome = outcomeOf(err)
	return recordOutcome(ctx, log, e, err)
}

// recordOutcome is like recordAfter, for an event with its outcome. It records
// nothing if the outcome is "".
func recordOutcome(ctx context.Context, log pyth.Auditor, e *pyth.AuditEvent, err error) error {
	if e.Outcome == "" {
		return err
	}
	failed := log.Record(ctx, e)
	if failed == nil {
		return err
	}
	message := "The audit log cannot be written, so the server does not report the result of the request. Try again later."
	if err == nil {
		message = "The action was carried out, but the audit log cannot be written. Check the current state before you try again."
	}
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: message, Err: errors.Join(failed, err)}
}
