package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// UserQuotas contains the quotas of a user. They replace the default quotas of the
// server.
type UserQuotas struct {
	_ struct{} `doc:"Limits of the account. For an absent limit, the default of the server applies."`

	ExecutionsPerDay     QuotaLimit `json:"executionsPerDay,omitzero" doc:"The maximum number of runs on one day in UTC." example:"1000"`
	CPUMsPerDay          QuotaLimit `json:"cpuMsPerDay,omitzero" doc:"The maximum processor time of runs on one day, in milliseconds." example:"3600000"`
	MemoryMiBMsPerDay    QuotaLimit `json:"memoryMibMsPerDay,omitzero" doc:"The maximum memory use of runs on one day. The server multiplies the peak memory of each run in MiB by its wall time in milliseconds, and adds these products." example:"1000000000"`
	StorageBytes         QuotaLimit `json:"storageBytes,omitzero" doc:"The maximum size of the code and output that the server stores for the account. If the maximum is reached, the server accepts only runs with store: false." example:"1073741824"`
	GenerateTokensPerDay QuotaLimit `json:"generateTokensPerDay,omitzero" doc:"The maximum number of model tokens on one day." example:"100000"`
	Sessions             QuotaLimit `json:"sessions,omitzero" doc:"The maximum number of sessions." example:"20"`
}

// QuotaLimit is a limit in a request or a response. In a request, null restores the
// default of the server.
type QuotaLimit struct {
	// The field "present" is true if the JSON object contains this limit. The field
	// "value" is nil if the limit is null.
	present bool
	value   *int64
}

// IsZero reports whether the limit is missing in the JSON object.
func (l QuotaLimit) IsZero() bool { return !l.present }

// UnmarshalJSON decodes an integer or null.
func (l *QuotaLimit) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*l = QuotaLimit{present: true}
		return nil
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return pyth.Invalid("body.quotas", "must contain integers or null")
	}
	*l = QuotaLimit{true, &n}
	return nil
}

// MarshalJSON encodes an integer or null.
func (l QuotaLimit) MarshalJSON() ([]byte, error) {
	if l.value == nil {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, *l.value, 10), nil
}

// Schema returns a JSON schema that allows an integer or null.
func (QuotaLimit) Schema(huma.Registry) *huma.Schema {
	low, high := 0.0, float64(1<<53-1)
	s := &huma.Schema{Type: huma.TypeInteger, Format: "int64", Nullable: true, Minimum: &low, Maximum: &high}
	s.PrecomputeMessages()
	return s
}

// fields returns a map from the names of the quotas to pointers to their fields.
func (q *UserQuotas) fields() map[pyth.QuotaName]*QuotaLimit {
	return map[pyth.QuotaName]*QuotaLimit{
		pyth.QuotaExecutionsPerDay: &q.ExecutionsPerDay, pyth.QuotaCPUPerDay: &q.CPUMsPerDay, pyth.QuotaMemoryPerDay: &q.MemoryMiBMsPerDay,
		pyth.QuotaStorage: &q.StorageBytes, pyth.QuotaGenerateTokensPerDay: &q.GenerateTokensPerDay, pyth.QuotaSessions: &q.Sessions,
	}
}

// AdminUser describes an account in a response to an administrator.
type AdminUser struct {
	_ struct{} `doc:"An account, as administrators see it."`

	UserInfo
	Role          Role       `json:"role" doc:"The role of the user." example:"user"`
	Disabled      bool       `json:"disabled" doc:"Whether the account is disabled. All requests with credentials of a disabled account fail." example:"false"`
	DisabledAt    Timestamp  `json:"disabledAt,omitzero" doc:"When the account was disabled. Absent if the account is enabled."`
	TOTPEnabledAt Timestamp  `json:"totpEnabledAt,omitzero" doc:"When the user enabled a second factor. Absent if the account has none."`
	Quotas        UserQuotas `json:"quotas" doc:"Limits of the account. They replace the default limits of the server."`
}

// AdminUserList is a page of accounts.
type AdminUserList struct {
	_ struct{} `doc:"A page of accounts."`

	Users []AdminUser `json:"users" doc:"The accounts, oldest first."`
	ListPage
}

// AdminUserRequest is the body of createUser.
type AdminUserRequest struct {
	_ struct{} `doc:"A new account."`

	Email    string `json:"email" minLength:"1" maxLength:"320" doc:"The e-mail address of the account." example:"ada@example.org"`
	Password string `json:"password,omitempty" minLength:"1" maxLength:"1024" format:"password" doc:"The first password. If absent, the response contains a link with which the user sets the password." example:"correct horse battery"`
	Role     Role   `json:"role,omitempty" doc:"The role of the user. If absent, the role is user." example:"user"`
}

// AdminUserCreated is the response to createUser.
type AdminUserCreated struct {
	_ struct{} `doc:"A new account."`

	AdminUser
	APIKey string     `json:"apiKey" doc:"The first API key of the account." example:"pyapi_x7Qd"`
	Reset  *ResetLink `json:"reset,omitempty" nullable:"false" doc:"A link with which the user sets the password. Absent if the request contains a password."`
}

// AdminUserChange is the body of changeUser.
type AdminUserChange struct {
	_ struct{} `doc:"Changes of an account. Absent fields do not change."`

	Disabled *bool       `json:"disabled,omitempty" nullable:"false" doc:"Whether the account is disabled. Disabling an account logs out the user, and ends the runs and the sessions of the user." example:"true"`
	Role     Role        `json:"role,omitempty" doc:"The role of the user." example:"admin"`
	Quotas   *UserQuotas `json:"quotas,omitempty" nullable:"false" doc:"New limits of the account. Null restores the default of the server. Absent limits do not change."`

	EmailConfirmed *bool `json:"emailConfirmed,omitempty" nullable:"false" doc:"True marks the e-mail address as confirmed. Other values are not allowed." example:"true"`
}

// ResetLink describes a link with which a user can set a new password once.
type ResetLink struct {
	_ struct{} `doc:"A link to set a new password. The link works once."`

	URL       string    `json:"url" doc:"The link. Send it only to the user. No other response contains the link." example:"https://api.example.org/account#reset=pyreset_x7Qd"`
	Token     string    `json:"token" doc:"The token of the link, for resetPassword." example:"pyreset_x7Qd"`
	ExpiresAt Timestamp `json:"expiresAt" doc:"When the link expires. A newer link for the same user makes this link invalid."`
}

// KeysDeleted is the response to deleteKeysOfUser.
type KeysDeleted struct {
	_ struct{} `doc:"The result of the deletion of API keys."`

	Deleted int64 `json:"deleted" doc:"The number of deleted API keys." example:"2"`
}

// Invite describes an unused invite.
type Invite struct {
	_ struct{} `doc:"An unused invite, without its code."`

	ID        string    `json:"id" doc:"The ID of the invite." example:"inv_01k7"`
	Email     string    `json:"email,omitzero" doc:"The only e-mail address that can use the invite. Absent if every address can use the invite." example:"ada@example.org"`
	CreatedAt Timestamp `json:"createdAt" doc:"When the invite was created."`
	ExpiresAt Timestamp `json:"expiresAt" doc:"When the invite expires."`
	CreatedBy string    `json:"createdBy,omitzero" doc:"The ID of the administrator who created the invite. Absent if the invite was created at the command line." example:"usr_01k7"`
}

// InviteRequest is the body of createInvite.
type InviteRequest struct {
	_ struct{} `doc:"A new invite."`

	Email       string `json:"email,omitempty" minLength:"1" maxLength:"320" doc:"The only e-mail address that can use the invite. If absent, every address can use the invite." example:"ada@example.org"`
	ExpiresInMs int64  `json:"expiresInMs,omitempty" minimum:"60000" maximum:"31536000000" doc:"The lifetime of the invite in milliseconds. If absent, the invite expires after 7 days." example:"86400000"`
}

// InviteCreated is the response to createInvite.
type InviteCreated struct {
	_ struct{} `doc:"A new invite."`

	Invite
	Code string `json:"code" doc:"The code for the field invite of registerAccount. The code is valid for one registration. No other response contains the code." example:"pyinv_x7Qd"`
	URL  string `json:"url" doc:"A link to a page where the user registers." example:"https://api.example.org/account#invite=pyinv_x7Qd"`
}

// InviteList is a page of invites.
type InviteList struct {
	_ struct{} `doc:"A page of unused invites."`

	Invites []Invite `json:"invites" doc:"The invites, oldest first."`
	ListPage
}

type (
	usersInput struct {
		Search string `query:"q" maxLength:"320" doc:"Return only users whose e-mail address contains this text, or whose ID is equal to it. Case does not matter."`
		Page
	}
	// UserRef contains the path parameter with the ID of a user. The type is exported,
	// because huma ignores unexported types.
	UserRef struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the account."`
	}
	usersOutput      struct{ Body AdminUserList }
	userRefInput     struct{ UserRef }
	adminUserOutput  struct{ Body AdminUser }
	createUserInput  struct{ jsonBody[AdminUserRequest] }
	createUserOutput struct{ Body AdminUserCreated }
	updateUserInput  struct {
		UserRef
		jsonBody[AdminUserChange]
	}
	resetOutput       struct{ Body ResetLink }
	keysDeletedOutput struct{ Body KeysDeleted }
	invitesInput      struct{ Page }
	invitesOutput     struct{ Body InviteList }
	inviteInput       struct{ jsonBody[InviteRequest] }
	inviteOutput      struct{ Body InviteCreated }
	inviteRefInput    struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the invite."`
	}
)

const (
	tagAdmin    = "Administration"
	usersPath   = "/api/v1/admin/users"
	userPath    = usersPath + "/{id}"
	invitesPath = "/api/v1/admin/invites"
	// AccountPath is the path of the account page. On this page, users can register with
	// an invite or set a new password.
	AccountPath = "/account"
)

// registerAdminOnly registers an operation for administrators.
func registerAdminOnly[I, O any](h *Handler, op operation, handle func(context.Context, *I) (*O, error)) {
	op.admin, op.scope = true, pyth.ScopeAdmin
	op.Tags = []string{tagAdmin}
	register(h, op, handle)
}

func (h *Handler) registerAdmin() {
	user := map[string]any{
		"id": "<user id>", "email": "ada@example.org", "role": "user", "disabled": false, "createdAt": "2026-04-04T08:23:21.123Z", "emailConfirmed": true,
		"quotas": map[string]any{"executionsPerDay": 1000},
	}
	reset := map[string]any{
		"url": "https://api.example.org/account#reset=<token>", "token": "<token>", "expiresAt": "2026-04-05T08:23:21.123Z",
	}
	created := map[string]any{"apiKey": "<API key>", "reset": reset}
	for name, value := range user {
		created[name] = value
	}
	has := h.cfg.Admin != nil
	const feature = "administration"
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "listUsers", Method: http.MethodGet, Path: usersPath, Summary: "List the users",
			Description: "Lists the accounts of the server, oldest first.",
		},
		answer: map[string]any{"users": []any{user}},
	}, ifEnabled(has, feature, h.listUsers))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "createUser", Method: http.MethodPost, Path: usersPath, DefaultStatus: http.StatusCreated, Summary: "Create a user",
			Description: "Creates an account, even if registration is closed. Without a password, the response contains a link with which the user sets the password.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"email": "ada@example.org"}, answer: created, action: pyth.ActionUserRegistered,
	}, ifEnabled(has, feature, h.createUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "getUser", Method: http.MethodGet, Path: userPath, Summary: "Get a user",
			Description: "Returns the account.", Errors: []int{http.StatusNotFound},
		},
		answer: user,
	}, ifEnabled(has, feature, h.getUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "changeUser", Method: http.MethodPatch, Path: userPath, Summary: "Change a user",
			Description: "Enables or disables the account, changes its role, or changes its limits. After an account is disabled, all requests with its credentials fail. Its refresh tokens are revoked immediately. Its runs and sessions end within a few seconds on all servers. You cannot disable the last enabled administrator, and you cannot change the role of this administrator.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		nullable: "body.quotas", example: map[string]any{"disabled": true}, answer: user, action: pyth.ActionUserChanged,
	}, ifEnabled(has, feature, h.updateUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteUser", Method: http.MethodDelete, Path: userPath, Summary: "Delete a user",
			Description: "Ends all runs and sessions of the user, and deletes the account with all its objects. The audit log keeps only hashes of the user's entries. The last enabled administrator cannot be deleted.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		action: pyth.ActionUserDeleted, timeout: 2 * time.Minute,
	}, ifEnabled(has, feature, h.deleteUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "createResetLink", Method: http.MethodPost, Path: userPath + "/reset-link", DefaultStatus: http.StatusCreated, Summary: "Create a reset link",
			Description: "Creates a link to set a new password. The link works once and is valid for 24 hours. It replaces earlier links of the user. The user stays logged in until the user sets the password.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: reset, action: pyth.ActionResetCreated,
	}, ifEnabled(has, feature, h.createReset))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteKeysOfUser", Method: http.MethodDelete, Path: userPath + "/keys", Summary: "Delete the API keys of a user",
			Description: "Deletes all API keys of the user. Later requests with these keys fail.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: map[string]any{"deleted": 2}, action: pyth.ActionKeysRevoked,
	}, ifEnabled(has, feature, h.deleteKeysOfUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteLoginsOfUser", Method: http.MethodDelete, Path: userPath + "/logins", Summary: "Log out a user everywhere",
			Description: "Revokes all refresh tokens of the user. A JWT stays valid until it expires.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionLoginsRevoked,
	}, ifEnabled(has, feature, h.deleteLoginsOfUser))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteTotpOfUser", Method: http.MethodDelete, Path: userPath + "/totp", Summary: "Remove the second factor of a user",
			Description: "Removes the second factor and the recovery codes of a user who has lost them. The next login needs only the password.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionTOTPDisabled,
	}, ifEnabled(has, feature, h.deleteTOTPOfUser))
	h.registerInvites(has, feature)
}

func (h *Handler) registerInvites(has bool, feature string) {
	invite := map[string]any{"id": "<invite id>", "createdAt": "2026-04-04T08:23:21.123Z", "expiresAt": "2026-04-11T08:23:21.123Z", "createdBy": "<user id>"}
	created := map[string]any{"code": "<code>", "url": "https://api.example.org/account#invite=<code>"}
	for name, value := range invite {
		created[name] = value
	}
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "listInvites", Method: http.MethodGet, Path: invitesPath, Summary: "List the invites",
			Description: "Lists the invites that nobody has used, oldest first.",
		},
		answer: map[string]any{"invites": []any{invite}},
	}, ifEnabled(has, feature, h.listInvites))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "createInvite", Method: http.MethodPost, Path: invitesPath, DefaultStatus: http.StatusCreated, Summary: "Create an invite",
			Description: "Creates an invite for one registration. Invites work if the operator has started the server with --registration=invite. The server stores only a hash of the code.",
		},
		example: map[string]any{"email": "ada@example.org"}, answer: created, action: pyth.ActionInviteCreated,
	}, ifEnabled(has, feature, h.createInvite))
	registerAdminOnly(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteInvite", Method: http.MethodDelete, Path: invitesPath + "/{id}", Summary: "Delete an invite",
			Description: "Deletes the invite. Nobody can use its code afterwards.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionInviteDeleted,
	}, ifEnabled(has, feature, h.deleteInvite))
}

func (h *Handler) listUsers(ctx context.Context, in *usersInput) (*usersOutput, error) {
	actor := caller(ctx).User.ID
	after, err := position(cursorUsers, actor, in.Cursor)
	if err != nil {
		return nil, err
	}
	users, next, err := h.cfg.Admin.Users(ctx, in.Search, pyth.UserID(after), in.Limit)
	if err != nil {
		return nil, err
	}
	out := AdminUserList{Users: make([]AdminUser, len(users)), ListPage: ListPage{NextCursor: newCursor(cursorUsers, actor, string(next))}}
	for i, u := range users {
		out.Users[i] = adminUser(u)
	}
	return &usersOutput{Body: out}, nil
}

func (h *Handler) getUser(ctx context.Context, in *userRefInput) (*adminUserOutput, error) {
	u, err := h.cfg.Admin.User(ctx, pyth.UserID(in.ID))
	if err != nil {
		return nil, err
	}
	return &adminUserOutput{Body: adminUser(u)}, nil
}

func (h *Handler) createUser(ctx context.Context, in *createUserInput) (*createUserOutput, error) {
	u, err := h.cfg.Admin.CreateUser(ctx, caller(ctx).User.ID, pyth.NewUser{
		Email: in.Value.Email, Password: in.Value.Password, Role: pyth.Role(in.Value.Role),
	})
	if err != nil {
		return nil, err
	}
	out := AdminUserCreated{AdminUser: adminUser(&u.User), APIKey: u.APIKey}
	if u.Reset != nil {
		out.Reset = h.resetLink(ctx, u.Reset)
	}
	return &createUserOutput{Body: out}, nil
}

func (h *Handler) updateUser(ctx context.Context, in *updateUserInput) (*adminUserOutput, error) {
	change := pyth.UserChange{Disabled: in.Value.Disabled}
	if confirmed := in.Value.EmailConfirmed; confirmed != nil {
		if !*confirmed {
			return nil, pyth.Invalid("body.emailConfirmed", "must be true")
		}
		change.ConfirmEmail = true
	}
	if in.Value.Role != "" {
		change.Role = new(pyth.Role(in.Value.Role))
	}
	if q := in.Value.Quotas; q != nil {
		change.Quotas = map[pyth.QuotaName]*int64{}
		for name, field := range q.fields() {
			if field.present {
				change.Quotas[name] = field.value
			}
		}
	}
	u, err := h.cfg.Admin.UpdateUser(ctx, caller(ctx).User.ID, pyth.UserID(in.ID), change)
	if err != nil {
		return nil, err
	}
	return &adminUserOutput{Body: adminUser(u)}, nil
}

func (h *Handler) deleteUser(ctx context.Context, in *userRefInput) (*noOutput, error) {
	return nil, h.cfg.Admin.DeleteUser(ctx, caller(ctx).User.ID, pyth.UserID(in.ID))
}

func (h *Handler) createReset(ctx context.Context, in *userRefInput) (*resetOutput, error) {
	r, err := h.cfg.Admin.CreateReset(ctx, caller(ctx).User.ID, pyth.UserID(in.ID))
	if err != nil {
		return nil, err
	}
	return &resetOutput{Body: *h.resetLink(ctx, r)}, nil
}

func (h *Handler) deleteKeysOfUser(ctx context.Context, in *userRefInput) (*keysDeletedOutput, error) {
	n, err := h.cfg.Admin.DeleteKeys(ctx, caller(ctx).User.ID, pyth.UserID(in.ID))
	return &keysDeletedOutput{Body: KeysDeleted{Deleted: n}}, err
}

func (h *Handler) deleteLoginsOfUser(ctx context.Context, in *userRefInput) (*noOutput, error) {
	return nil, h.cfg.Admin.DeleteLogins(ctx, caller(ctx).User.ID, pyth.UserID(in.ID))
}

func (h *Handler) deleteTOTPOfUser(ctx context.Context, in *userRefInput) (*noOutput, error) {
	return nil, h.cfg.Admin.DeleteSecondFactor(ctx, caller(ctx).User.ID, pyth.UserID(in.ID))
}

func (h *Handler) listInvites(ctx context.Context, in *invitesInput) (*invitesOutput, error) {
	actor := caller(ctx).User.ID
	after, err := position(cursorInvites, actor, in.Cursor)
	if err != nil {
		return nil, err
	}
	invites, next, err := h.cfg.Admin.Invites(ctx, pyth.InviteID(after), in.Limit)
	if err != nil {
		return nil, err
	}
	out := InviteList{Invites: make([]Invite, len(invites)), ListPage: ListPage{NextCursor: newCursor(cursorInvites, actor, string(next))}}
	for i, invite := range invites {
		out.Invites[i] = inviteInfo(invite)
	}
	return &invitesOutput{Body: out}, nil
}

func (h *Handler) createInvite(ctx context.Context, in *inviteInput) (*inviteOutput, error) {
	lifetime := time.Duration(in.Value.ExpiresInMs) * time.Millisecond
	i, code, err := h.cfg.Admin.CreateInvite(ctx, caller(ctx).User.ID, in.Value.Email, lifetime)
	if err != nil {
		return nil, err
	}
	return &inviteOutput{Body: InviteCreated{Invite: inviteInfo(i), Code: code, URL: h.link(ctx, "invite="+code)}}, nil
}

func (h *Handler) deleteInvite(ctx context.Context, in *inviteRefInput) (*noOutput, error) {
	return nil, h.cfg.Admin.DeleteInvite(ctx, caller(ctx).User.ID, pyth.InviteID(in.ID))
}

func (h *Handler) resetLink(ctx context.Context, r *pyth.Reset) *ResetLink {
	return &ResetLink{URL: h.link(ctx, "reset="+r.Token), Token: r.Token, ExpiresAt: Timestamp(r.ExpiresAt)}
}

// link returns a link to the account page. The secret is in the fragment, because
// browsers do not send the fragment to servers. So the secret does not appear in logs.
func (h *Handler) link(ctx context.Context, fragment string) string {
	base := strings.TrimSuffix(h.cfg.PublicURL, "/")
	if r := requestOf(ctx).r; base == "" && h.operator == nil {
		base = callerScheme(r, h.live.Load().TrustedProxies) + "://" + r.Host
	}
	return base + AccountPath + "#" + fragment
}

func adminUser(u *pyth.User) AdminUser {
	out := AdminUser{
		UserInfo: userInfo(u), Role: Role(u.Role), Disabled: !u.DisabledAt.IsZero(), DisabledAt: Timestamp(u.DisabledAt),
		TOTPEnabledAt: Timestamp(u.SecondFactorAt),
	}
	for name, field := range out.Quotas.fields() {
		if limit, ok := u.Quotas[name]; ok {
			*field = QuotaLimit{true, &limit}
		}
	}
	return out
}

func inviteInfo(i *pyth.Invite) Invite {
	return Invite{
		ID: string(i.ID), Email: i.Email, CreatedAt: Timestamp(i.CreatedAt), ExpiresAt: Timestamp(i.ExpiresAt), CreatedBy: string(i.CreatedBy),
	}
}
