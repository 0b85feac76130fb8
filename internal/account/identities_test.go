package account_test

import (
	"context"
	"crypto/sha256"
	"net/url"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

// provider is a fake account.Provider. Each sign-in returns the field "person".
type provider struct {
	person                 pyth.ProviderUser
	state, nonce, verifier string
	err                    error
}

func (p *provider) AuthURL(_ context.Context, state, nonce, verifier string) (string, error) {
	p.state, p.nonce, p.verifier = state, nonce, verifier
	return "https://accounts.example.org/?" + url.Values{"state": {state}}.Encode(), p.err
}

func (p *provider) Exchange(_ context.Context, code, verifier, nonce string) (*pyth.ProviderUser, error) {
	if code != "code" || verifier != p.verifier || nonce != p.nonce {
		return nil, pyth.Errorf(pyth.CodeInvalidCredentials, "wrong")
	}
	person := p.person
	return &person, p.err
}

const (
	issuer   = "https://accounts.example.org"
	verifier = "the verifier of the client"
)

func (s *service) identities(t *testing.T, change ...func(*account.IdentitiesConfig)) (*account.Identities, *provider) {
	t.Helper()
	p := &provider{person: pyth.ProviderUser{Issuer: issuer, Subject: "1", Email: email, EmailVerified: true}}
	c := account.IdentitiesConfig{Accounts: s.Service, Provider: p, CreateAccounts: true}
	for _, f := range change {
		f(&c)
	}
	x, err := account.NewIdentities(t.Context(), c)
	want(t, err, "")
	return x, p
}

// signIn signs in the person whom the fake provider returns. It returns the code for
// LogInWith.
func signIn(t *testing.T, x *account.Identities, p *provider) string {
	t.Helper()
	start, err := x.Begin(t.Context(), sha256.Sum256([]byte(verifier)), "/page")
	want(t, err, "")
	r, err := x.Complete(t.Context(), pyth.SignInCallback{Cookie: start.State, State: p.state, Code: "code"})
	want(t, err, "")
	if r.ReturnTo != "/page" || r.Code == "" {
		t.Errorf("got %+v", r)
	}
	return r.Code
}

func TestFirstSignInCreatesAnAccount(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	code := signIn(t, x, p)
	_, err := x.LogInWith(t.Context(), code, "another verifier", "")
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = x.LogInWith(t.Context(), "pysignin_unknown", verifier, "")
	want(t, err, pyth.CodeInvalidCredentials)
	first, err := x.LogInWith(t.Context(), code, verifier, "")
	want(t, err, "")
	if first.User.Email != email || first.APIKey == "" || first.RefreshToken == "" || !first.Registered {
		t.Errorf("got %+v", first)
	}
	_, err = x.LogInWith(t.Context(), code, verifier, "")
	want(t, err, pyth.CodeInvalidCredentials)
	// The person's address at the provider changes to the address of another account.
	// The person must still get the first account.
	s.register(t, "bob@example.org")
	p.person.Email = "bob@example.org"
	again, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	if again.User.ID != first.User.ID || again.User.Email != email || again.Registered || again.APIKey != first.APIKey {
		t.Errorf("got %+v", again)
	}
	// A new person with the address of an existing account must get no access to this
	// account.
	p.person = pyth.ProviderUser{Issuer: issuer, Subject: "2", Email: email, EmailVerified: true}
	_, err = x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, pyth.CodeIdentityNotLinked)
	// The same subject at a different provider is a different person.
	p.person = pyth.ProviderUser{Issuer: "https://other.example.org", Subject: "1", Email: "eve@example.org", EmailVerified: true}
	other, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	if other.User.ID == first.User.ID {
		t.Error("another provider gave access to the account")
	}
}

func TestSignInChecksTheAddress(t *testing.T) {
	for name, c := range map[string]struct {
		person  pyth.ProviderUser
		domains []string
		create  bool
		code    pyth.Code
	}{
		"not verified":         {pyth.ProviderUser{Email: email}, nil, true, pyth.CodeForbidden},
		"no address":           {pyth.ProviderUser{EmailVerified: true}, nil, true, pyth.CodeForbidden},
		"malformed":            {pyth.ProviderUser{Email: "ada", EmailVerified: true}, nil, true, pyth.CodeForbidden},
		"no account":           {pyth.ProviderUser{Email: email, EmailVerified: true}, nil, false, pyth.CodeRegistrationClosed},
		"another domain":       {pyth.ProviderUser{Email: "ada@evil.example.com", EmailVerified: true}, []string{"example.com"}, true, pyth.CodeForbidden},
		"not verified, domain": {pyth.ProviderUser{Email: email}, []string{"example.org"}, true, pyth.CodeForbidden},
		"an allowed domain":    {pyth.ProviderUser{Email: "Ada@EXAMPLE.org", EmailVerified: true}, []string{"other.org", "Example.ORG"}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			x, p := s.identities(t, func(config *account.IdentitiesConfig) {
				config.AllowedDomains, config.CreateAccounts = c.domains, c.create
			})
			c.person.Issuer, c.person.Subject = issuer, "1"
			p.person = c.person
			_, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
			want(t, err, c.code)
		})
	}
}

func TestSignInStateBelongsToOneBrowser(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	challenge := sha256.Sum256([]byte(verifier))
	other, err := x.Begin(t.Context(), challenge, "/other")
	want(t, err, "")
	start, err := x.Begin(t.Context(), challenge, "/page")
	want(t, err, "")
	for name, c := range map[string]pyth.SignInCallback{
		"no cookie":              {State: p.state, Code: "code"},
		"no state":               {Cookie: start.State, Code: "code"},
		"another state":          {Cookie: start.State, State: p.state + "x", Code: "code"},
		"cookie of another":      {Cookie: other.State, State: p.state, Code: "code"},
		"a changed cookie":       {Cookie: start.State[:20] + "A" + start.State[21:] + "A", State: p.state, Code: "code"},
		"a cookie that is short": {Cookie: "AAAA", State: p.state, Code: "code"},
	} {
		r, err := x.Complete(t.Context(), c)
		if pyth.ErrorCode(err) != pyth.CodeInvalidCredentials || r != (pyth.SignInResult{}) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	r, err := x.Complete(t.Context(), pyth.SignInCallback{Cookie: start.State, State: p.state, Error: "access_denied"})
	if pyth.ErrorCode(err) != pyth.CodeForbidden || r != (pyth.SignInResult{ReturnTo: "/page"}) {
		t.Errorf("a refused sign-in: got %+v, %v", r, err)
	}
	r, err = x.Complete(t.Context(), pyth.SignInCallback{Cookie: start.State, State: p.state, Code: "wrong"})
	if pyth.ErrorCode(err) != pyth.CodeInvalidCredentials || r != (pyth.SignInResult{ReturnTo: "/page"}) {
		t.Errorf("a wrong code: got %+v, %v", r, err)
	}
	s.clock.move(10 * time.Minute)
	_, err = x.Complete(t.Context(), pyth.SignInCallback{Cookie: start.State, State: p.state, Code: "code"})
	want(t, err, pyth.CodeInvalidCredentials)
}

func TestSignInExpires(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	code := signIn(t, x, p)
	s.clock.move(5 * time.Minute)
	_, err := x.LogInWith(t.Context(), code, verifier, "")
	want(t, err, pyth.CodeInvalidCredentials)
	s.clock.move(time.Second)
	want(t, s.PurgeExpired(t.Context()), "")
}

func TestConcurrentSignInsWorkOnce(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	_, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	code := signIn(t, x, p)
	codes := race(8, func(int) error {
		_, err := x.LogInWith(context.Background(), code, verifier, "")
		return err
	})
	if codes[""] != 1 || codes[pyth.CodeInvalidCredentials] != 7 {
		t.Errorf("got %v", codes)
	}
}

func TestLinkNeedsThePassword(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	g := s.register(t, email)
	me := s.principal(t, g)
	code := signIn(t, x, p)
	_, err := x.LogInWith(t.Context(), code, verifier, "")
	want(t, err, pyth.CodeIdentityNotLinked)
	_, err = x.Link(t.Context(), me, "wrong password", code, verifier)
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = x.Link(t.Context(), me, password, code, "another verifier")
	want(t, err, pyth.CodeInvalidCredentials)
	i, err := x.Link(t.Context(), me, password, code, verifier)
	want(t, err, "")
	_, err = x.Link(t.Context(), me, password, code, verifier)
	want(t, err, pyth.CodeInvalidCredentials)
	again, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	if again.User.ID != g.User.ID || again.Registered {
		t.Errorf("got %+v", again)
	}
	all, err := x.Identities(t.Context(), me)
	want(t, err, "")
	if len(all) != 1 || all[0].ID != i.ID || all[0].Subject != "1" || all[0].LastUsedAt.IsZero() {
		t.Errorf("got %+v", all)
	}
	// The identity of the person is already linked with an account, so no other account
	// can have the same identity.
	bob := s.principal(t, s.register(t, "bob@example.org"))
	_, err = x.Link(t.Context(), bob, password, signIn(t, x, p), verifier)
	want(t, err, pyth.CodeConflict)
	want(t, x.Unlink(t.Context(), bob, i.ID), pyth.CodeNotFound)
	want(t, s.Logout(t.Context(), me, ""), "")
	want(t, x.Unlink(t.Context(), me, i.ID), pyth.CodeUnauthenticated)
	_, err = x.Link(t.Context(), me, password, code, verifier)
	want(t, err, pyth.CodeUnauthenticated)
	me = s.principal(t, s.login(t, email, password))
	want(t, x.Unlink(t.Context(), me, i.ID), "")
	_, err = x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, pyth.CodeIdentityNotLinked)
}

func TestSignInNeedsTheSecondFactor(t *testing.T) {
	a := newService(t).secure(t)
	x, p := a.identities(t)
	_, err := x.Link(t.Context(), a.principal(t, a.g), password, signIn(t, x, p), verifier)
	want(t, err, "")
	code := signIn(t, x, p)
	_, err = x.LogInWith(t.Context(), code, verifier, "")
	want(t, err, pyth.CodeSecondFactorRequired)
	_, err = x.LogInWith(t.Context(), code, verifier, wrong(a.code(t)))
	want(t, err, pyth.CodeInvalidSecondFactor)
	g, err := x.LogInWith(t.Context(), code, verifier, a.code(t))
	want(t, err, "")
	if g.SecondFactor != pyth.SecondFactorTOTP {
		t.Errorf("got %+v", g)
	}
}

func TestSignInRefusesDisabledAccounts(t *testing.T) {
	s := newService(t)
	x, p := s.identities(t)
	g, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	if _, err := s.store.UpdateUser(t.Context(), g.User.ID, pyth.UserChange{Disabled: new(true)}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, pyth.CodeAccountDisabled)
}

func TestNewIdentitiesChecksDomains(t *testing.T) {
	s := newService(t)
	if _, err := account.NewIdentities(t.Context(), account.IdentitiesConfig{Accounts: s.Service, AllowedDomains: []string{"exa mple.org"}}); err == nil {
		t.Error("a malformed domain was accepted")
	}
}
