// Package account knows who callers are: accounts with passwords, tokens that
// expire, and API keys. It is a pyth.AccountService.
//
// It promises that passwords, keys and refresh tokens are kept only as hashes
// (the account's first key also sealed, because login returns it); that no
// answer and no timing tells whether an account exists, but for registration,
// which must; and that hashing takes bounded memory however many log in.
package account

import (
	"context"
	"errors"
	"runtime"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// Registration says who may make an account.
type Registration string

// The ways to register.
const (
	RegistrationOpen   Registration = "open"
	RegistrationInvite Registration = "invite"
	RegistrationClosed Registration = "closed"
)

// Config is what a Service works with. Store, Vault, JWTKey, Issuer, Audience
// and Clock are required.
type Config struct {
	Store pyth.Store
	Vault *vault.Vault
	// JWTKey signs tokens; 32 bytes, the least for HS256 (RFC 7518, 3.2).
	JWTKey           []byte
	Issuer, Audience string
	// TokenTTL is how long a JWT is valid, RefreshTTL a refresh token; zero
	// means an hour and 30 days.
	TokenTTL, RefreshTTL time.Duration
	// Registration is open unless set. Invites are those that count when it is
	// by invitation.
	Registration Registration
	Invites      []string
	Clock        func() time.Time
	// MaxConcurrentHashes bounds the memory that passwords take: each hash
	// needs 19 MiB. Zero means one for each processor.
	MaxConcurrentHashes int
}

// Service is a pyth.AccountService.
type Service struct {
	config Config
	hasher *hasher
	// absent is what the password of an account that does not exist is compared
	// with, so that this takes as long as for one that does.
	absent string
}

var _ pyth.AccountService = (*Service)(nil)

// New makes a Service. It fails if the configuration lacks what is required.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Vault == nil || config.Issuer == "" || config.Audience == "" || config.Clock == nil {
		return nil, errors.New("auth: the configuration lacks a store, vault, issuer, audience or clock")
	}
	if len(config.JWTKey) < 32 {
		return nil, errors.New("auth: the key for tokens is shorter than 32 bytes")
	}
	if config.TokenTTL <= 0 {
		config.TokenTTL = time.Hour
	}
	if config.RefreshTTL <= 0 {
		config.RefreshTTL = 30 * 24 * time.Hour
	}
	if config.Registration == "" {
		config.Registration = RegistrationOpen
	}
	if config.MaxConcurrentHashes <= 0 {
		config.MaxConcurrentHashes = runtime.NumCPU()
	}
	s := &Service{config: config, hasher: newHasher(config.MaxConcurrentHashes)}
	var err error
	s.absent, err = s.hasher.hash(context.Background(), "the password of nobody")
	return s, err
}

// PurgeExpired deletes refresh tokens that have expired.
func (s *Service) PurgeExpired(ctx context.Context) error {
	return s.config.Store.DeleteExpiredRefreshTokens(ctx, s.config.Clock())
}

// unauthenticated is the one answer to credentials that are not valid, whatever
// is wrong with them.
func unauthenticated() error {
	return pyth.Errorf(pyth.CodeUnauthenticated, "The credentials are missing or not valid. Send an API key as x-api-key or as Authorization: Bearer, or a token as Authorization: Bearer.")
}

// expired is the answer to a credential that was valid once.
func expired(message string) error { return pyth.Errorf(pyth.CodeUnauthenticated, "%s", message) }

// absent is whether the store has no such thing.
func absent(err error) bool { return pyth.ErrorCode(err) == pyth.CodeNotFound }
