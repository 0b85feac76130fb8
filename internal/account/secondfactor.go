package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"image/png"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// These constants are the parameters of TOTP (RFC 6238). All authenticator apps support
// these values.
const (
	totpPeriod      = 30 * time.Second
	totpSecretBytes = 20
	// totpSkew is the maximum number of time steps between the step of a code and the
	// current step. A code within this distance is valid. The tolerance is for slow
	// users and inaccurate clocks (RFC 6238, 5.2).
	totpSkew = 1
	// qrCodePixels is the width of the QR code for authenticator apps.
	qrCodePixels = 256
)

const (
	// recoveryCodes is the number of recovery codes of an account.
	recoveryCodes = 10
	// recoveryLength is the number of base32 characters of a recovery code. These
	// characters contain 80 bits.
	recoveryLength = 16
	// maxWrongCodes is the number of wrong codes that a user may send without a pause.
	// After that, the user must wait wrongCodePause before each further code. Therefore a
	// person who knows the password cannot find a valid code by trying many codes.
	maxWrongCodes  = 10
	wrongCodePause = 15 * time.Minute
)

// SecondFactors manages the second factors of accounts. It implements
// pyth.SecondFactorService, and is safe for concurrent use.
type SecondFactors struct{ accounts *Service }

var _ pyth.SecondFactorService = (*SecondFactors)(nil)

// NewSecondFactors returns the service for the accounts.
func NewSecondFactors(accounts *Service) *SecondFactors { return &SecondFactors{accounts} }

// SecondFactor returns the active second factor of the caller.
func (x *SecondFactors) SecondFactor(ctx context.Context, p *pyth.Principal) (*pyth.SecondFactor, error) {
	if p.User.SecondFactorAt.IsZero() {
		return nil, noSecondFactor()
	}
	return x.accounts.config.Store.SecondFactor(ctx, p.User.ID)
}

func noSecondFactor() error {
	return pyth.Errorf(pyth.CodeNotFound, "The account has no second factor.")
}

// Enroll creates a secret for an authenticator app. If an earlier secret was not
// activated, it becomes invalid.
func (x *SecondFactors) Enroll(ctx context.Context, p *pyth.Principal, password, issuer string) (*pyth.Enrollment, error) {
	s := x.accounts
	if err := s.RequireLogin(ctx, p); err != nil {
		return nil, err
	}
	if err := s.checkPassword(ctx, p, password); err != nil {
		return nil, err
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: issuer, AccountName: p.User.Email, SecretSize: totpSecretBytes, Period: uint(totpPeriod.Seconds()), Rand: rand.Reader,
	})
	if err != nil {
		return nil, err
	}
	image, err := key.Image(qrCodePixels, qrCodePixels)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := png.Encode(&file, image); err != nil {
		return nil, err
	}
	f := &pyth.SecondFactor{UserID: p.User.ID, CreatedAt: s.now()}
	if f.ID, err = newID("totp_"); err != nil {
		return nil, err
	}
	if f.Sealed, err = s.config.Vault.Seal(ctx, p.User.ID, totpLabel(f.ID), []byte(key.Secret())); err != nil {
		return nil, err
	}
	if err := s.config.Store.PutSecondFactor(ctx, f); err != nil {
		return nil, err
	}
	return &pyth.Enrollment{Secret: key.Secret(), URI: key.URL(), QRCode: file.Bytes()}, nil
}

func totpLabel(id string) vault.Label { return vault.Label{Kind: "totp", Name: id, Version: 1} }

// Confirm activates the secret that the last call of Enroll created.
func (x *SecondFactors) Confirm(ctx context.Context, p *pyth.Principal, code string) ([]string, error) {
	s := x.accounts
	if err := s.RequireLogin(ctx, p); err != nil {
		return nil, err
	}
	if !p.User.SecondFactorAt.IsZero() {
		return nil, pyth.ActiveSecondFactorError()
	}
	f, err := s.config.Store.SecondFactor(ctx, p.User.ID)
	if absent(err) {
		return nil, pyth.Errorf(pyth.CodeConflict, "The account has no secret for a second factor. Create one first.")
	}
	if err != nil {
		return nil, err
	}
	step, err := s.matchingStep(ctx, f, normalizeCode(code))
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes()
	if err := s.config.Store.ActivateSecondFactor(ctx, p.User.ID, f.ID, s.now(), step, hashes, p.FamilyID); err != nil {
		return nil, err
	}
	return codes, nil
}

// ReplaceRecoveryCodes replaces the recovery codes of the caller.
func (x *SecondFactors) ReplaceRecoveryCodes(ctx context.Context, p *pyth.Principal, password, code string) ([]string, error) {
	if err := x.prove(ctx, p, password, code); err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes()
	if err := x.accounts.config.Store.ReplaceRecoveryCodes(ctx, p.User.ID, hashes); err != nil {
		return nil, err
	}
	return codes, nil
}

// Remove removes the second factor of the caller.
func (x *SecondFactors) Remove(ctx context.Context, p *pyth.Principal, password, code string) error {
	if err := x.prove(ctx, p, password, code); err != nil {
		return err
	}
	return x.accounts.config.Store.DeleteSecondFactor(ctx, p.User.ID)
}

// prove checks the caller's login, password and code. The login must be active, and the
// password and the code of the second factor must be correct.
func (x *SecondFactors) prove(ctx context.Context, p *pyth.Principal, password, code string) error {
	s := x.accounts
	if err := s.RequireLogin(ctx, p); err != nil {
		return err
	}
	if p.User.SecondFactorAt.IsZero() {
		return noSecondFactor()
	}
	if err := s.checkPassword(ctx, p, password); err != nil {
		return err
	}
	_, err := s.checkCode(ctx, &p.User, code)
	return err
}

// checkCode checks a code of the user's second factor, and makes the code invalid for
// further uses. If the user has no second factor, checkCode does nothing. The caller must
// first check the password or another proof of the user's identity.
func (s *Service) checkCode(ctx context.Context, user *pyth.User, code string) (pyth.SecondFactorMethod, error) {
	if user.SecondFactorAt.IsZero() {
		return "", nil
	}
	if code = normalizeCode(code); code == "" {
		return "", codeRequired(user.ID)
	}
	f, err := s.config.Store.BeginSecondFactorAttempt(ctx, user.ID, s.now(), maxWrongCodes, wrongCodePause)
	switch {
	case absent(err): // The second factor was removed at the same time.
		return "", wrongCode(user.ID)
	case pyth.ErrorCode(err) == pyth.CodeRateLimited:
		return "", withOwner(err, user.ID)
	case err != nil:
		return "", err
	}
	if !totpCode.MatchString(code) {
		err := s.config.Store.UseRecoveryCode(ctx, user.ID, hashOf(code))
		if absent(err) {
			err = wrongCode(user.ID)
		}
		return pyth.SecondFactorRecovery, err
	}
	step, err := s.matchingStep(ctx, f, code)
	if err != nil {
		return "", err
	}
	err = s.config.Store.UseTOTPStep(ctx, user.ID, f.ID, step)
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		err = wrongCode(user.ID)
	}
	return pyth.SecondFactorTOTP, err
}

// totpCode matches a code of an authenticator app. Recovery codes are longer.
var totpCode = regexp.MustCompile(`^[0-9]{6}$`)

// normalizeCode removes spaces and hyphens from a code. Spaces and hyphens only make a
// code easier to read.
func normalizeCode(code string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(code)))
}

// matchingStep returns the time step whose code is equal to the given code. It compares
// the codes of all valid steps in constant time. It fails with CodeInvalidSecondFactor
// if no step has the code.
func (s *Service) matchingStep(ctx context.Context, f *pyth.SecondFactor, code string) (int64, error) {
	secret, err := s.config.Vault.Open(ctx, f.UserID, totpLabel(f.ID), f.Sealed)
	if err != nil {
		return 0, err
	}
	defer clear(secret)
	now := s.config.Clock().Unix() / int64(totpPeriod.Seconds())
	match := 0
	for skew := -totpSkew; skew <= totpSkew; skew++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(now+int64(skew)), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, err
		}
		same := subtle.ConstantTimeCompare([]byte(want), []byte(code))
		match = subtle.ConstantTimeSelect(same, skew+totpSkew+1, match)
	}
	if match == 0 {
		return 0, wrongCode(f.UserID)
	}
	return now + int64(match-totpSkew-1), nil
}

// newRecoveryCodes returns recovery codes and the hashes under which they are stored.
func newRecoveryCodes() (codes []string, hashes [][32]byte) {
	for range recoveryCodes {
		code := rand.Text()[:recoveryLength]
		hashes = append(hashes, hashOf(code))
		code = strings.ToLower(code)
		codes = append(codes, code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:])
	}
	return codes, hashes
}

// withOwner adds a cause to the error and returns the result. The cause names the user to
// whom the password belongs.
func withOwner(err error, user pyth.UserID) error {
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok {
		return err
	}
	owned := *e
	owned.Err = &pyth.CredentialError{User: user}
	return &owned
}

// codeRequired returns the error for a login with the correct password but without a
// code.
func codeRequired(user pyth.UserID) error {
	return withOwner(pyth.Errorf(pyth.CodeSecondFactorRequired, "The account has a second factor. Send a code from your authenticator app, or a recovery code, in the field code."), user)
}

func wrongCode(user pyth.UserID) error {
	return withOwner(pyth.Errorf(pyth.CodeInvalidSecondFactor, "The code is wrong, expired or already used. Send the next code from your authenticator app, or an unused recovery code."), user)
}
