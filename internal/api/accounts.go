package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// AuthRequest is the body of registerAccount and logIn.
type AuthRequest struct {
	_ struct{} `doc:"The credentials of an account."`

	Email    string `json:"email" minLength:"1" maxLength:"320" doc:"The e-mail address of the account, at most 254 characters. Case does not matter." example:"ada@example.org"`
	Password string `json:"password" minLength:"1" maxLength:"1024" format:"password" doc:"The password: 8 to 128 characters. All characters are allowed. The password must not be a very common password or the e-mail address." example:"correct horse battery"`
	Invite   string `json:"invite,omitempty" maxLength:"256" doc:"The invite, if registration requires an invite. The operation logIn ignores this field." example:"inv_4f2c9a"`
	Code     string `json:"code,omitempty" maxLength:"64" doc:"A code from the authenticator app, or a recovery code. Required by logIn if the account has a second factor. The operation registerAccount ignores this field." example:"123456"`
}

// AuthResponse describes an account and contains its credentials.
type AuthResponse struct {
	_ struct{} `doc:"An account, its first API key and its tokens."`

	Token        string    `json:"token" doc:"A JWT. Send it as Authorization: Bearer." example:"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"`
	APIKey       string    `json:"apiKey,omitzero" doc:"The first API key of the account. Send it as x-api-key. Absent if the key was deleted." example:"pyapi_x7Qd"`
	User         UserInfo  `json:"user" doc:"The account."`
	ExpiresAt    Timestamp `json:"expiresAt" doc:"When the token expires."`
	RefreshToken string    `json:"refreshToken,omitzero" doc:"A refresh token for one call of refreshToken. Absent if the request was authenticated with a JWT." example:"rt_9b1c"`
}

// UserInfo describes an account.
type UserInfo struct {
	_ struct{} `doc:"An account."`

	ID        string    `json:"id" doc:"The ID of the account." example:"usr_01k7"`
	Email     string    `json:"email" doc:"The e-mail address of the account." example:"ada@example.org"`
	CreatedAt Timestamp `json:"createdAt" doc:"When the account was created."`

	// EmailConfirmed is always set. The field is optional in the schema, because servers of
	// earlier versions do not send it.
	EmailConfirmed *bool `json:"emailConfirmed,omitempty" nullable:"false" doc:"Whether the e-mail address is confirmed. Also true if the server did not ask for a confirmation of the address. Servers of earlier versions do not send this field." example:"true"`
}

// VerifyRequest is the body of verifyCredentials.
type VerifyRequest struct {
	_ struct{} `doc:"A credential to verify."`

	Token string `json:"token,omitempty" minLength:"1" maxLength:"8192" doc:"A JWT or an API key. If token is present, the server ignores the credentials in the headers." example:"pyapi_x7Qd"`
}

// VerifyResponse describes the account to which the valid credentials belong.
type VerifyResponse struct {
	_ struct{} `doc:"The account of the valid credentials."`

	Valid     bool      `json:"valid" doc:"Always true. For invalid credentials the status is 401." example:"true"`
	User      UserInfo  `json:"user" doc:"The account of the credentials."`
	ExpiresAt Timestamp `json:"expiresAt,omitzero" doc:"When the credential expires. Absent if the credential does not expire."`
}

// RefreshRequest is the body of refreshToken and logOut.
type RefreshRequest struct {
	_ struct{} `doc:"A refresh token."`

	RefreshToken string `json:"refreshToken,omitempty" minLength:"1" maxLength:"1024" doc:"The refresh token from the last response of registerAccount, logIn or refreshToken." example:"rt_9b1c"`
}

// PasswordRequest is the body of changePassword.
type PasswordRequest struct {
	_ struct{} `doc:"The current password and the new password."`

	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
	NewPassword     string `json:"newPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The new password: 8 to 128 characters. All characters are allowed. The password must not be a very common password or the e-mail address." example:"staple of another kind"`
}

// IDs of operations with special rate limits.
const (
	opRegister = "registerAccount"
	opLogin    = "logIn"
	opVerify   = "verifyCredentials"
	opRefresh  = "refreshToken"
)

const tagAuth = "Auth"

type (
	authInput     struct{ jsonBody[AuthRequest] }
	refreshInput  struct{ jsonBody[RefreshRequest] }
	verifyInput   struct{ jsonBody[VerifyRequest] }
	passwordInput struct{ jsonBody[PasswordRequest] }
	logoutInput   struct{ jsonBody[RefreshRequest] }
	authOutput    struct{ Body AuthResponse }
	verifyOutput  struct{ Body VerifyResponse }
	noOutput      struct{}
)

func (h *Handler) registerAccounts() {
	exampleAuth := map[string]any{"email": "ada@example.org", "password": "correct horse battery"}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opRegister, Method: http.MethodPost, Path: "/api/register", DefaultStatus: http.StatusCreated,
			Summary: "Register an account", Tags: []string{tagAuth},
			Description: "Creates an account and its first API key. The operator decides whether registration is open, requires an invite or is closed.",
			Errors:      []int{http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests},
		},
		public: true, example: exampleAuth, answer: exampleAuthResponse(), action: pyth.ActionUserRegistered,
	}, h.registerAccount)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opLogin, Method: http.MethodPost, Path: "/api/login",
			Summary: "Log in", Tags: []string{tagAuth},
			Description: "Returns a JWT, a refresh token and the API key of the account. The response time does not depend on whether the account exists. If the account has a second factor, a request without the field code fails: the status is 401, and the error code is second_factor_required. If the server requires a confirmed e-mail address and the address is not confirmed, the status is 403, and the error code is email_unconfirmed.",
			Errors:      []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests},
		},
		public: true, example: exampleAuth, answer: exampleAuthResponse(), action: pyth.ActionUserLogin,
	}, h.login)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opVerify, Method: http.MethodPost, Path: "/api/verify",
			Summary: "Verify credentials", Tags: []string{tagAuth},
			Description: "Checks the credentials in the headers, or the token in the body, and returns the account of the credentials.",
			// The empty element makes the credentials in the headers optional, because
			// the body can contain a token instead.
			Security: append(credentialsRequired(), map[string][]string{}),
			Errors:   []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		optionalCredentials: true, bodyOptional: true,
		example: map[string]any{"token": "<JWT or API key>"},
		answer: map[string]any{
			"valid":     true,
			"user":      map[string]any{"id": "<user id>", "email": "ada@example.org", "createdAt": "2026-04-04T08:23:21.123Z", "emailConfirmed": true},
			"expiresAt": "2026-04-04T09:23:21.123Z",
		},
	}, h.verify)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opRefresh, Method: http.MethodPost, Path: "/api/refresh",
			Summary: "Get a new token", Tags: []string{tagAuth},
			Description: "Exchanges a refresh token for a new JWT and a new refresh token. You can use a refresh token once. A second use revokes all refresh tokens of the same login. Without a body, the server exchanges a valid JWT in the header for a new JWT.",
			Security:    append([]map[string][]string{{schemeBearer: {}}}, map[string][]string{}),
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		optionalCredentials: true, bodyOptional: true, example: map[string]any{"refreshToken": "<refresh token>"}, answer: exampleAuthResponse(), action: pyth.ActionTokenRefreshed,
	}, h.refresh)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "logOut", Method: http.MethodPost, Path: "/api/logout",
			Summary: "Log out", Tags: []string{tagAuth},
			Description: "Revokes the refresh token in the body and all other refresh tokens of the same login. Without a body, the call revokes all refresh tokens of the account. A JWT stays valid until it expires.",
		},
		bodyOptional: true,
		example:      map[string]any{"refreshToken": "<refresh token>"},
	}, h.logout)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "changePassword", Method: http.MethodPut, Path: "/api/password",
			Summary: "Change the password", Tags: []string{tagAuth},
			Description: "Changes the password and revokes all refresh tokens of the account.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"currentPassword": "correct horse battery", "newPassword": "staple of another kind"},
		action:  pyth.ActionPasswordChanged,
	}, h.changePassword)
}

func exampleAuthResponse() any {
	return map[string]any{
		"token":        "<JWT>",
		"apiKey":       "<API key>",
		"user":         map[string]any{"id": "<user id>", "email": "ada@example.org", "createdAt": "2026-04-04T08:23:21.123Z", "emailConfirmed": true},
		"expiresAt":    "2026-04-04T09:23:21.123Z",
		"refreshToken": "<refresh token>",
	}
}

// limitGuesses limits how often callers can try passwords for an account. The limit also
// applies to logged-in callers, because their token may be stolen.
func (h *Handler) limitGuesses(ctx context.Context, email string) error {
	return h.allow(ctx, h.live.Load().limits.loginAccount, accountKey(email))
}

func (h *Handler) registerAccount(ctx context.Context, in *authInput) (*authOutput, error) {
	if err := h.limitGuesses(ctx, in.Value.Email); err != nil {
		return nil, err
	}
	g, err := h.cfg.Accounts.Register(ctx, in.Value.Email, in.Value.Password, in.Value.Invite)
	if err == nil {
		h.sendConfirmation(ctx, &g.User)
	}
	return authResponse(g, err)
}

func (h *Handler) login(ctx context.Context, in *authInput) (*authOutput, error) {
	if err := h.limitGuesses(ctx, in.Value.Email); err != nil {
		return nil, err
	}
	return authResponse(h.cfg.Accounts.Login(ctx, in.Value.Email, in.Value.Password, in.Value.Code))
}

func (h *Handler) verify(ctx context.Context, in *verifyInput) (*verifyOutput, error) {
	if token := in.Value.Token; token != "" {
		c := pyth.Credentials{Bearer: token}
		if pyth.IsAPIKey(token) {
			c = pyth.Credentials{APIKey: token}
		}
		p, err := h.cfg.Accounts.Authenticate(ctx, c)
		if err != nil {
			return nil, err
		}
		requestOf(ctx).principal = p
	} else if err := h.identify(ctx); err != nil {
		return nil, err
	}
	p := caller(ctx)
	return &verifyOutput{Body: VerifyResponse{Valid: true, User: userInfo(&p.User), ExpiresAt: Timestamp(p.ExpiresAt)}}, nil
}

func (h *Handler) refresh(ctx context.Context, in *refreshInput) (*authOutput, error) {
	// Check the body before the headers, because clients often send an expired JWT
	// together with the refresh token.
	if token := in.Value.RefreshToken; token != "" {
		req := requestOf(ctx)
		client := pyth.Client{IP: req.ip, UserAgent: req.r.UserAgent()}
		return authResponse(h.cfg.Accounts.Refresh(ctx, token, client))
	}
	if err := h.identify(ctx); err != nil {
		return nil, err
	}
	p := caller(ctx)
	// The answer contains a token and an API key. Scripts of the page must not be able to
	// read them.
	if requestOf(ctx).byCookie {
		return nil, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "A login in a cookie cannot be refreshed with this call. Send POST /api/v1/login-cookie."}
	}
	// Do not exchange an API key for a JWT, because the JWT would still be valid after
	// the deletion of the key.
	if p.Credential != pyth.CredentialJWT {
		return nil, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "An API key cannot be refreshed. Send refreshToken in the body, or a valid JWT as Authorization: Bearer."}
	}
	if err := h.allow(ctx, h.live.Load().limits.loginAccount, string(p.User.ID)); err != nil {
		return nil, err
	}
	return authResponse(h.cfg.Accounts.Renew(ctx, p))
}

func (h *Handler) logout(ctx context.Context, in *logoutInput) (*noOutput, error) {
	return nil, h.cfg.Accounts.Logout(ctx, caller(ctx), in.Value.RefreshToken)
}

func (h *Handler) changePassword(ctx context.Context, in *passwordInput) (*noOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	return nil, h.cfg.Accounts.ChangePassword(ctx, p, in.Value.CurrentPassword, in.Value.NewPassword)
}

func authResponse(g *pyth.Grant, err error) (*authOutput, error) {
	if err != nil {
		return nil, err
	}
	return &authOutput{Body: AuthResponse{
		Token:        g.Token,
		APIKey:       g.APIKey,
		User:         userInfo(&g.User),
		ExpiresAt:    Timestamp(g.ExpiresAt),
		RefreshToken: g.RefreshToken,
	}}, nil
}

func userInfo(u *pyth.User) UserInfo {
	return UserInfo{ID: string(u.ID), Email: u.Email, CreatedAt: Timestamp(u.CreatedAt), EmailConfirmed: new(u.EmailUnconfirmedAt.IsZero())}
}
