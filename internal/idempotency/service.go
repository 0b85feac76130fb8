// Package idempotency stores the answers to requests with an idempotency key. If a
// client sends a request again, the server sends the stored answer and does not execute
// the request again.
//
// The answers are encrypted with the user's data key, because they can contain output of
// programs. They can also contain a new API key, which no other answer shows. The store
// contains neither the idempotency keys nor the requests. It contains only keyed hashes
// of both.
package idempotency

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

const (
	// The constant "keep" is the time that the server keeps an answer.
	keep = 24 * time.Hour
	// MaxAnswerBytes is the maximum size of a stored answer.
	MaxAnswerBytes = 4 << 20
	// maxKeys is the maximum number of keys of one user.
	maxKeys = 10_000
	// hashKeyBytes is the length in bytes of the secret key for the hashes.
	hashKeyBytes = 32
	// pruneBatch is the maximum number of requests that one transaction deletes.
	pruneBatch = 100
)

// Config configures a Service. All fields are required.
type Config struct {
	Store pyth.IdempotencyStore
	Vault *vault.Vault
	Clock func() time.Time
}

// Service implements pyth.IdempotencyService. It is safe for concurrent use.
type Service struct {
	config Config
	// secret is the secret key for the hashes.
	secret []byte
}

var _ pyth.IdempotencyService = (*Service)(nil)

// New returns a Service.
func New(ctx context.Context, c Config) (*Service, error) {
	secret, err := c.Vault.ServerKey(ctx, "idempotency", hashKeyBytes)
	if err != nil {
		return nil, err
	}
	return &Service{c, secret}, nil
}

// hash returns the keyed hash of a value of the user.
func (s *Service) hash(kind string, user pyth.UserID, value string) (sum [32]byte) {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(kind + "\x00" + string(user) + "\x00" + value))
	h.Sum(sum[:0])
	return sum
}

func label(key [32]byte) vault.Label {
	return vault.Label{Kind: "idempotent answer", Name: hex.EncodeToString(key[:]), Version: 1}
}

// BeginRequest begins a request, or returns the stored answer of an earlier request
// with the same key.
func (s *Service) BeginRequest(ctx context.Context, user pyth.UserID, key string, request [32]byte) (*pyth.StoredAnswer, error) {
	now := s.config.Clock()
	r := &pyth.IdempotentRequest{
		User: user, Key: s.hash("key", user, key), Request: s.hash("request", user, string(request[:])), CreatedAt: now,
	}
	found, err := s.config.Store.BeginRequest(ctx, r, now.Add(-keep), maxKeys)
	switch {
	case err != nil || found == nil:
		return nil, err
	case !hmac.Equal(found.Request[:], r.Request[:]):
		return nil, pyth.Errorf(pyth.CodeIdempotencyConflict, "Another request had this Idempotency-Key. Send a new key for a new request.")
	case found.Answer == nil:
		return nil, &pyth.Error{
			Code: pyth.CodeInProgress,
			Message: "The first request with this Idempotency-Key has no answer yet. Try again later. If the server was stopped during the first request, the outcome of the first request is unknown: " +
				"check the current state, and send a new key.",
			RetryAfter: time.Second,
		}
	}
	b, err := s.config.Vault.Open(ctx, user, label(r.Key), found.Answer)
	if err != nil {
		return nil, err
	}
	answer := new(pyth.StoredAnswer)
	if err := json.Unmarshal(b, answer); err != nil {
		return nil, err
	}
	if answer.TooLarge {
		return nil, pyth.Errorf(pyth.CodeConflict, "The request was carried out, but its answer was too large to be stored. Read the result with another call, for example GET /api/v1/executions.")
	}
	return answer, nil
}

// EndRequest stores the answer. If the answer is nil, EndRequest deletes the request.
func (s *Service) EndRequest(ctx context.Context, user pyth.UserID, key string, answer *pyth.StoredAnswer) error {
	hash := s.hash("key", user, key)
	if answer == nil {
		return s.config.Store.EndRequest(ctx, user, hash, nil)
	}
	if len(answer.Body) > MaxAnswerBytes {
		answer = &pyth.StoredAnswer{TooLarge: true}
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	sealed, err := s.config.Vault.Seal(ctx, user, label(hash), b)
	if err != nil {
		return err
	}
	return s.config.Store.EndRequest(ctx, user, hash, sealed)
}

// Prune deletes answers that are older than the time "keep".
func (s *Service) Prune(ctx context.Context) error {
	for {
		n, err := s.config.Store.DeleteOldRequests(ctx, s.config.Clock().Add(-keep), pruneBatch)
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
