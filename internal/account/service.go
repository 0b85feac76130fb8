// Package account authenticates callers by password, JWT, API key and refresh token.
// It implements pyth.AccountService.
//
// The store contains only hashes of passwords, keys, invites and tokens. There is one
// exception: the store also contains an encrypted copy of the first key of an account,
// because login returns this key.
//
// A login does not reveal whether an account exists: neither the response nor the
// duration depends on whether the account exists. Only registration reveals whether an
// account exists. The memory for password hashing is limited, even if many users log in
// at the same time.
package account

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// Registration decides who may create an account.
type Registration string

// Registration modes. RegistrationOpen allows everyone to create an account.
// RegistrationInvite requires an invite. RegistrationClosed allows nobody.
const (
	RegistrationOpen   Registration = "open"
	RegistrationInvite Registration = "invite"
	RegistrationClosed Registration = "closed"
)

// Config configures a Service. Store, Vault, JWTKey, Issuer, Audience and Clock
// are required.
type Config struct {
	Store pyth.Store
	Vault *vault.Vault
	// JWTKey signs JWTs. It must have at least 32 bytes, the minimum for HS256 (RFC
	// 7518, 3.2).
	JWTKey           []byte
	Issuer, Audience string
	// Policy is the initial policy.
	Policy
	// Confirmation is ConfirmationOff by default.
	Confirmation Confirmation
	Clock        func() time.Time
	// MaxConcurrentHashes limits the number of passwords that are hashed at the same
	// time. Each hash needs 19 MiB of memory. Zero means one hash per processor.
	MaxConcurrentHashes int
}

// Service implements pyth.AccountService. It is safe for concurrent use.
type Service struct {
	config Config
	hasher *hasher
	// dummyHash is a password hash for logins to a missing account. The server verifies
	// the password against this hash, so that the login takes the same time as with an
	// existing account.
	dummyHash string
	uses      *keyUses
	policy    atomic.Pointer[Policy]
}

var _ pyth.AccountService = (*Service)(nil)

// New returns a Service. It fails if a required field of the configuration is
// missing.
func New(config Config) (*Service, error) { return newService(config, argon2.IDKey) }

func newService(config Config, derive deriveFunc) (*Service, error) {
	if config.Store == nil || config.Vault == nil || config.Issuer == "" || config.Audience == "" || config.Clock == nil {
		return nil, errors.New("account: the configuration has no store, vault, issuer, audience or clock")
	}
	if len(config.JWTKey) < 32 {
		return nil, errors.New("account: the JWT key is shorter than 32 bytes")
	}
	config.Confirmation = cmp.Or(config.Confirmation, ConfirmationOff)
	if config.MaxConcurrentHashes <= 0 {
		config.MaxConcurrentHashes = runtime.NumCPU()
	}
	s := &Service{config: config, hasher: newHasher(config.MaxConcurrentHashes, derive), uses: newKeyUses(config.Store)}
	s.SetPolicy(config.Policy)
	var err error
	s.dummyHash, err = s.hasher.hash(context.Background(), "the password of nobody")
	return s, err
}

// PurgeExpired deletes expired refresh tokens, invites and sign-ins.
func (s *Service) PurgeExpired(ctx context.Context) error {
	now := s.config.Clock()
	return errors.Join(s.config.Store.DeleteExpiredRefreshTokens(ctx, now), s.config.Store.DeleteExpiredInvites(ctx, now),
		s.config.Store.DeleteExpiredSignIns(ctx, now), s.config.Store.DeleteExpiredEmailConfirmations(ctx, now))
}

// unauthenticated returns the error for missing or invalid credentials. The error is
// the same for all causes, so that it reveals nothing about the credentials.
func unauthenticated() error {
	return pyth.Errorf(pyth.CodeUnauthenticated, "The credentials are missing or invalid. Send an API key in the header x-api-key, or an API key or a token in Authorization: Bearer.")
}

func expired(message string) error { return pyth.Errorf(pyth.CodeUnauthenticated, "%s", message) }

// absent reports whether err means that the object is not in the store.
func absent(err error) bool { return pyth.ErrorCode(err) == pyth.CodeNotFound }
