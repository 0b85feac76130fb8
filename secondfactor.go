package pyth

import (
	"context"
	"time"
)

// SecondFactorMethod is the kind of code with which a user passes the second factor.
type SecondFactorMethod string

// Kinds of codes. Each recovery code is valid only once.
const (
	SecondFactorTOTP     SecondFactorMethod = "totp"
	SecondFactorRecovery SecondFactorMethod = "recovery_code"
)

// SecondFactor is the stored record of a second factor. The second factor is a secret
// from which an app computes time-based one-time passwords (TOTP, RFC 6238). It is
// active if User.SecondFactorAt is set.
type SecondFactor struct {
	UserID UserID
	// ID identifies the secret. If the user creates a new secret, the new secret has a
	// new ID.
	ID string
	// Sealed is the secret, encrypted with the user's data key.
	Sealed    []byte
	CreatedAt time.Time
	// LastStep is the time step of the last accepted code. Codes of this step and of
	// earlier steps are not valid.
	LastStep int64
	// RecoveryCodes is the number of unused recovery codes.
	RecoveryCodes int
}

// SecondFactorStore stores second factors and the hashes of recovery codes.
type SecondFactorStore interface {
	// PutSecondFactor stores a secret that is not active yet. It replaces the user's
	// earlier inactive secret, if there is one. It fails with CodeConflict if the user
	// has an active second factor.
	PutSecondFactor(ctx context.Context, f *SecondFactor) error
	// SecondFactor returns the second factor of the user. The second factor may be
	// active or inactive.
	SecondFactor(ctx context.Context, user UserID) (*SecondFactor, error)
	// ActivateSecondFactor activates a second factor in one transaction. It sets
	// User.SecondFactorAt to the given time, sets LastStep, and stores the hashes of
	// recovery codes. It revokes all refresh tokens of the user except the tokens of
	// the family "keep". It fails with CodeConflict if the user has an active second
	// factor or no secret with this ID.
	ActivateSecondFactor(ctx context.Context, user UserID, id string, at time.Time, step int64, codes [][32]byte, keep string) error
	// BeginSecondFactorAttempt counts an attempt and returns the second factor. After
	// "maximum" attempts without success, the user must wait for the time "pause"
	// before each further attempt. If an attempt is too early, BeginSecondFactorAttempt
	// fails with CodeRateLimited. It fails with CodeNotFound if the user has no second
	// factor.
	BeginSecondFactorAttempt(ctx context.Context, user UserID, at time.Time, maximum int, pause time.Duration) (*SecondFactor, error)
	// UseTOTPStep sets LastStep and resets the number of attempts to 0. It fails with
	// CodeConflict if the user has no secret with this ID, or if LastStep is not less
	// than "step".
	UseTOTPStep(ctx context.Context, user UserID, id string, step int64) error
	// UseRecoveryCode deletes the hash of a recovery code and resets the number of
	// attempts to 0. It fails with CodeNotFound if the user has no recovery code with
	// this hash.
	UseRecoveryCode(ctx context.Context, user UserID, hash [32]byte) error
	// ReplaceRecoveryCodes replaces the hashes of all the user's recovery codes. It
	// fails with CodeNotFound if the user has no active second factor.
	ReplaceRecoveryCodes(ctx context.Context, user UserID, codes [][32]byte) error
	// DeleteSecondFactor deletes the active second factor and the recovery codes of the
	// user. It fails with CodeNotFound if the user has no active second factor.
	DeleteSecondFactor(ctx context.Context, user UserID) error
}

// Enrollment contains a new secret of a second factor. The server shows the secret only
// once.
type Enrollment struct {
	// Secret is the secret in base32, for users who type it into their app.
	Secret string
	// URI contains the secret as a URI (otpauth://) that authenticator apps can read.
	URI string
	// QRCode is a QR code of the URI as an image in PNG format.
	QRCode []byte
}

// SecondFactorService manages the second factors of callers. It is safe for concurrent
// use. All errors are *Error. A wrong password causes CodeInvalidCredentials. A wrong
// code causes CodeInvalidSecondFactor.
type SecondFactorService interface {
	// SecondFactor returns the caller's active second factor. It fails with
	// CodeNotFound if the caller has no active second factor.
	SecondFactor(ctx context.Context, p *Principal) (*SecondFactor, error)
	// Enroll creates a secret for the caller. The second factor becomes active when the
	// caller calls Confirm. The authenticator app shows the issuer as the name of the
	// server.
	Enroll(ctx context.Context, p *Principal, password, issuer string) (*Enrollment, error)
	// Confirm activates the second factor if the code is right, and returns recovery
	// codes. It revokes all other logins of the caller.
	Confirm(ctx context.Context, p *Principal, code string) ([]string, error)
	// ReplaceRecoveryCodes returns new recovery codes. The earlier codes become invalid.
	ReplaceRecoveryCodes(ctx context.Context, p *Principal, password, code string) ([]string, error)
	// Remove removes the second factor of the caller.
	Remove(ctx context.Context, p *Principal, password, code string) error
}

// ActiveSecondFactorError returns the error for a user who wants to add a second
// factor, but already has an active one.
func ActiveSecondFactorError() *Error {
	return Errorf(CodeConflict, "The account has a second factor already. Remove it first.")
}

// TooManyAttemptsError returns the error for an attempt that the user made too early.
func TooManyAttemptsError(wait time.Duration) *Error {
	return &Error{
		Code: CodeRateLimited, Message: "Too many codes of the second factor were wrong. Wait for the number of seconds in Retry-After.", RetryAfter: wait,
	}
}

// AttemptWait returns how long the user must wait before an attempt at the time "at".
// It returns zero if the user may try now. The parameter "last" is the time of the
// previous attempt. If the clock was set back by more than the pause, AttemptWait
// ignores the previous attempt.
func AttemptWait(attempts, maximum int, last, at time.Time, pause time.Duration) time.Duration {
	if attempts < maximum || last.After(at.Add(pause)) {
		return 0
	}
	return max(last.Add(pause).Sub(at), 0)
}
