package api

import (
	"context"
	"net/http"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// identify authenticates the caller with the credentials in the headers. It stores the
// caller in the request. If the authentication fails, it writes the failure to the audit
// log.
func (h *Handler) identify(ctx context.Context) error {
	err := h.lookUp(ctx)
	if err != nil {
		h.noteDenied(ctx, err)
	}
	return err
}

// requireAdmin returns an error if the caller is not an administrator. In this case, it
// also writes the denial to the audit log.
func (h *Handler) requireAdmin(ctx context.Context) error {
	p := caller(ctx)
	if p == h.operator {
		return nil
	}
	var err error
	if p.User.Role == pyth.RoleAdmin {
		// The JWT of a revoked login stays valid for a while. It must not give access to
		// the accounts and the data of all users.
		err = h.cfg.Accounts.RequireLogin(ctx, p)
	} else {
		err = pyth.Errorf(pyth.CodeForbidden, "Only administrators may do this. Ask an administrator of the server to do it.")
	}
	if err != nil {
		h.noteDenied(ctx, err)
	}
	return err
}

func (h *Handler) lookUp(ctx context.Context) error {
	req := requestOf(ctx)
	if h.operator != nil {
		req.principal = h.operator
		return nil
	}
	c, err := credentials(req.r.Header)
	if err != nil {
		return err
	}
	req.sentBearer = c.Bearer != ""
	if c == (pyth.Credentials{}) {
		if c, err = h.cookieCredentials(req.r); err != nil {
			return err
		}
		req.byCookie = c.Bearer != ""
	}
	if c == (pyth.Credentials{}) {
		return &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "The request has no credentials. Send an API key in the header x-api-key, or an API key or a token from /api/login in Authorization: Bearer."}
	}
	return h.authenticate(ctx, c)
}

// authenticate stores the caller with these credentials in the request.
func (h *Handler) authenticate(ctx context.Context, c pyth.Credentials) error {
	_, span := tracing.Start(ctx, "authenticate")
	p, err := h.cfg.Accounts.Authenticate(ctx, c)
	span.End(err)
	if err != nil {
		return err
	}
	req := requestOf(ctx)
	req.principal = p
	setConnectionAuthenticated(ctx)
	req.origin.Credential, req.origin.KeyID, req.origin.KeyPrefix = p.Credential, p.KeyID, p.KeyPrefix
	return nil
}

// credentials returns the credentials in the headers. It returns an error if a header
// with credentials occurs more than once, because a proxy may have checked only one of
// the values.
func credentials(h http.Header) (pyth.Credentials, error) {
	var c pyth.Credentials
	keys, auth := h.Values("X-Api-Key"), h.Values("Authorization")
	if len(keys) > 1 || len(auth) > 1 {
		return c, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "The request has the header x-api-key or Authorization more than once. Send each of these headers at most once."}
	}
	if len(keys) == 1 {
		c.APIKey = strings.TrimSpace(keys[0])
		if c.APIKey == "" {
			return c, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "The x-api-key header is empty. Send an API key in this header."}
		}
	}
	if len(auth) == 1 {
		scheme, token, _ := strings.Cut(strings.TrimSpace(auth[0]), " ")
		c.Bearer = strings.TrimSpace(token)
		if !strings.EqualFold(scheme, "Bearer") || c.Bearer == "" {
			return pyth.Credentials{}, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "The Authorization header is invalid. Send the word Bearer, a space, and a token or an API key."}
		}
	}
	return c, nil
}

func caller(ctx context.Context) *pyth.Principal { return requestOf(ctx).principal }
