package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

func TestDisabledAccountIsRefused(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	jwt := s.login(t, email, password)
	if _, err := s.store.UpdateUser(t.Context(), g.User.ID, pyth.UserChange{Disabled: new(true)}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]pyth.Credentials{
		"key": {APIKey: g.APIKey}, "key as bearer": {Bearer: g.APIKey}, "token": {Bearer: jwt.Token}, "both": {APIKey: g.APIKey, Bearer: jwt.Token},
	} {
		if _, err := s.Authenticate(t.Context(), c); pyth.ErrorCode(err) != pyth.CodeAccountDisabled {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeAccountDisabled)
	// A wrong password must not reveal that the account is disabled.
	_, err = s.Login(t.Context(), email, "another good password", "")
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = s.Refresh(t.Context(), jwt.RefreshToken, pyth.Client{})
	want(t, err, pyth.CodeInvalidCredentials)
	if _, err := s.store.UpdateUser(t.Context(), g.User.ID, pyth.UserChange{Disabled: new(false)}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if !s.accepts(t, pyth.Credentials{APIKey: g.APIKey}) {
		t.Error("the key of an enabled account is refused")
	}
	s.login(t, email, password)
}

func TestInviteRegistersOnce(t *testing.T) {
	for _, mode := range []account.Registration{account.RegistrationInvite, account.RegistrationOpen, account.RegistrationClosed} {
		t.Run(string(mode), func(t *testing.T) {
			s := newService(t, func(c *account.Config) { c.Registration = mode })
			i, code, err := s.CreateInvite(t.Context(), "usr_admin", "", 0)
			if err != nil {
				t.Fatal(err)
			}
			if !i.ExpiresAt.Equal(s.clock.Now().Add(7 * 24 * time.Hour)) {
				t.Errorf("the invite expires at %v", i.ExpiresAt)
			}
			if strings.Contains(s.stored(t), code[6:]) {
				t.Error("the code is stored in plain text")
			}
			first, second := pyth.Code(""), pyth.CodeRegistrationClosed
			switch mode {
			case account.RegistrationOpen:
				second = "" // Open registration needs no invite.
			case account.RegistrationClosed:
				first = pyth.CodeRegistrationClosed
			}
			_, err = s.Register(t.Context(), email, password, code)
			want(t, err, first)
			_, err = s.Register(t.Context(), "bob@example.org", password, code)
			want(t, err, second)
		})
	}
}

func TestInviteIsChecked(t *testing.T) {
	s := newService(t, func(c *account.Config) { c.Registration = account.RegistrationInvite })
	_, code, err := s.CreateInvite(t.Context(), "", "Ada@Example.org", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Register(t.Context(), "bob@example.org", password, code)
	want(t, err, pyth.CodeRegistrationClosed)
	_, err = s.Register(t.Context(), email, "short", code)
	want(t, err, pyth.CodeInvalid) // The failed registration keeps the invite.
	s.clock.move(time.Hour)
	_, err = s.Register(t.Context(), email, password, code)
	want(t, err, pyth.CodeRegistrationClosed)
	s.clock.move(-time.Minute)
	if _, err = s.Register(t.Context(), email, password, code); err != nil {
		t.Error(err)
	}
	for _, lifetime := range []time.Duration{-time.Hour, time.Second, 366 * 24 * time.Hour} {
		_, _, err := s.CreateInvite(t.Context(), "", "", lifetime)
		invalid(t, err, "body.expiresInMs", "")
	}
	_, _, err = s.CreateInvite(t.Context(), "", "no address", time.Hour)
	want(t, err, pyth.CodeInvalid)
}

func TestSetupCodeCreatesTheFirstAdministrator(t *testing.T) {
	s := newService(t, func(c *account.Config) { c.Registration = account.RegistrationClosed })
	old, err := s.CreateSetupCode(t.Context())
	if err != nil || old == "" {
		t.Fatalf("%q, %v", old, err)
	}
	code, err := s.CreateSetupCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Register(t.Context(), email, password, old)
	want(t, err, pyth.CodeRegistrationClosed)
	got := race(4, func(i int) error {
		_, err := s.Register(context.Background(), string(rune('a'+i))+email, password, code)
		return err
	})
	if got[""] != 1 || got[pyth.CodeRegistrationClosed] != 3 {
		t.Errorf("four concurrent uses: %v", got)
	}
	if n, err := s.store.CountUsers(t.Context()); err != nil || n.ActiveAdmins != 1 || n.Users != 1 {
		t.Errorf("counted %+v, %v", n, err)
	}
	if code, err := s.CreateSetupCode(t.Context()); err != nil || code != "" {
		t.Errorf("a server with an administrator has the code %q, %v", code, err)
	}
}

func TestCreateUserWithoutPassword(t *testing.T) {
	s := newService(t, func(c *account.Config) { c.Registration = account.RegistrationClosed })
	u, key, err := s.CreateUser(t.Context(), pyth.NewUser{Email: email, Role: pyth.RoleAdmin})
	if err != nil || !u.ActiveAdmin() || !s.accepts(t, pyth.Credentials{APIKey: key}) {
		t.Fatalf("%+v, %v", u, err)
	}
	_, err = s.Login(t.Context(), email, "", "")
	want(t, err, pyth.CodeInvalidCredentials)
	r, err := s.CreateResetToken(t.Context(), u.ID)
	if err != nil || !r.ExpiresAt.Equal(s.clock.Now().Add(24*time.Hour)) {
		t.Errorf("%+v, %v", r, err)
	}
	if strings.Contains(s.stored(t), r.Token[8:]) {
		t.Error("the reset token is stored in plain text")
	}
	_, err = s.CreateResetToken(t.Context(), "usr_nobody")
	want(t, err, pyth.CodeNotFound)
}
