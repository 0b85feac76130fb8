package account_test

import (
	"bytes"
	"context"
	"image/png"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

// secured is an account with an active second factor.
type secured struct {
	*service
	x        *account.SecondFactors
	g        *pyth.Grant
	secret   string
	recovery []string
}

// secure activates a second factor for a new account.
func (s *service) secure(t *testing.T) *secured {
	t.Helper()
	a := &secured{service: s, x: account.NewSecondFactors(s.Service), g: s.register(t, email)}
	e, err := a.x.Enroll(t.Context(), a.principal(t, a.g), password, "Pyth-On")
	want(t, err, "")
	a.secret = e.Secret
	a.recovery, err = a.x.Confirm(t.Context(), a.principal(t, a.g), a.code(t))
	want(t, err, "")
	a.clock.move(time.Minute)
	return a
}

// code returns the current code that an authenticator app would show.
func (a *secured) code(t *testing.T) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.clock.Now())
	want(t, err, "")
	return code
}

func (a *secured) logIn(code string) error {
	_, err := a.Login(context.Background(), email, password, code)
	return err
}

// wrong returns a code that is not valid in any time step near the time step of the given
// code.
func wrong(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+5)%10
	return string(b)
}

func TestEnrollReturnsASecretOnce(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	x := account.NewSecondFactors(s.Service)
	_, err := x.Enroll(t.Context(), p, "wrong password", "Pyth-On")
	want(t, err, pyth.CodeInvalidCredentials)
	e, err := x.Enroll(t.Context(), p, password, "Pyth-On api.example.org")
	want(t, err, "")
	key, err := otp.NewKeyFromURL(e.URI)
	want(t, err, "")
	if key.Secret() != e.Secret || key.Issuer() != "Pyth-On api.example.org" || key.AccountName() != email || key.Period() != 30 || key.Digits() != otp.DigitsSix {
		t.Errorf("got the URI %s", e.URI)
	}
	if _, err := png.Decode(bytes.NewReader(e.QRCode)); err != nil {
		t.Errorf("the QR code: %v", err)
	}
	if strings.Contains(s.stored(t), e.Secret) {
		t.Error("the secret is stored in plain text")
	}
	// The user has not confirmed the second factor yet, so the login needs no code.
	s.login(t, email, password)
	_, err = x.SecondFactor(t.Context(), p)
	want(t, err, pyth.CodeNotFound)
	_, err = x.Confirm(t.Context(), p, wrong("000000"))
	want(t, err, pyth.CodeInvalidSecondFactor)
	s.login(t, email, password)
}

func TestConfirmNeedsASecret(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	_, err := account.NewSecondFactors(s.Service).Confirm(t.Context(), p, "123456")
	want(t, err, pyth.CodeConflict)
}

func TestLoginNeedsTheSecondFactor(t *testing.T) {
	a := newService(t).secure(t)
	want(t, a.logIn(""), pyth.CodeSecondFactorRequired)
	want(t, a.logIn(" - "), pyth.CodeSecondFactorRequired)
	want(t, a.logIn(wrong(a.code(t))), pyth.CodeInvalidSecondFactor)
	want(t, a.logIn("٣٣٣٣٣٣"), pyth.CodeInvalidSecondFactor)
	// A wrong password must not reveal that the account has a second factor.
	for _, code := range []string{"", a.code(t)} {
		_, err := a.Login(t.Context(), email, "another good password", code)
		want(t, err, pyth.CodeInvalidCredentials)
	}
	code := a.code(t)
	g, err := a.Login(t.Context(), email, password, code[:3]+" "+code[3:])
	want(t, err, "")
	if g.SecondFactor != pyth.SecondFactorTOTP || g.APIKey == "" {
		t.Errorf("got %+v", g)
	}
	want(t, a.logIn(code), pyth.CodeInvalidSecondFactor) // A second use of the same code must fail.
}

func TestLoginAcceptsNeighboringTimeSteps(t *testing.T) {
	a := newService(t).secure(t)
	for _, c := range []struct {
		skew time.Duration
		code pyth.Code
	}{
		{-60 * time.Second, pyth.CodeInvalidSecondFactor},
		{60 * time.Second, pyth.CodeInvalidSecondFactor},
		{-30 * time.Second, ""},
		{0, ""},
		{30 * time.Second, ""},
		{0, pyth.CodeInvalidSecondFactor}, // The code is older than the last accepted code.
	} {
		code, err := totp.GenerateCode(a.secret, a.clock.Now().Add(c.skew))
		want(t, err, "")
		if err := a.logIn(code); pyth.ErrorCode(err) != c.code {
			t.Errorf("a code of %v: got %v", c.skew, err)
		}
	}
}

func TestRecoveryCodesWorkOnce(t *testing.T) {
	a := newService(t).secure(t)
	if len(a.recovery) != 10 || len(slices.Compact(slices.Sorted(slices.Values(a.recovery)))) != 10 {
		t.Errorf("got the codes %q", a.recovery)
	}
	plain := strings.ToUpper(strings.ReplaceAll(a.recovery[0], "-", ""))
	if stored := a.stored(t); strings.Contains(stored, plain) || strings.Contains(stored, a.recovery[0]) {
		t.Error("a recovery code is stored in plain text")
	}
	g, err := a.Login(t.Context(), email, password, " "+plain[:8]+" "+plain[8:])
	want(t, err, "")
	if g.SecondFactor != pyth.SecondFactorRecovery {
		t.Errorf("got the method %q", g.SecondFactor)
	}
	want(t, a.logIn(a.recovery[0]), pyth.CodeInvalidSecondFactor)
	p := a.principal(t, g)
	f, err := a.x.SecondFactor(t.Context(), p)
	want(t, err, "")
	if f.RecoveryCodes != 9 {
		t.Errorf("%d recovery codes are left", f.RecoveryCodes)
	}
	_, err = a.x.ReplaceRecoveryCodes(t.Context(), p, "wrong password", a.code(t))
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = a.x.ReplaceRecoveryCodes(t.Context(), p, password, "")
	want(t, err, pyth.CodeSecondFactorRequired)
	replaced, err := a.x.ReplaceRecoveryCodes(t.Context(), p, password, a.code(t))
	want(t, err, "")
	want(t, a.logIn(a.recovery[1]), pyth.CodeInvalidSecondFactor)
	want(t, a.logIn(replaced[0]), "")
}

func TestWrongCodesAreLimited(t *testing.T) {
	a := newService(t).secure(t)
	for range 10 {
		want(t, a.logIn(wrong(a.code(t))), pyth.CodeInvalidSecondFactor)
	}
	want(t, a.logIn(a.code(t)), pyth.CodeRateLimited)
	want(t, a.logIn(a.recovery[0]), pyth.CodeRateLimited)
	// A person without the password must not find out that the account has a second
	// factor. This person must also not be able to block the logins of the user.
	_, err := a.Login(t.Context(), email, "another good password", a.code(t))
	want(t, err, pyth.CodeInvalidCredentials)
	a.clock.move(15 * time.Minute)
	want(t, a.logIn(wrong(a.code(t))), pyth.CodeInvalidSecondFactor)
	want(t, a.logIn(a.code(t)), pyth.CodeRateLimited)
	a.clock.move(15 * time.Minute)
	want(t, a.logIn(a.code(t)), "")
	a.clock.move(time.Minute)
	want(t, a.logIn(a.code(t)), "")
}

func TestActivationEndsOtherLogins(t *testing.T) {
	s := newService(t)
	s.register(t, email)
	other, mine := s.login(t, email, password), s.login(t, email, password)
	x := account.NewSecondFactors(s.Service)
	e, err := x.Enroll(t.Context(), s.principal(t, mine), password, "Pyth-On")
	want(t, err, "")
	code, err := totp.GenerateCode(e.Secret, s.clock.Now())
	want(t, err, "")
	_, err = x.Confirm(t.Context(), s.principal(t, mine), code)
	want(t, err, "")
	_, err = s.Refresh(t.Context(), other.RefreshToken, pyth.Client{})
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = s.Refresh(t.Context(), mine.RefreshToken, pyth.Client{})
	want(t, err, "")
	// After a logout, the JWT of this login cannot change the second factor.
	ended := s.principal(t, other)
	s.clock.move(time.Minute)
	code, err = totp.GenerateCode(e.Secret, s.clock.Now())
	want(t, err, "")
	want(t, x.Remove(t.Context(), ended, password, code), pyth.CodeUnauthenticated)
	_, err = x.ReplaceRecoveryCodes(t.Context(), ended, password, code)
	want(t, err, pyth.CodeUnauthenticated)
	_, err = x.Enroll(t.Context(), ended, password, "Pyth-On")
	want(t, err, pyth.CodeUnauthenticated)
}

func TestNewPasswordKeepsTheSecondFactor(t *testing.T) {
	a := newService(t).secure(t)
	r, err := a.CreateResetToken(t.Context(), a.g.User.ID)
	want(t, err, "")
	_, err = a.profiles().ResetPassword(t.Context(), r.Token, "staple of another kind")
	want(t, err, "")
	_, err = a.Login(t.Context(), email, "staple of another kind", "")
	want(t, err, pyth.CodeSecondFactorRequired)
	_, err = a.Login(t.Context(), email, "staple of another kind", a.code(t))
	want(t, err, "")
}

func TestRemoveNeedsPasswordAndCode(t *testing.T) {
	a := newService(t).secure(t)
	p := a.principal(t, a.g)
	_, err := a.x.Enroll(t.Context(), p, password, "Pyth-On")
	want(t, err, pyth.CodeConflict)
	_, err = a.x.Confirm(t.Context(), p, a.code(t))
	want(t, err, pyth.CodeConflict)
	want(t, a.x.Remove(t.Context(), p, "wrong password", a.code(t)), pyth.CodeInvalidCredentials)
	want(t, a.x.Remove(t.Context(), p, password, ""), pyth.CodeSecondFactorRequired)
	want(t, a.x.Remove(t.Context(), p, password, wrong(a.code(t))), pyth.CodeInvalidSecondFactor)
	want(t, a.x.Remove(t.Context(), p, password, a.code(t)), "")
	want(t, a.logIn(""), "")
	want(t, a.x.Remove(t.Context(), a.principal(t, a.g), password, a.code(t)), pyth.CodeNotFound)
}

func TestAdministratorRemovesTheSecondFactor(t *testing.T) {
	a := newService(t).secure(t)
	admin := &account.Administration{Accounts: a.Service}
	want(t, admin.DeleteSecondFactor(t.Context(), "usr_admin", "usr_absent"), pyth.CodeNotFound)
	want(t, admin.DeleteSecondFactor(t.Context(), "usr_admin", a.g.User.ID), "")
	want(t, a.logIn(""), "")
	want(t, a.logIn(a.recovery[0]), "") // The code is ignored.
	want(t, admin.DeleteSecondFactor(t.Context(), "usr_admin", a.g.User.ID), pyth.CodeNotFound)
}
