package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// AuthRequest is what register and login take.
type AuthRequest struct {
	Email    string `json:"email" minLength:"1" maxLength:"320" doc:"The account's e-mail address, at most 254 characters. Case does not matter." example:"ada@example.org"`
	Password string `json:"password" minLength:"1" maxLength:"1024" format:"password" doc:"8 to 128 characters of any kind; none of the commonest passwords, and not the e-mail." example:"correct horse battery"`
	Invite   string `json:"invite,omitempty" maxLength:"256" doc:"The invite, where registration needs one. Login does not look at it."`
}

// AuthResponse is what a caller gets who has proved who they are.
type AuthResponse struct {
	Token        string    `json:"token" doc:"A JWT for Authorization: Bearer."`
	APIKey       string    `json:"apiKey,omitzero" doc:"The account's first API key for x-api-key; absent if it was deleted."`
	User         UserInfo  `json:"user"`
	ExpiresAt    Timestamp `json:"expiresAt" doc:"When the token ends."`
	RefreshToken string    `json:"refreshToken,omitzero" doc:"Good for one refresh; absent where none was used to get this answer."`
}

// UserInfo is an account.
type UserInfo struct {
	ID        string    `json:"id"`
	Email     string    `json:"email" example:"ada@example.org"`
	CreatedAt Timestamp `json:"createdAt"`
}

// VerifyRequest may carry the credential to verify.
type VerifyRequest struct {
	Token string `json:"token,omitempty" minLength:"1" maxLength:"8192" doc:"A JWT or an API key; then the headers are not looked at."`
}

// VerifyResponse says whose the credentials are.
type VerifyResponse struct {
	Valid     bool      `json:"valid" doc:"Always true: what is not valid is answered with 401."`
	User      UserInfo  `json:"user"`
	ExpiresAt Timestamp `json:"expiresAt,omitzero" doc:"When the credential ends; absent if it does not."`
}

// RefreshRequest carries a refresh token.
type RefreshRequest struct {
	RefreshToken string `json:"refreshToken,omitempty" minLength:"1" maxLength:"1024"`
}

// PasswordRequest changes the password.
type PasswordRequest struct {
	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password"`
	NewPassword     string `json:"newPassword" minLength:"1" maxLength:"1024" format:"password" doc:"8 to 128 characters of any kind; none of the commonest passwords, and not the e-mail."`
}

// Ids of the operations that the rate limits treat apart.
const (
	opRegister = "register"
	opLogin    = "login"
	opVerify   = "verify"
	opRefresh  = "refresh"
)

const tagAuth = "Auth"

type (
	authInput     struct{ body[AuthRequest] }
	refreshInput  struct{ body[RefreshRequest] }
	verifyInput   struct{ body[VerifyRequest] }
	passwordInput struct{ body[PasswordRequest] }
	logoutInput   struct{ body[RefreshRequest] }
	authOutput    struct{ Body AuthResponse }
	verifyOutput  struct{ Body VerifyResponse }
	noOutput      struct{}
)

func (h *Handler) registerAccounts() {
	exampleAuth := map[string]any{"email": "ada@example.org", "password": "correct horse battery"}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opRegister, Method: http.MethodPost, Path: "/api/register", DefaultStatus: http.StatusCreated,
			Summary: "Make an account", Tags: []string{tagAuth},
			Description: "Makes an account with its first API key. Whether this is open to all, needs an invite or is closed is the operator's choice.",
			Errors:      []int{http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests},
		},
		public: true, example: exampleAuth, answer: exampleAuthResponse(), action: pyth.ActionUserRegistered,
	}, h.registerAccount)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opLogin, Method: http.MethodPost, Path: "/api/login",
			Summary: "Log in", Tags: []string{tagAuth},
			Description: "Exchanges e-mail and password for a JWT, a refresh token and the account's API key. The answer takes the same time whether or not the account exists.",
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		public: true, example: exampleAuth, answer: exampleAuthResponse(), action: pyth.ActionUserLogin,
	}, h.login)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opVerify, Method: http.MethodPost, Path: "/api/verify",
			Summary: "Verify credentials", Tags: []string{tagAuth},
			Description: "Tells whose the credentials are: those of the headers, or the token of the body.",
			// Any of these or a token in the body; {} says that none is required.
			Security: append(credentialsRequired(), map[string][]string{}),
			Errors:   []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		optionalCredentials: true, bodyOptional: true,
	}, h.verify)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opRefresh, Method: http.MethodPost, Path: "/api/refresh",
			Summary: "Get a new token", Tags: []string{tagAuth},
			Description: "Exchanges a refresh token for a new JWT and a new refresh token, or a still valid JWT in the header for a new JWT. A refresh token is good for one exchange: using it again revokes all that came of the same login.",
			Security:    append([]map[string][]string{{schemeBearer: {}}}, map[string][]string{}),
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		optionalCredentials: true, bodyOptional: true, answer: exampleAuthResponse(), action: pyth.ActionTokenRefreshed,
	}, h.refresh)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "logout", Method: http.MethodPost, Path: "/api/logout",
			Summary: "Log out", Tags: []string{tagAuth},
			Description: "Revokes the refresh token and all that came of the same login; without a token, all of the account's refresh tokens. A JWT stays valid until it expires.",
		},
		bodyOptional: true,
	}, h.logout)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "changePassword", Method: http.MethodPut, Path: "/api/password",
			Summary: "Change the password", Tags: []string{tagAuth},
			Description: "Replaces the password and revokes all refresh tokens of the account.",
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
		"user":         map[string]any{"id": "<user id>", "email": "ada@example.org", "createdAt": "2026-04-04T08:23:21.123Z"},
		"expiresAt":    "2026-04-04T09:23:21.123Z",
		"refreshToken": "<refresh token>",
	}
}

func (h *Handler) registerAccount(ctx context.Context, in *authInput) (*authOutput, error) {
	if err := h.allow(ctx, h.limits.loginAccount, accountKey(in.Value.Email)); err != nil {
		return nil, err
	}
	return authAnswer(h.cfg.Accounts.Register(ctx, in.Value.Email, in.Value.Password, in.Value.Invite))
}

func (h *Handler) login(ctx context.Context, in *authInput) (*authOutput, error) {
	if err := h.allow(ctx, h.limits.loginAccount, accountKey(in.Value.Email)); err != nil {
		return nil, err
	}
	return authAnswer(h.cfg.Accounts.Login(ctx, in.Value.Email, in.Value.Password))
}

func (h *Handler) verify(ctx context.Context, in *verifyInput) (*verifyOutput, error) {
	if token := in.Value.Token; token != "" {
		c := pyth.Credentials{Bearer: token}
		if strings.HasPrefix(token, keyPrefix) {
			c = pyth.Credentials{APIKey: token}
		}
		p, err := h.cfg.Accounts.Authenticate(ctx, c)
		if err != nil {
			return nil, err
		}
		requestOf(ctx).principal = p
	} else if err := h.identify(ctx, in.r.Header); err != nil {
		return nil, err
	}
	p := caller(ctx)
	return &verifyOutput{Body: VerifyResponse{Valid: true, User: userInfo(&p.User), ExpiresAt: Timestamp(p.ExpiresAt)}}, nil
}

func (h *Handler) refresh(ctx context.Context, in *refreshInput) (*authOutput, error) {
	// The body comes first: who sends a refresh token often sends the expired
	// JWT along.
	if token := in.Value.RefreshToken; token != "" {
		client := pyth.Client{IP: requestOf(ctx).ip, UserAgent: in.r.UserAgent()}
		return authAnswer(h.cfg.Accounts.Refresh(ctx, token, client))
	}
	if err := h.identify(ctx, in.r.Header); err != nil {
		return nil, err
	}
	p := caller(ctx)
	// A key does not expire, so a token got by it would outlive its deletion.
	if p.Credential != pyth.CredentialJWT {
		return nil, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "Send refreshToken in the body, or a valid JWT as Authorization: Bearer. An API key is not enough."}
	}
	if err := h.allow(ctx, h.limits.loginAccount, string(p.User.ID)); err != nil {
		return nil, err
	}
	return authAnswer(h.cfg.Accounts.Renew(ctx, p))
}

func (h *Handler) logout(ctx context.Context, in *logoutInput) (*noOutput, error) {
	return nil, h.cfg.Accounts.Logout(ctx, caller(ctx), in.Value.RefreshToken)
}

func (h *Handler) changePassword(ctx context.Context, in *passwordInput) (*noOutput, error) {
	p := caller(ctx)
	// Who has stolen a token must not get to guess the password with it.
	if err := h.allow(ctx, h.limits.loginAccount, accountKey(p.User.Email)); err != nil {
		return nil, err
	}
	return nil, h.cfg.Accounts.ChangePassword(ctx, p, in.Value.CurrentPassword, in.Value.NewPassword)
}

func authAnswer(g *pyth.Grant, err error) (*authOutput, error) {
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
	return UserInfo{ID: string(u.ID), Email: u.Email, CreatedAt: Timestamp(u.CreatedAt)}
}
