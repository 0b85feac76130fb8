package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
	"github.com/pyth-on/pyth-on/internal/email"
)

// RateLimits are the rate limits of the API. A zero Rate means no limit.
type RateLimits struct {
	// RegisterPerIP limits registrations from one IP address.
	RegisterPerIP ratelimit.Rate
	// LoginPerIP limits logins with a password, sign-ins with OIDC, token refreshes and
	// resets of passwords from one IP address.
	LoginPerIP ratelimit.Rate
	// LoginPerAccount limits attempts to guess the password of an account. It counts the
	// attempts from all IP addresses together. It applies to logins, registrations,
	// changes of the password, and requests that exchange a JWT for a new JWT.
	LoginPerAccount ratelimit.Rate
	// ResetPerAccount limits the mails with reset tokens that one client can request for
	// one account.
	ResetPerAccount ratelimit.Rate
	// ConfirmPerAccount limits the mails with confirmations that one client can request
	// for one e-mail address. It also limits how often a user can choose another address.
	ConfirmPerAccount ratelimit.Rate
	// MailPerAddress limits the mails of each kind for one e-mail address, for all clients
	// together.
	MailPerAddress ratelimit.Rate
	// PerUser limits all other requests of a user.
	PerUser ratelimit.Rate
	// VerifyPerIP limits verifications of credentials from one IP address.
	VerifyPerIP ratelimit.Rate
}

// DefaultRateLimits returns the rate limits for a public server.
func DefaultRateLimits() RateLimits {
	return RateLimits{
		RegisterPerIP:     ratelimit.Rate{Count: 10, Per: time.Minute},
		LoginPerIP:        ratelimit.Rate{Count: 30, Per: time.Minute},
		LoginPerAccount:   ratelimit.Rate{Count: 10, Per: time.Minute},
		ResetPerAccount:   ratelimit.Rate{Count: 5, Per: time.Hour},
		ConfirmPerAccount: ratelimit.Rate{Count: 5, Per: time.Hour},
		MailPerAddress:    ratelimit.Rate{Count: 20, Per: time.Hour},
		PerUser:           ratelimit.Rate{Count: 600, Per: time.Minute},
		VerifyPerIP:       ratelimit.Rate{Count: 600, Per: time.Minute},
	}
}

// maxLimitedKeys is the maximum number of keys of each rate limit. All rate limits
// together need at most about 25 MB of memory.
const maxLimitedKeys = 20_000

// policy is a rate limit with a name. The headers of responses contain this name.
type policy struct {
	name    string
	limiter *ratelimit.Limiter
	// The field "shared" stores the buckets that all servers use together. It is nil if
	// there is only one server.
	shared pyth.RateLimitStore
}

// limiters contains all policies. A policy is nil if the server does not apply this
// limit.
type limiters struct {
	registerIP, loginIP, loginAccount, resetAccount, confirmAccount, mailAddress, user, verifyIP *policy
}

func newLimiters(r RateLimits, shared pyth.RateLimitStore, now func() time.Time) *limiters {
	policyOf := func(name string, rate ratelimit.Rate) *policy {
		if rate.Off() {
			return nil
		}
		return &policy{name: name, limiter: ratelimit.New(rate, maxLimitedKeys, now), shared: shared}
	}
	return &limiters{
		registerIP:     policyOf(policyRegisterIP, r.RegisterPerIP),
		loginIP:        policyOf(policyLoginIP, r.LoginPerIP),
		loginAccount:   policyOf(policyLoginAccount, r.LoginPerAccount),
		resetAccount:   policyOf(policyResetAccount, r.ResetPerAccount),
		confirmAccount: policyOf(policyConfirmAccount, r.ConfirmPerAccount),
		mailAddress:    policyOf(policyMailAddress, r.MailPerAddress),
		user:           policyOf(policyUser, r.PerUser),
		verifyIP:       policyOf(policyVerifyIP, r.VerifyPerIP),
	}
}

// Names of rate limit policies.
const (
	policyRegisterIP     = "register-ip"
	policyLoginIP        = "login-ip"
	policyLoginAccount   = "login-account"
	policyResetAccount   = "reset-account"
	policyConfirmAccount = "confirm-account"
	policyMailAddress    = "mail-address"
	policyUser           = "user"
	policyVerifyIP       = "verify-ip"
)

func policyNames() []string {
	return []string{policyRegisterIP, policyLoginIP, policyLoginAccount, policyResetAccount, policyConfirmAccount, policyMailAddress, policyUser, policyVerifyIP}
}

// limitRate applies the rate limit of the operation. The server applies limits on
// accounts later, because they depend on the body.
func (h *Handler) limitRate(ctx context.Context, operationID string) error {
	req := requestOf(ctx)
	var p *policy
	key := ipKey(req.ip)
	switch operationID {
	case opRegister:
		p = h.live.Load().limits.registerIP
	case opLogin, opRefresh, opStoreLoginCookie, opDeleteLoginCookie, opForgot, opReset, opResendConfirmation, opConfirmEmail, opOIDCStart, opOIDCCallback, opOIDCLogin:
		p = h.live.Load().limits.loginIP
	case opVerify:
		p = h.live.Load().limits.verifyIP
	default:
		if req.principal == nil {
			return nil
		}
		p, key = h.live.Load().limits.user, string(req.principal.User.ID)
	}
	return h.allow(ctx, p, key)
}

// allow applies a rate limit to the key. If it denies the request, it writes the denial
// to the audit log.
func (h *Handler) allow(ctx context.Context, p *policy, key string) error {
	err := p.allow(ctx, requestOf(ctx).w.Header(), key)
	if err != nil {
		h.metrics.rateRefused.WithLabelValues(p.name).Inc()
		h.noteDenied(ctx, err)
	}
	return err
}

// allow takes one token from the bucket of the key, and adds the headers that
// draft-ietf-httpapi-ratelimit-headers-10 defines. If the bucket is empty, it fails with
// CodeRateLimited.
func (p *policy) allow(ctx context.Context, header http.Header, key string) error {
	if p == nil {
		return nil
	}
	d := p.decide(ctx, key)
	wait := d.Reset
	if !d.Allowed {
		wait = d.RetryAfter
	}
	header.Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", p.name, d.Limit, int64(p.limiter.Rate().Per.Seconds())))
	header.Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%s", p.name, d.Remaining, problem.CeilSeconds(wait)))
	if d.Allowed {
		return nil
	}
	return &pyth.Error{Code: pyth.CodeRateLimited, Message: "You sent too many requests. Wait for the number of seconds in Retry-After.", RetryAfter: d.RetryAfter}
}

// allowMail reports whether the server may send a mail to the address. The parameter "kind"
// names the kind of mail, and p limits the mails of this kind that one client can request
// for one address. Each client has its own limit, so no client can use up the limit of
// the address's owner.
//
// Many clients together could still fill the mailbox. So a second limit counts the mails
// for the address from all clients together. If this limit is reached, allowMail returns
// false without an error. An error would not help the caller: the address has already
// received many mails, and the token in the last mail is valid.
func (h *Handler) allowMail(ctx context.Context, p *policy, kind, address string) (bool, error) {
	account := accountKey(address)
	if err := h.allow(ctx, p, account+ipKey(requestOf(ctx).ip)); err != nil {
		return false, err
	}
	return h.take(ctx, h.live.Load().limits.mailAddress, kind+account), nil
}

// take applies a rate limit to the key. It reports whether the limit allows the request.
// Unlike the methods "allow", it returns no error, adds no headers to the response and
// writes no audit entry.
func (h *Handler) take(ctx context.Context, p *policy, key string) bool {
	if p == nil || p.decide(ctx, key).Allowed {
		return true
	}
	h.metrics.rateRefused.WithLabelValues(p.name).Inc()
	return false
}

// decide takes a token from the bucket in this server's memory. Then it takes a token
// from the shared bucket in the store. If the first bucket is empty, decide does not use
// the store. So many denied requests cause no load on the store. If the store fails, only
// the first bucket decides.
func (p *policy) decide(ctx context.Context, key string) ratelimit.Decision {
	d := p.limiter.Allow(key)
	if !d.Allowed || p.shared == nil {
		return d
	}
	rate := p.limiter.Rate()
	left, ok, err := p.shared.TakeToken(ctx, p.name, key, rate.Count, rate.Per)
	if err != nil {
		return d
	}
	return rate.Decide(left, ok)
}

// accountKey returns the key for rate limits on an account. All spellings of the address
// have the same key, so that a caller cannot avoid a limit with another spelling. The key
// is a hash. So it has a fixed size, and a memory dump does not reveal e-mail addresses.
func accountKey(address string) string {
	if canonical, err := email.Canonical(address); err == nil {
		address = canonical
	}
	sum := sha256.Sum256([]byte(pyth.EmailKey(strings.TrimSpace(address))))
	return string(sum[:16])
}
