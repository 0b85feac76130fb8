package account

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// maxToken is the maximum length of a JWT in bytes.
const maxToken = 4 << 10

// clockTolerance is the maximum difference between the clocks of two servers with the
// same database. Up to this difference, each server accepts new tokens of the other
// server.
const clockTolerance = 5 * time.Second

type claims struct {
	jwt.RegisteredClaims
	// FamilyID identifies the login to which the token belongs.
	FamilyID string `json:"sid"`
}

// issue signs a JWT for the user. The parameter "family" identifies the login.
func (s *Service) issue(user pyth.UserID, family string) (token string, expires time.Time, err error) {
	now := s.config.Clock()
	expires = now.Add(s.policy.Load().TokenTTL).UTC().Truncate(time.Second)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{jwt.RegisteredClaims{
		Issuer:    s.config.Issuer,
		Subject:   string(user),
		Audience:  jwt.ClaimStrings{s.config.Audience},
		IssuedAt:  jwt.NewNumericDate(now.Add(-clockTolerance)),
		NotBefore: jwt.NewNumericDate(now.Add(-clockTolerance)),
		ExpiresAt: jwt.NewNumericDate(expires),
		ID:        uuid.NewString(),
	}, family}).SignedString(s.config.JWTKey)
	return token, expires, err
}

// verifyToken verifies a JWT that this server issued and returns its claims. It
// follows RFC 8725: it accepts only one algorithm, and requires and checks every
// claim.
func (s *Service) verifyToken(token string) (*claims, error) {
	if len(token) > maxToken {
		return nil, unauthenticated()
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(s.config.Issuer),
		jwt.WithAudience(s.config.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(s.config.Clock),
	)
	c := new(claims)
	parsed, err := parser.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return s.config.JWTKey, nil })
	// Accept only the two header parameters that the method "issue" writes. Other
	// parameters, for example the URL of a key, could change the verification of the
	// token.
	if err != nil || len(parsed.Header) != 2 || parsed.Header["typ"] != "JWT" || c.Subject == "" || c.ID == "" ||
		c.IssuedAt == nil || c.NotBefore == nil || len(c.Audience) != 1 || c.FamilyID == "" {
		if onlyExpired(err) {
			return nil, expired("The token has expired. Log in again, or use a refresh token.")
		}
		return nil, unauthenticated()
	}
	return c, nil
}

// onlyExpired reports whether expiry is the only problem of the token. In this case the
// signature is valid, because the parser verifies the signature before the claims.
func onlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenSignatureInvalid, jwt.ErrTokenUnverifiable, jwt.ErrTokenMalformed, jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer,
		jwt.ErrTokenInvalidSubject, jwt.ErrTokenInvalidId, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// Authenticate returns the principal to whom the credentials belong.
func (s *Service) Authenticate(ctx context.Context, c pyth.Credentials) (*pyth.Principal, error) {
	var byKey, byToken *pyth.Principal
	var err error
	if c.APIKey != "" {
		if byKey, err = s.byKey(ctx, c.APIKey); err != nil {
			return nil, err
		}
	}
	if c.Bearer != "" {
		if byToken, err = s.byBearer(ctx, c.Bearer); err != nil {
			return nil, err
		}
	}
	// If the caller sent two credentials, use the bearer credential. It may be a JWT, and
	// only a caller who was authenticated by a JWT can renew the JWT.
	p := cmp.Or(byToken, byKey)
	if p == nil || byKey != nil && byToken != nil && byKey.User.ID != byToken.User.ID {
		return nil, unauthenticated()
	}
	if err := checkEnabled(&p.User); err != nil {
		return nil, err
	}
	p.Unconfirmed = s.isRefused(&p.User)
	return p, nil
}

// checkEnabled returns an error if an administrator has disabled the account. Call
// checkEnabled only after the verification of the credentials. Otherwise the error would
// reveal to others that the account exists.
func checkEnabled(u *pyth.User) error {
	if u.DisabledAt.IsZero() {
		return nil
	}
	return withOwner(pyth.Errorf(pyth.CodeAccountDisabled, "This account is disabled. Ask an administrator of the server to enable it."), u.ID)
}

// byBearer authenticates the JWT or API key in the header "Authorization: Bearer".
func (s *Service) byBearer(ctx context.Context, credential string) (*pyth.Principal, error) {
	if pyth.IsAPIKey(credential) {
		return s.byKey(ctx, credential)
	}
	return s.byToken(ctx, credential)
}

func (s *Service) byToken(ctx context.Context, token string) (*pyth.Principal, error) {
	c, err := s.verifyToken(token)
	if err != nil {
		return nil, err
	}
	user, err := s.config.Store.User(ctx, pyth.UserID(c.Subject))
	if absent(err) {
		return nil, unauthenticated()
	}
	if err != nil {
		return nil, err
	}
	p := &pyth.Principal{User: *user, Credential: pyth.CredentialJWT, FamilyID: c.FamilyID, ExpiresAt: c.ExpiresAt.UTC()}
	// Usually, a JWT stays valid after its login has ended. But after another person has
	// taken over the account, a JWT of an earlier login must not work.
	if !c.IssuedAt.After(user.TakenOverAt.Add(clockTolerance)) {
		if err := s.checkLogin(ctx, p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *Service) byKey(ctx context.Context, key string) (*pyth.Principal, error) {
	// Reject misspelled keys without a query to the store.
	if !wellFormedKey(key) {
		return nil, unauthenticated()
	}
	record, user, err := s.config.Store.APIKeyByHash(ctx, hashOf(key))
	if absent(err) {
		return nil, unauthenticated()
	}
	if err != nil {
		return nil, err
	}
	if !record.ExpiresAt.IsZero() && !s.config.Clock().Before(record.ExpiresAt) {
		return nil, expired("The API key has expired. Create a new one.")
	}
	s.uses.note(record, s.now())
	return &pyth.Principal{
		User: *user, Credential: pyth.CredentialAPIKey, KeyID: record.ID, KeyPrefix: record.Prefix,
		Scopes: record.Scopes, ExpiresAt: record.ExpiresAt,
	}, nil
}
