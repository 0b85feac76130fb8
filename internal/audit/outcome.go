package audit

import (
	"context"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
)

// outcomeOf says how an action ended by the error of its service; "" where it is
// no action at all but a request that is malformed or asks for what there is not.
func outcomeOf(err error) pyth.AuditOutcome {
	switch pyth.ErrorCode(err) {
	case "":
		return pyth.AuditSuccess
	case pyth.CodeUnauthenticated, pyth.CodeInvalidCredentials, pyth.CodeForbidden, pyth.CodeRegistrationClosed,
		pyth.CodeNotFound, pyth.CodeRateLimited, pyth.CodeReservedName:
		return pyth.AuditDenied
	case pyth.CodeInvalid, pyth.CodeTooLarge, pyth.CodeUnsupportedMedia, pyth.CodeMethodNotAllowed, pyth.CodeNotImplemented:
		return ""
	default:
		return pyth.AuditFailure
	}
}

// after enters what an action came to, and returns the error that the caller
// gets: that of the action, or, if there is no entry, one that says so. Then not
// even a refusal is passed on, so that nobody gets to guess unseen.
func after(ctx context.Context, to pyth.Auditor, e *pyth.AuditEvent, err error) error {
	if e.Outcome = outcomeOf(err); e.Outcome == "" {
		return err
	}
	failed := to.Record(ctx, e)
	if failed == nil {
		return err
	}
	message := "The audit log cannot be written at this moment, so the request is not answered. Try again later."
	if err == nil {
		message = "It was done, but the audit log cannot be written at this moment. Look at the present state before you try again."
	}
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: message, Err: errors.Join(failed, err)}
}
