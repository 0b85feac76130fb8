package pyth

import (
	"context"
	"time"
)

// SecondFactorMethod is the kind of code with which a user proved the second factor.
type SecondFactorMethod string

// Kinds of codes. A recovery code is valid once.
const (
	SecondFactorTOTP     SecondFactorMethod = "totp"
	SecondFactorRecovery SecondFactorMethod = "recovery_code"
)

// SecondFactor is the stored record of a second factor: a secret from which an app
// computes time-based one-time passwords (TOTP, RFC 6238). The second factor is active
// if User.SecondFactorAt is set.
type SecondFactor struct {
	UserID UserID
	// ID identifies the secret. A new secret of the user has another ID.
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
	// PutSecondFactor stores a secret that is not active yet. It replaces an earlier
	// inactive secret of the user. It fails with CodeConflict if the user has an active
	// second factor.
	PutSecondFactor(ctx context.Context, f *SecondFactor) error
	// SecondFactor returns the second factor of the user, active or not.
	SecondFactor(ctx context.Context, user UserID) (*SecondFactor, error)
	// ActivateSecondFactor sets User.SecondFactorAt to the given time, sets LastStep,
	// stores the hashes of recovery codes, and revokes all refresh tokens of the user
	// except those of the family "keep", in one transaction. It fails with CodeConflict
	// if the user has an active second factor or no secret with this ID.
	ActivateSecondFactor(ctx context.Context, user UserID, id string, at time.Time, step int64, codes [][32]byte, keep string) error
	// BeginSecondFactorAttempt counts an attempt and returns the second factor. After
	// "maximum" attempts without success, each further attempt must be later than the
	// previous one by the time "pause". Otherwise BeginSecondFactorAttempt fails with
	// CodeRateLimited. It fails with CodeNotFound if the user has no second factor.
	BeginSecondFactorAttempt(ctx context.Context, user UserID, at time.Time, maximum int, pause time.Duration) (*SecondFactor, error)
	// UseTOTPStep sets LastStep and ends the count of attempts. It fails with
	// CodeConflict if the user has no secret with this ID, or if LastStep is not less
	// than "step".
	UseTOTPStep(ctx context.Context, user UserID, id string, step int64) error
	// UseRecoveryCode deletes the hash of a recovery code and ends the count of
	// attempts. It fails with CodeNotFound if the user has no such code.
	UseRecoveryCode(ctx context.Context, user UserID, hash [32]byte) error
	// ReplaceRecoveryCodes replaces the hashes of all recovery codes of the user. It
	// fails with CodeNotFound if the user has no active second factor.
	ReplaceRecoveryCodes(ctx context.Context, user UserID, codes [][32]byte) error
	// DeleteSecondFactor deletes the active second factor and the recovery codes of the
	// user. It fails with CodeNotFound if the user has no active second factor.
	DeleteSecondFactor(ctx context.Context, user UserID) error
}

// Enrollment contains a new secret of a second factor. The server does not show it
// again.
type Enrollment struct {
	// Secret is the secret in base32, for users who type it into their app.
	Secret string
	// URI contains the secret in the form of apps (otpauth://).
	URI string
	// QRCode is an image of the URI in PNG format.
	QRCode []byte
}

// SecondFactorService manages the second factors of callers. It is safe for concurrent
// use. All errors are *Error. A wrong password causes CodeInvalidCredentials, and a
// wrong code CodeInvalidSecondFactor.
type SecondFactorService interface {
	// SecondFactor returns the caller's active second factor. It fails with
	// CodeNotFound if the caller has no active second factor.
	SecondFactor(ctx context.Context, p *Principal) (*SecondFactor, error)
	// Enroll creates a secret for the caller. The second factor is active after Confirm.
	// The app shows the issuer as the name of the server.
	Enroll(ctx context.Context, p *Principal, password, issuer string) (*Enrollment, error)
	// Confirm activates the second factor if the code is right, and returns recovery
	// codes. It revokes all other logins of the caller.
	Confirm(ctx context.Context, p *Principal, code string) ([]string, error)
	// ReplaceRecoveryCodes returns new recovery codes. The earlier codes become invalid.
	ReplaceRecoveryCodes(ctx context.Context, p *Principal, password, code string) ([]string, error)
	// Remove removes the second factor.
	Remove(ctx context.Context, p *Principal, password, code string) error
}

// ActiveSecondFactorError returns the error for a new second factor of a user who
// already has an active second factor.
func ActiveSecondFactorError() *Error {
	return Errorf(CodeConflict, "The account has a second factor already. Remove it first.")
}

// TooManyAttemptsError returns the error for an attempt that is too early.
func TooManyAttemptsError(wait time.Duration) *Error {
	return &Error{
		Code: CodeRateLimited, Message: "Too many codes of the second factor were wrong. Wait for the number of seconds in Retry-After.", RetryAfter: wait,
	}
}

// AttemptWait returns the time to wait before an attempt at the given time; zero if the
// attempt may begin now. The previous attempt was at the time "last". If the clock was
// set back by more than the pause, AttemptWait ignores the previous attempt.
func AttemptWait(attempts, maximum int, last, at time.Time, pause time.Duration) time.Duration {
	if attempts < maximum || last.After(at.Add(pause)) {
		return 0
	}
	return max(last.Add(pause).Sub(at), 0)
}
