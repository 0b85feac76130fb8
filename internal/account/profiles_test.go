package account_test

import (
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

func (s *service) profiles() *account.Profiles {
	log := &steps{store: s.store}
	return account.NewProfiles(s.Service, newRemover(s.store, log))
}

func TestChangeEmail(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	s.register(t, "bob@example.org")
	x := s.profiles()
	for name, c := range map[string]struct {
		email, password string
		code            pyth.Code
	}{
		"wrong password":           {"new@example.org", "wrong password", pyth.CodeInvalidCredentials},
		"wrong password and taken": {"bob@example.org", "wrong password", pyth.CodeInvalidCredentials},
		"taken":                    {"Bob@EXAMPLE.org", password, pyth.CodeEmailTaken},
		"malformed":                {"bob", password, pyth.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := x.ChangeEmail(t.Context(), p, c.email, c.password)
			want(t, err, c.code)
		})
	}
	s.login(t, email, password)
	u, err := x.ChangeEmail(t.Context(), p, " New@EXAMPLE.org", password)
	want(t, err, "")
	if u.Email != "New@example.org" {
		t.Errorf("got %q", u.Email)
	}
	s.login(t, "new@example.org", password)
	_, err = s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeInvalidCredentials)
}

func TestDeleteAccountNeedsThePassword(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	p := s.principal(t, g)
	want(t, s.profiles().DeleteAccount(t.Context(), p, "wrong password"), pyth.CodeInvalidCredentials)
	if !s.accepts(t, pyth.Credentials{APIKey: g.APIKey}) {
		t.Fatal("a wrong password deleted the account")
	}
	want(t, s.profiles().DeleteAccount(t.Context(), p, password), "")
	if s.accepts(t, pyth.Credentials{APIKey: g.APIKey}) {
		t.Error("the account still exists")
	}
}

func TestLogins(t *testing.T) {
	s := newService(t)
	browser := pyth.WithOrigin(t.Context(), &pyth.Origin{IP: "192.0.2.7", UserAgent: "evil\x1b[31m " + strings.Repeat("x", 300)})
	ada := s.register(t, email)
	g, err := s.Login(browser, email, password, "")
	want(t, err, "")
	bob := s.principal(t, s.register(t, "bob@example.org"))
	p, x := s.principal(t, g), s.profiles()
	all, err := x.Logins(t.Context(), p, "", 10)
	want(t, err, "")
	if len(all) != 2 {
		t.Fatalf("got %d logins", len(all))
	}
	mine := all[0]
	if mine.ID != p.FamilyID {
		mine = all[1]
	}
	if mine.ID != p.FamilyID || mine.Client.IP != "192.0.2.7" || len(mine.Client.UserAgent) > 256 || strings.Contains(mine.Client.UserAgent, "\x1b") ||
		mine.CreatedAt.IsZero() || !mine.LastUsedAt.Equal(s.clock.Now()) {
		t.Errorf("got %+v", mine)
	}
	s.clock.move(time.Hour / 2)
	next, err := s.Refresh(t.Context(), g.RefreshToken, pyth.Client{})
	want(t, err, "")
	want(t, x.DeleteLogin(t.Context(), bob, p.FamilyID), pyth.CodeNotFound)
	want(t, x.DeleteLogin(t.Context(), p, "absent"), pyth.CodeNotFound)
	want(t, x.DeleteLogin(t.Context(), p, p.FamilyID), "")
	want(t, x.DeleteLogin(t.Context(), p, p.FamilyID), pyth.CodeNotFound)
	_, err = s.Refresh(t.Context(), next.RefreshToken, pyth.Client{})
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = s.Refresh(t.Context(), ada.RefreshToken, pyth.Client{})
	want(t, err, "")
}

func TestResetPassword(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	x := s.profiles()
	r, err := s.CreateResetToken(t.Context(), g.User.ID)
	want(t, err, "")
	_, err = x.ResetPassword(t.Context(), "pyreset_unknown", "staple of another kind")
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = x.ResetPassword(t.Context(), r.Token, "short")
	invalid(t, err, "body.newPassword", "")
	user, err := x.ResetPassword(t.Context(), r.Token, "staple of another kind")
	want(t, err, "")
	if user != g.User.ID {
		t.Errorf("got the user %q", user)
	}
	_, err = s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeInvalidCredentials)
	s.login(t, email, "staple of another kind")
	_, err = s.Refresh(t.Context(), g.RefreshToken, pyth.Client{})
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = x.ResetPassword(t.Context(), r.Token, "yet another password")
	want(t, err, pyth.CodeInvalidCredentials)

	r, err = s.CreateResetToken(t.Context(), g.User.ID)
	want(t, err, "")
	s.clock.move(r.ExpiresAt.Sub(s.clock.Now()))
	_, err = x.ResetPassword(t.Context(), r.Token, "yet another password")
	want(t, err, pyth.CodeInvalidCredentials)
}
