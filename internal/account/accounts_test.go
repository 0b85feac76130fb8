package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

func TestNewNeedsItsConfiguration(t *testing.T) {
	for name, without := range map[string]func(*account.Config){
		"store":    func(c *account.Config) { c.Store = nil },
		"vault":    func(c *account.Config) { c.Vault = nil },
		"issuer":   func(c *account.Config) { c.Issuer = "" },
		"audience": func(c *account.Config) { c.Audience = "" },
		"clock":    func(c *account.Config) { c.Clock = nil },
		"key":      func(c *account.Config) { c.JWTKey = nil },
		"long key": func(c *account.Config) { c.JWTKey = c.JWTKey[:31] },
	} {
		t.Run("without a "+name, func(t *testing.T) {
			var config account.Config
			newService(t, func(c *account.Config) { config = *c })
			without(&config)
			if _, err := account.New(config); err == nil {
				t.Error("the service was created")
			}
		})
	}
}

func TestRegisterAndLogin(t *testing.T) {
	s := newService(t)
	g := s.register(t, " Ada@Example.ORG ")
	if g.User.Email != "Ada@example.org" || !strings.HasPrefix(string(g.User.ID), "usr_") || !g.User.CreatedAt.Equal(s.clock.Now()) {
		t.Errorf("got %+v", g.User)
	}
	if want := s.clock.Now().Add(time.Hour); !g.ExpiresAt.Equal(want) {
		t.Errorf("the token expires at %v, want %v", g.ExpiresAt, want)
	}
	again := s.login(t, "ADA@EXAMPLE.org", password)
	if again.APIKey != g.APIKey || again.User.ID != g.User.ID {
		t.Errorf("login returned %+v, registration %+v", again, g)
	}
	if again.RefreshToken == g.RefreshToken || again.Token == g.Token {
		t.Error("login returned a token that registration had returned")
	}
	for name, c := range map[string]pyth.Credentials{
		"token":          {Bearer: g.Token},
		"token of later": {Bearer: again.Token},
		"key":            {APIKey: g.APIKey},
	} {
		p, err := s.Authenticate(t.Context(), c)
		if err != nil || p.User.ID != g.User.ID {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestRegisterStoresNoCredentials(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	_, key, err := s.CreateKey(t.Context(), s.principal(t, g), pyth.KeySpec{Name: "second"})
	if err != nil {
		t.Fatal(err)
	}
	stored := s.stored(t)
	if !strings.Contains(stored, email) {
		t.Fatal("the test did not read the store's files")
	}
	for name, secret := range map[string]string{
		"password": password, "first key": g.APIKey[10:], "second key": key[10:], "refresh token": g.RefreshToken[5:], "token": g.Token,
	} {
		if strings.Contains(stored, secret) {
			t.Errorf("the %s is stored in plain text", name)
		}
	}
}

func TestRegisterFollowsTheRegistrationMode(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    account.Registration
		invites []string
		invite  string
		want    pyth.Code
	}{
		{"open by default", "", nil, "", ""},
		{"open", account.RegistrationOpen, nil, "", ""},
		{"open ignores invites", account.RegistrationOpen, []string{"a"}, "b", ""},
		{"closed", account.RegistrationClosed, nil, "", pyth.CodeRegistrationClosed},
		{"closed despite an invite", account.RegistrationClosed, []string{"a"}, "a", pyth.CodeRegistrationClosed},
		{"first invite", account.RegistrationInvite, []string{"a", "b"}, "a", ""},
		{"last invite", account.RegistrationInvite, []string{"a", "b"}, "b", ""},
		{"invite twice in the list", account.RegistrationInvite, []string{"a", "a"}, "a", ""},
		{"no invite", account.RegistrationInvite, []string{"a", "b"}, "", pyth.CodeRegistrationClosed},
		{"part of an invite", account.RegistrationInvite, []string{"ab"}, "a", pyth.CodeRegistrationClosed},
		{"two invites at once", account.RegistrationInvite, []string{"a", "b"}, "ab", pyth.CodeRegistrationClosed},
		{"empty list of invites", account.RegistrationInvite, nil, "", pyth.CodeRegistrationClosed},
		{"unknown mode", "sometimes", nil, "", pyth.CodeRegistrationClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, func(config *account.Config) { config.Registration, config.Invites = c.mode, c.invites })
			_, err := s.Register(t.Context(), email, password, c.invite)
			want(t, err, c.want)
			_, err = s.store.UserByEmail(t.Context(), email)
			if c.want == "" {
				want(t, err, "")
			} else {
				want(t, err, pyth.CodeNotFound)
			}
		})
	}
}

func TestSetPolicyChangesRegistrationAndLifetimes(t *testing.T) {
	s := newService(t, func(config *account.Config) { config.Registration = account.RegistrationClosed })
	_, err := s.Register(t.Context(), email, password, "")
	want(t, err, pyth.CodeRegistrationClosed)
	s.SetPolicy(account.Policy{Registration: account.RegistrationInvite, Invites: []string{"a"}, TokenTTL: time.Minute})
	_, err = s.Register(t.Context(), email, password, "b")
	want(t, err, pyth.CodeRegistrationClosed)
	short, err := s.Register(t.Context(), email, password, "a")
	want(t, err, "")
	s.SetPolicy(account.Policy{})
	long, err := s.Register(t.Context(), "bob@example.org", password, "")
	want(t, err, "")
	if got := long.ExpiresAt.Sub(short.ExpiresAt); got != 59*time.Minute {
		t.Errorf("the lifetimes differ by %v", got)
	}
}

func TestRegisterAllowsOneAccountPerEmail(t *testing.T) {
	s := newService(t)
	s.register(t, "Ada.Ünal@example.org")
	for _, same := range []string{"Ada.Ünal@example.org", "ada.ünal@example.org", "ADA.ÜNAL@EXAMPLE.ORG", "\tada.ünal@example.org\n"} {
		_, err := s.Register(t.Context(), same, "another good password", "")
		want(t, err, pyth.CodeEmailTaken)
	}
	got := race(8, func(int) error {
		_, err := s.Register(context.Background(), "bob@example.org", password, "")
		return err
	})
	if diff := cmp.Diff(map[pyth.Code]int{"": 1, pyth.CodeEmailTaken: 7}, got); diff != "" {
		t.Errorf("eight concurrent registrations: %s", diff)
	}
}

func TestRegisterRefusesCommonPasswords(t *testing.T) {
	for _, c := range []struct {
		name, password string
		good           bool
	}{
		{"minimum length", "aé漢🙂x-#z", true},
		{"one character too few", "aé漢🙂x-#", false},
		{"maximum length", strings.Repeat("é", 128), true},
		{"one character too many", strings.Repeat("é", 129), false},
		{"too short after normalization", "e\u0301e\u0301e\u0301e\u0301", false},
		{"short enough after normalization", strings.Repeat("e\u0301", 128), true},
		{"surrounding spaces", "  a b c  ", true},
		{"control characters", "a\x00b\x01\n\tc\x7f", true},
		{"invalid UTF-8", "abcdefgh\xff", false},
		{"one of the most common", "password123", false},
		{"one of the most common in capitals", "PASSWORD123", false},
		{"another", "iloveyou", false},
		{"keyboard row", "qwertyuiop", false},
		{"digits in order", "12345678", false},
		{"one of the most common and more", "password123 and more", true},
		{"e-mail address", "grace@example.org", false},
		{"the e-mail in capitals", "GRACE@example.ORG", false},
		{"nothing", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			_, err := s.Register(t.Context(), "grace@example.org", c.password, "")
			if c.good {
				want(t, err, "")
				return
			}
			invalid(t, err, "body.password", c.password)
		})
	}
}

func TestLoginNormalizesThePassword(t *testing.T) {
	s := newService(t)
	composed, decomposed := "caf\u00e9 au lait", "cafe\u0301 au lait"
	if _, err := s.Register(t.Context(), email, decomposed, ""); err != nil {
		t.Fatal(err)
	}
	s.login(t, email, composed)
	s.login(t, email, decomposed)
	for _, other := range []string{"cafe au lait", "Caf\u00e9 au lait", composed + " ", ""} {
		_, err := s.Login(t.Context(), email, other, "")
		want(t, err, pyth.CodeInvalidCredentials)
	}
}

func TestLoginAnswersAllFailuresEqually(t *testing.T) {
	s := newService(t)
	s.register(t, email)
	answers := map[string]bool{}
	for _, who := range []string{email, "nobody@example.org", "nobody", ""} {
		_, err := s.Login(t.Context(), who, "not the password", "")
		want(t, err, pyth.CodeInvalidCredentials)
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}

// phc returns a password hash in PHC format, with parameters that the server no
// longer uses.
func phc(salt, hash string) string {
	return "$argon2id$v=19$m=64,t=1,p=2$" + salt + "$" + hash
}

func TestLoginRehashesStaleHashes(t *testing.T) {
	const current = "$argon2id$v=19$m=19456,t=2,p=1$"
	s := newService(t)
	g := s.register(t, email)
	made := s.hashOf(t, g)
	if !strings.HasPrefix(made, current) {
		t.Fatalf("the new hash is %s", made)
	}
	old := phc(b64([]byte("salt of old")), b64(argon2.IDKey([]byte(password), []byte("salt of old"), 1, 64, 2, 32)))
	if err := s.store.SetPasswordHash(t.Context(), g.User.ID, made, old); err != nil {
		t.Fatal(err)
	}
	_, err := s.Login(t.Context(), email, "not the password", "")
	want(t, err, pyth.CodeInvalidCredentials)
	if got := s.hashOf(t, g); got != old {
		t.Errorf("a wrong password changed the hash to %s", got)
	}
	s.login(t, email, password)
	renewed := s.hashOf(t, g)
	if !strings.HasPrefix(renewed, current) || renewed == made {
		t.Errorf("the hash after login is %s, want a new one with the current parameters", renewed)
	}
	s.login(t, email, password)
	if got := s.hashOf(t, g); got != renewed {
		t.Error("an up-to-date hash was computed again")
	}
	// The new hash does not end earlier logins, so the refresh token is still valid.
	if _, err := s.Refresh(t.Context(), g.RefreshToken, pyth.Client{}); err != nil {
		t.Error(err)
	}
}

func (s *service) hashOf(t testing.TB, g *pyth.Grant) string {
	t.Helper()
	u, err := s.store.User(t.Context(), g.User.ID)
	if err != nil {
		t.Fatal(err)
	}
	return u.PasswordHash
}

func TestLoginReportsUnreadableHashesAsInternal(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	if err := s.store.SetPasswordHash(t.Context(), g.User.ID, s.hashOf(t, g), "$2a$broken"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeInternal)
	if strings.Contains(err.Error(), "broken") {
		t.Errorf("the error contains the hash: %v", err)
	}
}

func TestChangePasswordEndsAllLogins(t *testing.T) {
	const replacement = "staple of another kind"
	s := newService(t)
	first := s.register(t, email)
	second := s.login(t, email, password)
	other := s.register(t, "bob@example.org")
	p := s.principal(t, first)

	want(t, s.ChangePassword(t.Context(), p, "not the password", replacement), pyth.CodeInvalidCredentials)
	for _, bad := range []string{"short", "password123", email} {
		invalid(t, s.ChangePassword(t.Context(), p, password, bad), "body.newPassword", bad)
	}
	second = s.refresh(t, second.RefreshToken) // No token is revoked yet.

	want(t, s.ChangePassword(t.Context(), p, password, replacement), "")
	for _, g := range []*pyth.Grant{first, second} {
		_, err := s.Refresh(t.Context(), g.RefreshToken, pyth.Client{})
		want(t, err, pyth.CodeInvalidCredentials)
	}
	_, err := s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeInvalidCredentials)
	s.login(t, email, replacement)
	s.refresh(t, other.RefreshToken)
	// A new password does not revoke API keys. Access tokens stay valid until they
	// expire, as docs/security.md says.
	if !s.accepts(t, pyth.Credentials{Bearer: first.Token, APIKey: first.APIKey}) {
		t.Error("the token or key is no longer valid")
	}
	// The principal p was authenticated with the old password, so p cannot change the
	// password.
	want(t, s.ChangePassword(t.Context(), p, password, "yet another password"), pyth.CodeConflict)
}

func TestChangePasswordLetsOneOfTwoSucceed(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	got := race(2, func(i int) error {
		return s.ChangePassword(context.Background(), p, password, strings.Repeat("new", 3+i))
	})
	if diff := cmp.Diff(map[pyth.Code]int{"": 1, pyth.CodeConflict: 1}, got); diff != "" {
		t.Error(diff)
	}
}
