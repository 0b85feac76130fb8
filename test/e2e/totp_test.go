package e2e_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// totpCodes returns a function. Each call of this function returns a new code. The
// server accepts the code of the current time step, of the step before and of the step
// after. So at most three calls succeed within 30 seconds.
func totpCodes(t *testing.T, secret string) func() string {
	used := time.Time{}
	return func() string {
		t.Helper()
		at := time.Now().Add(-30 * time.Second)
		if next := used.Add(30 * time.Second); at.Before(next) {
			at = next
		}
		used = at
		return must(totp.GenerateCode(secret, at))(t)
	}
}

func TestLoginNeedsTheSecondFactor(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	other := a.login(t)
	s.call(t, a, "POST", "/api/v1/me/totp", object{"currentPassword": "not the password"}).refused(t, 401, "invalid_credentials")
	var created struct{ Secret, URI, QRCode string }
	s.call(t, a, "POST", "/api/v1/me/totp", object{"currentPassword": password}).want(t, 201, &created)
	if !strings.HasPrefix(created.URI, "otpauth://totp/") || created.QRCode == "" {
		t.Errorf("got %+v", created)
	}
	a.login(t) // The second factor is not enabled yet.
	code := totpCodes(t, created.Secret)
	var enabled struct{ RecoveryCodes []string }
	first := code()
	s.call(t, a, "POST", "/api/v1/me/totp/verify", object{"code": first}).want(t, 200, &enabled)
	s.refresh(t, other.RefreshToken).refused(t, 401, "invalid_credentials")

	login := func(fields object) *answer {
		fields["email"], fields["password"] = a.email, password
		return s.call(t, nil, "POST", "/api/login", fields)
	}
	if res := login(object{}); strings.Contains(string(res.body), "pyapi_") {
		t.Errorf("a login without a code has the answer %s", res.body)
	}
	login(object{}).refused(t, 401, "second_factor_required")
	login(object{"code": first}).refused(t, 401, "invalid_second_factor")
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": "not the password", "code": "123456"}).refused(t, 401, "invalid_credentials")
	login(object{"code": code()}).want(t, 200, nil)
	var g authResponse
	login(object{"code": enabled.RecoveryCodes[0]}).want(t, 200, &g)
	if g.APIKey != a.APIKey {
		t.Error("the login does not return the API key")
	}
	login(object{"code": enabled.RecoveryCodes[0]}).refused(t, 401, "invalid_second_factor")
	var state struct {
		Enabled           bool
		RecoveryCodesLeft int
	}
	s.call(t, a, "GET", "/api/v1/me/totp", nil).want(t, 200, &state)
	if !state.Enabled || state.RecoveryCodesLeft != 9 {
		t.Errorf("got %+v", state)
	}

	out, err := runBinary(t, "users", "remove-totp", a.email, "--data-dir="+s.data)
	if err != nil || !strings.Contains(out, "Removed the second factor of "+a.email) {
		t.Errorf("%v: %s", err, out)
	}
	login(object{}).want(t, 200, nil)
	s.call(t, a, "DELETE", "/api/v1/me/totp", object{"currentPassword": password, "code": code()}).refused(t, 404, "not_found")
	a.wantAudit(t, "user.totp_created", "user.totp_enabled", "user.totp_disabled")
	for _, secret := range append(slices.Clone(enabled.RecoveryCodes), created.Secret) {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log contains a secret")
		}
	}
}

// wantAudit checks the audit log of the account. It must contain a successful entry for
// each of the given actions.
func (a *account) wantAudit(t *testing.T, actions ...string) {
	t.Helper()
	for _, action := range actions {
		if len(a.auditLog(t, "outcome=success&action="+action)) == 0 {
			t.Errorf("the audit log has no entry %s", action)
		}
	}
}
