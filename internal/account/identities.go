package account

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	signInStart = "pysignin_"
	// stateLifetime is the maximum duration of a sign-in at the provider.
	stateLifetime = 10 * time.Minute
	// signInLifetime is the maximum time until a client exchanges the code of a sign-in for
	// tokens. Within this time, the user must also type a code of the second factor.
	signInLifetime = 5 * time.Minute
	maxIdentities  = 10
	stateKeyBytes  = 32
)

// Provider is a client of an OIDC provider. oidc.Provider implements it.
type Provider interface {
	AuthURL(ctx context.Context, state, nonce, verifier string) (string, error)
	Exchange(ctx context.Context, code, verifier, nonce string) (*pyth.ProviderUser, error)
}

// IdentitiesConfig configures Identities. Accounts and Provider are required.
type IdentitiesConfig struct {
	Accounts *Service
	Provider Provider
	// AllowedDomains contains the domains of the e-mail addresses that may log in. If it
	// is empty, all domains may log in.
	AllowedDomains []string
	// CreateAccounts is true if the first login of a person creates an account.
	CreateAccounts bool
}

// Identities lets users log in with an OIDC provider. It implements
// pyth.IdentityService, and is safe for concurrent use.
type Identities struct {
	config IdentitiesConfig
	states cipher.AEAD
}

var _ pyth.IdentityService = (*Identities)(nil)

// NewIdentities returns the service. It reads or creates the key that encrypts the
// state of sign-ins.
func NewIdentities(ctx context.Context, c IdentitiesConfig) (*Identities, error) {
	domains := make([]string, len(c.AllowedDomains))
	for i, d := range c.AllowedDomains {
		email, err := normalizeEmail("user@" + d)
		if err != nil {
			return nil, fmt.Errorf("account: the allowed domain %q is not a domain", d)
		}
		_, domains[i], _ = strings.Cut(email, "@")
	}
	c.AllowedDomains = domains
	key, err := c.Accounts.config.Vault.ServerKey(ctx, "oidc", stateKeyBytes)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	states, err := cipher.NewGCMWithRandomNonce(block)
	return &Identities{c, states}, err
}

// signInState is the state of a sign-in while the browser is at the provider. The
// browser stores the state in an encrypted cookie, so that every server can complete
// the sign-in.
type signInState struct {
	State, Nonce, Verifier string
	Challenge              [32]byte
	ReturnTo               string
	ExpiresAt              time.Time
}

// stateLabel is the associated data for the encryption of signInState. If the server
// encrypts other values with the same key, these values have other labels. So an attacker
// cannot use such a value as a state.
var stateLabel = []byte("pyth-on/oidc-state/1")

// Begin starts a sign-in at the provider.
func (x *Identities) Begin(ctx context.Context, challenge [32]byte, returnTo string) (*pyth.SignInStart, error) {
	s := signInState{
		State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Challenge: challenge, ReturnTo: returnTo,
		ExpiresAt: x.config.Accounts.now().Add(stateLifetime),
	}
	target, err := x.config.Provider.AuthURL(ctx, s.State, s.Nonce, s.Verifier)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return &pyth.SignInStart{URL: target, State: base64.RawURLEncoding.EncodeToString(x.states.Seal(nil, nil, plain, stateLabel))}, nil
}

// openState decrypts the state in the value of the cookie.
func (x *Identities) openState(cookie string) (*signInState, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return nil, invalidState()
	}
	plain, err := x.states.Open(nil, nil, sealed, stateLabel)
	if err != nil {
		return nil, invalidState()
	}
	s := new(signInState)
	if err := json.Unmarshal(plain, s); err != nil || !x.config.Accounts.now().Before(s.ExpiresAt) {
		return nil, invalidState()
	}
	return s, nil
}

func invalidState() error {
	return pyth.Errorf(pyth.CodeInvalidCredentials, "The sign-in has expired, or another browser began it. Sign in again.")
}

// Complete ends a sign-in at the provider, and stores its result.
func (x *Identities) Complete(ctx context.Context, c pyth.SignInCallback) (pyth.SignInResult, error) {
	state, err := x.openState(c.Cookie)
	if err == nil && subtle.ConstantTimeCompare([]byte(state.State), []byte(c.State)) != 1 {
		err = invalidState()
	}
	if err != nil {
		return pyth.SignInResult{}, err
	}
	result := pyth.SignInResult{ReturnTo: state.ReturnTo}
	if c.Error != "" || c.Code == "" {
		return result, pyth.Errorf(pyth.CodeForbidden, "The provider refused the sign-in.")
	}
	user, err := x.config.Provider.Exchange(ctx, c.Code, state.Verifier, state.Nonce)
	if err != nil {
		return result, err
	}
	code := signInStart + rand.Text() + rand.Text() // 260 bits
	now := x.config.Accounts.now()
	err = x.config.Accounts.config.Store.CreateSignIn(ctx, &pyth.SignIn{
		Hash: hashOf(code), Challenge: state.Challenge, ProviderUser: *user, CreatedAt: now, ExpiresAt: now.Add(signInLifetime),
	})
	if err == nil {
		result.Code = code
	}
	return result, err
}

// signIn returns the stored sign-in that has the given code. It returns an error unless
// the verifier proves that the same client began the sign-in.
func (x *Identities) signIn(ctx context.Context, code, verifier string) (*pyth.SignIn, error) {
	in, err := x.config.Accounts.config.Store.SignIn(ctx, hashOf(code))
	if absent(err) {
		return nil, invalidSignIn()
	}
	if err != nil {
		return nil, err
	}
	challenge := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare(challenge[:], in.Challenge[:]) != 1 || !x.config.Accounts.now().Before(in.ExpiresAt) {
		return nil, invalidSignIn()
	}
	return in, nil
}

func invalidSignIn() error {
	return pyth.Errorf(pyth.CodeInvalidCredentials, "The code of the sign-in is unknown, used or expired, or the verifier is wrong. Sign in again.")
}

// use deletes the sign-in, so that the code of the sign-in works only once. If several
// calls run at the same time, only one call succeeds.
func (x *Identities) use(ctx context.Context, in *pyth.SignIn) error {
	err := x.config.Accounts.config.Store.DeleteSignIn(ctx, in.Hash)
	if absent(err) {
		err = invalidSignIn()
	}
	return err
}

// LogInWith returns a grant for the account of the person who signed in at the
// provider.
func (x *Identities) LogInWith(ctx context.Context, code, verifier, secondFactor string) (*pyth.Grant, error) {
	s := x.config.Accounts
	in, err := x.signIn(ctx, code, verifier)
	if err != nil {
		return nil, err
	}
	if err := x.checkDomain(in); err != nil {
		return nil, err
	}
	identity, err := s.config.Store.Identity(ctx, in.Issuer, in.Subject)
	if absent(err) {
		return x.register(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	user, err := s.config.Store.User(ctx, identity.UserID)
	if absent(err) {
		return nil, invalidSignIn()
	}
	if err != nil {
		return nil, err
	}
	if err := checkEnabled(user); err != nil {
		return nil, err
	}
	method, err := s.checkCode(ctx, user, secondFactor)
	if err != nil {
		return nil, err
	}
	confirmed, err := x.confirmEmail(ctx, user, in)
	if err != nil {
		return nil, err
	}
	if err := s.checkConfirmed(user); err != nil {
		return nil, err
	}
	if err := x.use(ctx, in); err != nil {
		return nil, err
	}
	key, err := s.primaryKey(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	grant, err := s.grant(ctx, user, key)
	if err != nil {
		return nil, err
	}
	grant.SecondFactor, grant.EmailConfirmed = method, confirmed
	if err := x.confirm(ctx, user, identity, grant); err != nil {
		return nil, err
	}
	return grant, s.config.Store.SetIdentityUsed(ctx, identity.ID, s.now())
}

// confirmEmail marks the address of the account as confirmed if the provider has verified
// the same address. It reports whether it has changed the account.
func (x *Identities) confirmEmail(ctx context.Context, user *pyth.User, in *pyth.SignIn) (bool, error) {
	if user.EmailUnconfirmedAt.IsZero() {
		return false, nil
	}
	email, err := verifiedEmail(in)
	if err != nil || pyth.EmailKey(email) != pyth.EmailKey(user.Email) {
		return false, nil
	}
	if err := x.config.Accounts.config.Store.ConfirmEmail(ctx, user.ID, email); err != nil {
		return false, err
	}
	user.EmailUnconfirmedAt = time.Time{}
	return true, nil
}

// confirm reads the account again after the grant was stored. In the meantime, an
// administrator may have disabled the account, or the user may have deleted the identity
// or activated a second factor. In these cases confirm revokes the grant.
func (x *Identities) confirm(ctx context.Context, proved *pyth.User, identity *pyth.Identity, grant *pyth.Grant) error {
	s := x.config.Accounts
	user, err := s.config.Store.User(ctx, proved.ID)
	if err == nil {
		err = checkUnchanged(user, proved)
	}
	if err == nil {
		if _, err = s.config.Store.Identity(ctx, identity.Issuer, identity.Subject); absent(err) {
			err = invalidSignIn()
		}
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, s.Logout(ctx, &pyth.Principal{User: *proved}, grant.RefreshToken))
}

// checkDomain returns an error if persons with this e-mail address are not allowed to log
// in.
func (x *Identities) checkDomain(in *pyth.SignIn) error {
	if len(x.config.AllowedDomains) == 0 {
		return nil
	}
	email, err := verifiedEmail(in)
	if err != nil {
		return err
	}
	if !slices.Contains(x.config.AllowedDomains, email[strings.LastIndexByte(email, '@')+1:]) {
		return pyth.Errorf(pyth.CodeForbidden, "This server does not allow the domain of your e-mail address. Ask the operator.")
	}
	return nil
}

// verifiedEmail returns the normalized e-mail address of the person. It fails if the
// provider has not verified the address.
func verifiedEmail(in *pyth.SignIn) (string, error) {
	if in.Email == "" || !in.EmailVerified {
		return "", pyth.Errorf(pyth.CodeForbidden, "The provider has not verified your e-mail address. Verify the address at the provider, and sign in again.")
	}
	email, err := normalizeEmail(in.Email)
	if err != nil {
		return "", pyth.Errorf(pyth.CodeForbidden, "The provider reports an e-mail address that is not valid. Ask the operator.")
	}
	return email, nil
}

// register creates an account for a person who has no account. If an account with the
// same e-mail address exists, the person gets no access to it. The reason is that
// somebody else may have registered that account with the person's address.
func (x *Identities) register(ctx context.Context, in *pyth.SignIn) (*pyth.Grant, error) {
	s := x.config.Accounts
	email, err := verifiedEmail(in)
	if err != nil {
		return nil, err
	}
	_, err = s.userByEmail(ctx, email)
	if err == nil {
		return nil, pyth.Errorf(pyth.CodeIdentityNotLinked,
			"An account with your e-mail address exists, and it is not linked to this sign-in. Log in with your password, and link the sign-in to the account.")
	}
	if !absent(err) {
		return nil, err
	}
	if !x.config.CreateAccounts {
		return nil, pyth.Errorf(pyth.CodeRegistrationClosed, "You have no account on this server. Ask an administrator for an account, and link this sign-in to it.")
	}
	if err := x.use(ctx, in); err != nil {
		return nil, err
	}
	identity, err := x.newIdentity(in)
	if err != nil {
		return nil, err
	}
	identity.LastUsedAt = identity.CreatedAt
	user, key, err := s.registerWith(ctx, newAccount{NewUser: pyth.NewUser{Email: email, Password: rand.Text()}}, func(u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
		identity.UserID = u.ID
		return s.config.Store.CreateIdentifiedUser(ctx, u, key, dataKey, identity)
	})
	if err != nil {
		return nil, err
	}
	grant, err := s.grant(ctx, user, key)
	if err != nil {
		return nil, err
	}
	grant.Registered = true
	return grant, nil
}

// newIdentity returns an identity for the person. The caller must set the user of the
// identity.
func (x *Identities) newIdentity(in *pyth.SignIn) (*pyth.Identity, error) {
	id, err := newID("idn_")
	return &pyth.Identity{ID: pyth.IdentityID(id), Issuer: in.Issuer, Subject: in.Subject, Email: in.Email, CreatedAt: x.config.Accounts.now()}, err
}

// Link links the identity of the person who signed in at the provider with the account of
// the caller.
func (x *Identities) Link(ctx context.Context, p *pyth.Principal, password, code, verifier string) (*pyth.Identity, error) {
	s := x.config.Accounts
	if err := s.RequireLogin(ctx, p); err != nil {
		return nil, err
	}
	if err := s.checkPassword(ctx, p, password); err != nil {
		return nil, err
	}
	in, err := x.signIn(ctx, code, verifier)
	if err != nil {
		return nil, err
	}
	identity, err := x.newIdentity(in)
	if err != nil {
		return nil, err
	}
	if err := x.use(ctx, in); err != nil {
		return nil, err
	}
	identity.UserID = p.User.ID
	return identity, s.config.Store.CreateIdentity(ctx, identity, maxIdentities)
}

// Identities returns the identities of the caller.
func (x *Identities) Identities(ctx context.Context, p *pyth.Principal) ([]*pyth.Identity, error) {
	return x.config.Accounts.config.Store.Identities(ctx, p.User.ID)
}

// Unlink deletes an identity of the caller.
func (x *Identities) Unlink(ctx context.Context, p *pyth.Principal, id pyth.IdentityID) error {
	if err := x.config.Accounts.RequireLogin(ctx, p); err != nil {
		return err
	}
	return x.config.Accounts.config.Store.DeleteIdentity(ctx, p.User.ID, id)
}
