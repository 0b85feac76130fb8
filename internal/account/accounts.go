package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

const (
	firstKeyName = "default"
	// familyStart is the beginning of the ID of a token family.
	familyStart = "fam_"
)

// Register creates an account. If the server has no administrator, a caller can send the
// setup code as the invite. Register then creates the first administrator, even if
// registration is closed.
func (s *Service) Register(ctx context.Context, email, password, invite string) (*pyth.Grant, error) {
	used, err := s.mayRegister(ctx, email, invite)
	if err != nil {
		return nil, err
	}
	account := newAccount{NewUser: pyth.NewUser{Email: email, Password: password}}
	// An administrator chose each user who has an invite, so these users need no
	// confirmation. Do not check the policy here, because it can change after
	// mayRegister.
	if used == nil && !s.configuredInvite(invite) {
		account.unconfirmedAt = s.unconfirmedSince()
	}
	user, key, err := s.register(ctx, account, used)
	if err != nil {
		return nil, err
	}
	return s.grant(ctx, user, key)
}

// CreateUser creates an account on behalf of an administrator. It returns the account and
// its first API key. If the administrator gives no password, CreateUser stores the hash
// of a random password.
func (s *Service) CreateUser(ctx context.Context, n pyth.NewUser) (*pyth.User, string, error) {
	if n.Password == "" {
		n.Password = rand.Text()
	}
	return s.register(ctx, newAccount{NewUser: n}, nil)
}

// newAccount describes a new account.
type newAccount struct {
	pyth.NewUser
	// The field "setup" is true if the first API key gets all scopes.
	setup bool
	// unconfirmedAt becomes User.EmailUnconfirmedAt.
	unconfirmedAt time.Time
}

// register creates an account. If the invite is not nil, register marks the invite as
// used, because each invite is valid for one registration.
func (s *Service) register(ctx context.Context, n newAccount, invite *pyth.Invite) (*pyth.User, string, error) {
	if invite == nil {
		return s.registerWith(ctx, n, func(u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
			return s.config.Store.CreateUser(ctx, u, key, dataKey)
		})
	}
	n.setup = invite.Setup
	return s.registerWith(ctx, n, func(u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
		return s.config.Store.CreateInvitedUser(ctx, u, key, dataKey, invite.Hash)
	})
}

// storeAccount stores a new account.
type storeAccount func(u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error

// registerWith creates an account and calls the function "store" to store it.
func (s *Service) registerWith(ctx context.Context, n newAccount, store storeAccount) (*pyth.User, string, error) {
	email, err := normalizeEmail(n.Email)
	if err != nil {
		return nil, "", err
	}
	password, err := newPassword("body.password", n.Password, email)
	if err != nil {
		return nil, "", err
	}
	// Look for an existing account first, because hashing the password is expensive. If
	// two requests with the same address arrive at once, the store rejects the second.
	if _, err := s.userByEmail(ctx, n.Email); err == nil {
		return nil, "", pyth.Errorf(pyth.CodeEmailTaken, "An account with this e-mail address exists already. Log in instead.")
	} else if !absent(err) {
		return nil, "", err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, "", err
	}
	id, err := newID("usr_")
	if err != nil {
		return nil, "", err
	}
	user := &pyth.User{
		ID: pyth.UserID(id), Email: email, PasswordHash: hash, CreatedAt: s.now(), Role: cmp.Or(n.Role, pyth.RoleUser),
		EmailUnconfirmedAt: n.unconfirmedAt,
	}
	key, err := s.create(ctx, user, n.setup, store)
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		// The root key changed between the encryption of the user's data key and the
		// write to the store. Try again with the new root key.
		key, err = s.create(ctx, user, n.setup, store)
	}
	if err != nil {
		return nil, "", err
	}
	return user, key, nil
}

// create stores the user, the first API key, and the data key that encrypts the user's
// secrets. It returns the API key.
func (s *Service) create(ctx context.Context, user *pyth.User, setup bool, store storeAccount) (string, error) {
	dataKey, err := s.config.Vault.NewDataKey(ctx, user.ID)
	if err != nil {
		return "", err
	}
	scopes := pyth.DefaultScopes()
	if user.Role == pyth.RoleAdmin || setup {
		scopes = pyth.Scopes()
	}
	record, key, err := s.makeKey(user.ID, pyth.KeySpec{Name: firstKeyName, Scopes: scopes})
	if err != nil {
		return "", err
	}
	if record.Sealed, err = s.config.Vault.SealWith(ctx, dataKey, KeyLabel(record.ID), []byte(key)); err != nil {
		return "", err
	}
	return key, store(user, record, dataKey)
}

// Login returns a grant if the password and the code of the second factor are correct. It
// checks the code only after the password. Therefore the response to a wrong password is
// the same with and without a second factor.
func (s *Service) Login(ctx context.Context, email, password, code string) (*pyth.Grant, error) {
	password = normalizePassword(password)
	user, err := s.userByEmail(ctx, email)
	if err != nil && !absent(err) {
		return nil, err
	}
	hash := s.dummyHash
	if user != nil {
		hash = user.PasswordHash
	}
	ok, stale, err := s.hasher.verify(ctx, hash, password)
	if err != nil {
		return nil, err
	}
	if user == nil {
		return nil, wrongPassword("")
	}
	if !ok {
		return nil, wrongPassword(user.ID)
	}
	if err := checkEnabled(user); err != nil {
		return nil, err
	}
	if err := s.checkConfirmed(user); err != nil {
		return nil, err
	}
	method, err := s.checkCode(ctx, user, code)
	if err != nil {
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
	grant.SecondFactor = method
	if err := s.confirm(ctx, user, password, grant); err != nil {
		return nil, err
	}
	if stale {
		if err := s.rehash(ctx, user, password); err != nil {
			return nil, err
		}
	}
	return grant, nil
}

// wrongPassword returns the error for a wrong password or a missing account. The
// message is the same in both cases. For a missing account, the parameter "user" is
// "".
func wrongPassword(user pyth.UserID) error {
	return withOwner(pyth.Errorf(pyth.CodeInvalidCredentials, "The e-mail address or the password is wrong."), user)
}

// checkUnchanged returns an error if an administrator disabled the account during a
// login, or if the user activated a second factor. The parameter "proved" is the account
// as the login has read it, and "user" is the account now.
func checkUnchanged(user, proved *pyth.User) error {
	if err := checkEnabled(user); err != nil {
		return err
	}
	if !user.SecondFactorAt.IsZero() && !user.SecondFactorAt.Equal(proved.SecondFactorAt) {
		return codeRequired(user.ID)
	}
	return nil
}

// confirm verifies the password again after the grant (the tokens) was stored. In the
// meantime, the password may have changed, an administrator may have disabled the
// account, or the user may have activated a second factor. These changes revoke only the
// grants that were already stored. Therefore confirm revokes the new grant after such a
// change.
func (s *Service) confirm(ctx context.Context, proved *pyth.User, password string, grant *pyth.Grant) error {
	user, err := s.config.Store.User(ctx, proved.ID)
	if err != nil {
		return err
	}
	if err := checkUnchanged(user, proved); err != nil {
		return errors.Join(err, s.Logout(ctx, &pyth.Principal{User: *user}, grant.RefreshToken))
	}
	if user.PasswordHash == proved.PasswordHash {
		return nil
	}
	// Two different hashes can belong to the same password: another login may have stored
	// a new hash of the password.
	ok, _, err := s.hasher.verify(ctx, user.PasswordHash, password)
	if err != nil || ok {
		return err
	}
	if err := s.Logout(ctx, &pyth.Principal{User: *user}, grant.RefreshToken); err != nil {
		return err
	}
	return wrongPassword(user.ID)
}

// userByEmail returns the account with the e-mail address. It looks for all forms of the
// address that the store can contain. If there is no account, the function absent returns
// true for the error.
func (s *Service) userByEmail(ctx context.Context, email string) (*pyth.User, error) {
	forms := storedForms(email)
	if len(forms) == 0 {
		// Query the store even if the address is invalid, so that the call always
		// takes the same time.
		forms = []string{""}
	}
	var user *pyth.User
	var err error
	for _, form := range forms {
		if user, err = s.config.Store.UserByEmail(ctx, form); err == nil || !absent(err) {
			return user, err
		}
	}
	return nil, err
}

// rehash hashes the password with the current parameters and stores the new hash. The
// caller must have verified the password.
func (s *Service) rehash(ctx context.Context, user *pyth.User, password string) error {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.config.Store.SetPasswordHash(ctx, user.ID, user.PasswordHash, hash)
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		return nil // Another login replaced the hash.
	}
	return err
}

// primaryKey returns the account's first API key. It returns "" if this key was
// deleted.
func (s *Service) primaryKey(ctx context.Context, user pyth.UserID) (string, error) {
	record, err := s.config.Store.PrimaryAPIKey(ctx, user)
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	key, err := s.config.Vault.Open(ctx, user, KeyLabel(record.ID), record.Sealed)
	return string(key), err
}

// KeyLabel returns the label for the encryption of a copy of an API key.
func KeyLabel(id pyth.KeyID) vault.Label {
	return vault.Label{Kind: "api key", Name: string(id), Version: 1}
}

// checkPassword returns CodeInvalidCredentials if the password of the caller is wrong.
func (s *Service) checkPassword(ctx context.Context, p *pyth.Principal, password string) error {
	ok, _, err := s.hasher.verify(ctx, p.User.PasswordHash, normalizePassword(password))
	if err == nil && !ok {
		err = pyth.Errorf(pyth.CodeInvalidCredentials, "The current password is wrong.")
	}
	return err
}

// ChangePassword replaces the password of the caller. If the parameter "current" is not
// the current password, ChangePassword fails with CodeInvalidCredentials.
func (s *Service) ChangePassword(ctx context.Context, p *pyth.Principal, current, replacement string) error {
	if err := s.checkPassword(ctx, p, current); err != nil {
		return err
	}
	replacement, err := newPassword("body.newPassword", replacement, p.User.Email)
	if err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, replacement)
	if err != nil {
		return err
	}
	return s.config.Store.ChangePassword(ctx, p.User.ID, p.User.PasswordHash, hash)
}

// grant issues the first tokens of a login: a JWT, and the first refresh token of a new
// token family.
func (s *Service) grant(ctx context.Context, user *pyth.User, key string) (*pyth.Grant, error) {
	family, err := newID(familyStart)
	if err != nil {
		return nil, err
	}
	refresh, record := s.newRefreshToken(ctx, user.ID, family)
	if err := s.config.Store.CreateRefreshToken(ctx, record); err != nil {
		return nil, err
	}
	return s.grantWith(user, key, family, refresh)
}

func (s *Service) grantWith(user *pyth.User, key, family, refresh string) (*pyth.Grant, error) {
	token, expires, err := s.issue(user.ID, family)
	if err != nil {
		return nil, err
	}
	return &pyth.Grant{User: *user, Token: token, ExpiresAt: expires, APIKey: key, RefreshToken: refresh}, nil
}

// newID returns a new identifier: the given prefix, followed by a UUID of version 7
// (RFC 9562). Identifiers sort by the time of their creation.
func newID(start string) (string, error) {
	id, err := uuid.NewV7()
	return start + id.String(), err
}

// now returns the current time in UTC, truncated to the precision of the store.
func (s *Service) now() time.Time { return s.config.Clock().UTC().Truncate(time.Microsecond) }
