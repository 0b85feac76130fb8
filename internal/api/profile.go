package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// AccountChangeRequest is the body of changeAccount.
type AccountChangeRequest struct {
	_ struct{} `doc:"A change of the account."`

	Email           string `json:"email,omitempty" minLength:"1" maxLength:"320" doc:"The new e-mail address. If absent, the address does not change." example:"ada@example.com"`
	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
}

// AccountDeletionRequest is the body of deleteAccount.
type AccountDeletionRequest struct {
	_ struct{} `doc:"The password that confirms the deletion of the account."`

	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
}

// LoginInfo describes a login.
type LoginInfo struct {
	_ struct{} `doc:"A login on one client: its first refresh token, and all tokens that replaced this token."`

	ID         string    `json:"id" doc:"The ID of the login." example:"fam_01k7"`
	CreatedAt  Timestamp `json:"createdAt" doc:"When the user logged in."`
	LastUsedAt Timestamp `json:"lastUsedAt" doc:"When the login last received a refresh token."`
	ExpiresAt  Timestamp `json:"expiresAt" doc:"The time at which the login ends if it is not used. Each refresh moves this time forward."`
	IP         string    `json:"ip,omitzero" doc:"The IP address of the last client." example:"192.0.2.7"`
	UserAgent  string    `json:"userAgent,omitzero" doc:"The User-Agent of the last client, at most 256 bytes." example:"curl/8.5.0"`
	Current    bool      `json:"current" doc:"Whether the token of this request belongs to the login." example:"false"`
}

// LoginList is a page of logins.
type LoginList struct {
	_ struct{} `doc:"A page of logins."`

	Logins []LoginInfo `json:"logins" doc:"The active logins, oldest first."`
	ListPage
}

// ForgotRequest is the body of createPasswordReset.
type ForgotRequest struct {
	_ struct{} `doc:"The account of a user who has forgotten the password."`

	Email string `json:"email" minLength:"1" maxLength:"320" doc:"The e-mail address of the account." example:"ada@example.org"`
}

// ResetRequest is the body of replaceForgottenPassword.
type ResetRequest struct {
	_ struct{} `doc:"A reset token and the new password."`

	Token       string `json:"token" minLength:"1" maxLength:"256" doc:"The token from the mail, or from the operator." example:"pyreset_7Q2M"`
	NewPassword string `json:"newPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The new password: 8 to 128 characters. All characters are allowed. The password must not be a very common password or the e-mail address." example:"staple of another kind"`
}

// IDs of operations with special rate limits.
const (
	opForgot = "createPasswordReset"
	opReset  = "replaceForgottenPassword"
)

type (
	profileOutput        struct{ Body UserInfo }
	accountChangeInput   struct{ jsonBody[AccountChangeRequest] }
	accountDeletionInput struct {
		jsonBody[AccountDeletionRequest]
	}
	loginsInput   struct{ Page }
	loginsOutput  struct{ Body LoginList }
	loginRefInput struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the login."`
	}
	forgotInput struct{ jsonBody[ForgotRequest] }
	resetInput  struct{ jsonBody[ResetRequest] }
)

const (
	profilePath = "/api/v1/me"
	loginsPath  = "/api/v1/logins"
)

func (h *Handler) registerProfiles() {
	user := map[string]any{"id": "<user id>", "email": "ada@example.org", "createdAt": "2026-04-04T08:23:21.123Z", "emailConfirmed": true}
	has := h.cfg.Profiles != nil
	const feature = "changes of accounts"
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "getAccount", Method: http.MethodGet, Path: profilePath,
			Summary: "Get the account", Tags: []string{tagAuth},
			Description: "Returns the account of the credentials.",
		},
		answer: user,
	}, h.getAccount)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "changeAccount", Method: http.MethodPatch, Path: profilePath,
			Summary: "Change the account", Tags: []string{tagAuth},
			Description: "Changes the e-mail address of the account. If the server asks for confirmations, it sends a link to the new address, which is not confirmed until the user opens the link.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"email": "ada@example.com", "currentPassword": "correct horse battery"}, answer: user, action: pyth.ActionEmailChanged,
	}, ifEnabled(has, feature, h.changeAccount))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "deleteAccount", Method: http.MethodDelete, Path: profilePath,
			Summary: "Delete the account", Tags: []string{tagAuth},
			Description: "Ends all runs and sessions, and deletes the account with all of its data. The audit log keeps only the hashes of its entries. The last enabled administrator cannot delete the account.",
			Errors:      []int{http.StatusConflict},
		},
		timeout: h.cfg.Limits.MaxTimeout + queueAllowance,
		example: map[string]any{"currentPassword": "correct horse battery"}, action: pyth.ActionUserDeleted,
	}, ifEnabled(has, feature, h.deleteAccount))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "listLogins", Method: http.MethodGet, Path: loginsPath,
			Summary: "List the active logins", Tags: []string{tagAuth},
			Description: "Lists the active logins of the account, oldest first.",
		},
		answer: map[string]any{"logins": []any{map[string]any{
			"id": "<login id>", "createdAt": "2026-04-04T08:23:21.123Z", "lastUsedAt": "2026-04-05T08:23:21.123Z", "expiresAt": "2026-05-05T08:23:21.123Z",
			"ip": "192.0.2.7", "userAgent": "curl/8.5.0", "current": true,
		}}},
	}, ifEnabled(has, feature, h.listLogins))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "deleteLogin", Method: http.MethodDelete, Path: loginsPath + "/{id}",
			Summary: "Revoke a login", Tags: []string{tagAuth},
			Description: "Revokes all refresh tokens of the login. A JWT of the login stays valid until it expires.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionLoginRevoked,
	}, ifEnabled(has, feature, h.deleteLogin))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opForgot, Method: http.MethodPost, Path: "/api/password/forgot", DefaultStatus: http.StatusAccepted,
			Summary: "Request a reset token by mail", Tags: []string{tagAuth},
			Description: "Sends a reset token to the e-mail address of the account. The response does not say whether the account exists. If the server sends no mail, ask the operator for a token.",
			Errors:      []int{http.StatusTooManyRequests},
		},
		public: true, example: map[string]any{"email": "ada@example.org"},
	}, h.forgotPassword)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opReset, Method: http.MethodPost, Path: "/api/password/reset", DefaultStatus: http.StatusNoContent,
			Summary: "Set a new password with a reset token", Tags: []string{tagAuth},
			Description: "Sets a new password and revokes all refresh tokens of the account. You can use a reset token once.",
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		public: true, example: map[string]any{"token": "<reset token>", "newPassword": "staple of another kind"}, action: pyth.ActionPasswordReset,
	}, ifEnabled(has, feature, h.resetPassword))
	h.registerConfirmations(has, feature)
	h.registerExport()
}

func (h *Handler) getAccount(ctx context.Context, _ *noInput) (*profileOutput, error) {
	return &profileOutput{Body: userInfo(&caller(ctx).User)}, nil
}

func (h *Handler) changeAccount(ctx context.Context, in *accountChangeInput) (*profileOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	email := in.Value.Email
	if email == "" {
		email = p.User.Email
	} else if h.cfg.SendConfirmation != nil {
		// The server sends a mail to the new address, so limit the number of addresses.
		if err := h.allow(ctx, h.live.Load().limits.confirmAccount, string(p.User.ID)); err != nil {
			return nil, err
		}
	}
	u, err := h.cfg.Profiles.ChangeEmail(ctx, p, email, in.Value.CurrentPassword)
	if err != nil {
		return nil, err
	}
	if pyth.EmailKey(u.Email) != pyth.EmailKey(p.User.Email) {
		h.sendConfirmation(ctx, u)
	}
	return &profileOutput{Body: userInfo(u)}, nil
}

func (h *Handler) deleteAccount(ctx context.Context, in *accountDeletionInput) (*noOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	return nil, h.cfg.Profiles.DeleteAccount(ctx, p, in.Value.CurrentPassword)
}

func (h *Handler) listLogins(ctx context.Context, in *loginsInput) (*loginsOutput, error) {
	p := caller(ctx)
	after, err := position(cursorLogins, p.User.ID, in.Cursor)
	if err != nil {
		return nil, err
	}
	// Read one login more than the page contains, to find out whether there is a next
	// page.
	all, err := h.cfg.Profiles.Logins(ctx, p, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := LoginList{Logins: make([]LoginInfo, min(len(all), in.Limit))}
	for i := range out.Logins {
		out.Logins[i] = loginInfo(all[i], p.FamilyID)
	}
	if len(all) > in.Limit {
		out.NextCursor = newCursor(cursorLogins, p.User.ID, all[in.Limit-1].ID)
	}
	return &loginsOutput{Body: out}, nil
}

func loginInfo(l *pyth.Login, current string) LoginInfo {
	return LoginInfo{
		ID: l.ID, CreatedAt: Timestamp(l.CreatedAt), LastUsedAt: Timestamp(l.LastUsedAt), ExpiresAt: Timestamp(l.ExpiresAt),
		IP: l.Client.IP, UserAgent: l.Client.UserAgent, Current: l.ID == current,
	}
}

func (h *Handler) deleteLogin(ctx context.Context, in *loginRefInput) (*noOutput, error) {
	return nil, h.cfg.Profiles.DeleteLogin(ctx, caller(ctx), in.ID)
}

// forgotPassword passes the address to the mailer. The mailer looks for the account after
// the response. So the duration of the request does not show whether the account exists.
func (h *Handler) forgotPassword(ctx context.Context, in *forgotInput) (*noOutput, error) {
	allowed, err := h.allowMail(ctx, h.live.Load().limits.resetAccount, policyResetAccount, in.Value.Email)
	if err != nil {
		return nil, err
	}
	if allowed && h.cfg.SendReset != nil {
		h.cfg.SendReset(in.Value.Email)
	}
	return nil, nil
}

func (h *Handler) resetPassword(ctx context.Context, in *resetInput) (*noOutput, error) {
	_, err := h.cfg.Profiles.ResetPassword(ctx, in.Value.Token, in.Value.NewPassword)
	return nil, err
}
