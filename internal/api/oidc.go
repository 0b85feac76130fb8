package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// SignInRequest is the body of logInWithOidc.
type SignInRequest struct {
	_ struct{} `doc:"A sign-in at the OIDC provider."`

	SignIn   string `json:"signIn" minLength:"1" maxLength:"256" doc:"The one-time code from the fragment of the address to which the browser returned." example:"pysignin_7Q2M"`
	Verifier string `json:"verifier" minLength:"1" maxLength:"128" doc:"The text whose SHA-256 hash the client sent as codeChallenge when the sign-in began, as in PKCE (RFC 7636)." example:"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"`
	Code     string `json:"code,omitempty" maxLength:"64" doc:"A code from the authenticator app, or a recovery code. Required if the account has a second factor." example:"123456"`
}

// IdentityRequest is the body of addIdentity.
type IdentityRequest struct {
	_ struct{} `doc:"A sign-in at the OIDC provider, for the account of the caller."`

	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
	SignIn          string `json:"signIn" minLength:"1" maxLength:"256" doc:"The one-time code from the fragment of the address to which the browser returned." example:"pysignin_7Q2M"`
	Verifier        string `json:"verifier" minLength:"1" maxLength:"128" doc:"The text whose SHA-256 hash the client sent as codeChallenge when the sign-in began, as in PKCE (RFC 7636)." example:"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"`
}

// Identity describes a person at the OIDC provider who can log in to the account.
type Identity struct {
	_ struct{} `doc:"A person who can log in to the account through the OIDC provider."`

	ID         string    `json:"id" doc:"The ID of the identity." example:"idn_01k7"`
	Issuer     string    `json:"issuer" doc:"The URL of the provider." example:"https://accounts.example.org"`
	Subject    string    `json:"subject" doc:"The ID of the person at the provider." example:"248289761001"`
	Email      string    `json:"email,omitzero" doc:"The e-mail address that the provider reported when the identity was linked." example:"ada@example.org"`
	CreatedAt  Timestamp `json:"createdAt" doc:"When the identity was linked."`
	LastUsedAt Timestamp `json:"lastUsedAt,omitzero" doc:"When the identity last logged in. Absent if it never did."`
}

// IdentityList is the response to listIdentities.
type IdentityList struct {
	_ struct{} `doc:"The identities of an account."`

	Identities []Identity `json:"identities" doc:"The identities, oldest first."`
}

// OIDCInfo describes the sign-in at the OIDC provider.
type OIDCInfo struct {
	_ struct{} `doc:"The sign-in at an OIDC provider."`

	Name string `json:"name" doc:"The name of the provider. Web pages show this name on the button that begins a sign-in." example:"Example"`
	Path string `json:"path" doc:"The path that begins a sign-in in a browser." example:"/api/oidc/login"`
}

// IDs of operations with special rate limits.
const (
	opOIDCStart    = "getOidcLogin"
	opOIDCCallback = "getOidcCallback"
	opOIDCLogin    = "logInWithOidc"
)

type (
	oidcStartInput struct {
		CodeChallenge string `query:"codeChallenge" required:"true" minLength:"43" maxLength:"43" doc:"The SHA-256 hash of a random text, in base64url without padding. The client creates the text. Only a client that knows the text can use the sign-in."`
		ReturnTo      string `query:"returnTo" maxLength:"512" doc:"The path of this server to which the browser returns. If absent, the path is /account."`
	}
	oidcCallbackInput struct {
		State string `query:"state" maxLength:"256" doc:"The value of state that the server sent to the provider when the sign-in began."`
		Code  string `query:"code" maxLength:"4096" doc:"The authorization code from the provider."`
		Error string `query:"error" maxLength:"256" doc:"The error code from the provider, if the sign-in failed."`
	}
	signInInput    struct{ jsonBody[SignInRequest] }
	identityInput  struct{ jsonBody[IdentityRequest] }
	identityOutput struct{ Body Identity }
	identityList   struct{ Body IdentityList }
	identityRef    struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the identity."`
	}
)

const (
	oidcLoginPath    = "/api/oidc/login"
	oidcCallbackPath = "/api/oidc/callback"
	identitiesPath   = profilePath + "/identities"
)

// OIDCCallbackPath is the path to which the OIDC provider sends the browser.
const OIDCCallbackPath = oidcCallbackPath

func (h *Handler) registerOIDC() {
	has := h.cfg.Identities != nil
	const feature = "the sign-in at an OIDC provider"
	identity := map[string]any{
		"id": "<identity id>", "issuer": "https://accounts.example.org", "subject": "248289761001", "email": "ada@example.org",
		"createdAt": "2026-04-04T08:23:21.123Z", "lastUsedAt": "2026-04-05T08:23:21.123Z",
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opOIDCStart, Method: http.MethodGet, Path: oidcLoginPath, DefaultStatus: http.StatusFound,
			Summary: "Begin a sign-in", Tags: []string{tagAuth},
			Description: "Sends the browser to the OIDC provider. The response sets a cookie that holds the state of the sign-in for 10 minutes. GET /api says whether the server has a provider.",
			Errors:      []int{http.StatusTooManyRequests},
			Responses:   redirectForm("The browser goes to the provider."),
		},
		public: true,
	}, ifEnabled(has, feature, h.beginSignIn))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opOIDCCallback, Method: http.MethodGet, Path: oidcCallbackPath, DefaultStatus: http.StatusFound,
			Summary: "Complete a sign-in", Tags: []string{tagAuth},
			Description: "The OIDC provider sends the browser here. The server then sends the browser to the path that the client set in returnTo. The fragment of this address is #signin= with the code for logInWithOidc, or #signin-error= with an error code. Without a valid cookie the status is 401.",
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
			Responses:   redirectForm("The browser goes to the path that the client set in returnTo."),
		},
		public: true, anyQuery: true,
	}, ifEnabled(has, feature, h.completeSignIn))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opOIDCLogin, Method: http.MethodPost, Path: oidcLoginPath,
			Summary: "Log in with a sign-in", Tags: []string{tagAuth},
			Description: "Exchanges the code of a sign-in for tokens and the API key of the account. A code works once and expires after 5 minutes. The first login of a person creates an account, if the operator allows it. If an account with the e-mail address of the person exists, but is not linked to the person, the error code is identity_not_linked. If the account has a second factor, a request without the field code fails as in logIn. The client can then send the same sign-in again with a code.",
			Errors:      []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests},
		},
		public: true, example: map[string]any{"signIn": "<code of the sign-in>", "verifier": "<verifier>"}, answer: exampleAuthResponse(), action: pyth.ActionUserLogin,
	}, ifEnabled(has, feature, h.logInWithOIDC))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "listIdentities", Method: http.MethodGet, Path: identitiesPath,
			Summary: "List the identities", Tags: []string{tagAuth},
			Description: "Lists the persons who can log in to the account through the OIDC provider.",
		},
		answer: map[string]any{"identities": []any{identity}},
	}, ifEnabled(has, feature, h.listIdentities))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "addIdentity", Method: http.MethodPost, Path: identitiesPath, DefaultStatus: http.StatusCreated,
			Summary: "Link a sign-in to the account", Tags: []string{tagAuth},
			Description: "Creates a link between the account and the person who signed in at the provider. The person can then log in without the password.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"currentPassword": "correct horse battery", "signIn": "<code of the sign-in>", "verifier": "<verifier>"}, answer: identity,
		action: pyth.ActionIdentityLinked,
	}, ifEnabled(has, feature, h.addIdentity))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "deleteIdentity", Method: http.MethodDelete, Path: identitiesPath + "/{id}",
			Summary: "Delete an identity", Tags: []string{tagAuth},
			Description: "Deletes the link between the person and the account. Existing logins of the person stay valid until they end.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionIdentityUnlinked,
	}, ifEnabled(has, feature, h.deleteIdentity))
}

func (h *Handler) beginSignIn(ctx context.Context, in *oidcStartInput) (*noOutput, error) {
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(in.CodeChallenge)
	if err != nil || len(challenge) != 32 {
		return nil, pyth.Invalid("query.codeChallenge", "must be the SHA-256 of the verifier, in base64url without padding")
	}
	returnTo := in.ReturnTo
	if returnTo == "" {
		returnTo = AccountPath
	}
	if !isLocalPath(returnTo) {
		return nil, pyth.Invalid("query.returnTo", "must be a path of this server, for example /account")
	}
	start, err := h.cfg.Identities.Begin(ctx, [32]byte(challenge), returnTo)
	if err != nil {
		return nil, err
	}
	cookie := h.stateCookie()
	cookie.Value, cookie.MaxAge = start.State, 600
	return redirect(ctx, start.URL, cookie)
}

// redirect sends the browser to the address "target", and sets the cookie.
func redirect(ctx context.Context, target string, cookie *http.Cookie) (*noOutput, error) {
	w := requestOf(ctx).w
	w.Header().Set("Location", target)
	http.SetCookie(w, cookie)
	return nil, nil
}

// redirectForm describes the response of redirect. Redocly's recommended rules want a 2xx
// response or a default response for each operation.
func redirectForm(description string) map[string]*huma.Response {
	return map[string]*huma.Response{
		strconv.Itoa(http.StatusFound): {
			Description: description,
			Headers: map[string]*huma.Param{
				"Location":   stringHeader("The address to which the browser goes."),
				"Set-Cookie": stringHeader("The cookie with the encrypted state of the sign-in."),
			},
		},
		"default": {
			Description: "The request failed.",
			Content:     map[string]*huma.MediaType{problem.MediaType: {Schema: &huma.Schema{Ref: schemaPrefix + "Error"}}},
		},
	}
}

// isLocalPath reports whether the text is a clean path without a host, a query or a
// fragment. Browsers treat a backslash like a slash. So a text that begins with // or /\
// contains a host.
func isLocalPath(s string) bool {
	if !strings.HasPrefix(s, "/") || s != path.Clean(s) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`\?#%"<>`, c) >= 0 {
			return false
		}
	}
	return true
}

// stateCookie returns the cookie for the state of a sign-in. The cookie has no value yet.
// The prefix __Host- means that browsers accept the cookie only from this host.
func (h *Handler) stateCookie() *http.Cookie {
	c := &http.Cookie{Name: "pyth-on-oidc", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(h.cfg.PublicURL, "https://") {
		c.Name, c.Secure = "__Host-"+c.Name, true
	}
	return c
}

func (h *Handler) completeSignIn(ctx context.Context, in *oidcCallbackInput) (*noOutput, error) {
	cookie := h.stateCookie()
	result, err := h.cfg.Identities.Complete(ctx, pyth.SignInCallback{
		Cookie: cookieValue(requestOf(ctx).r, cookie.Name), State: in.State, Code: in.Code, Error: in.Error,
	})
	if err != nil && result.ReturnTo == "" {
		return nil, err
	}
	fragment := "signin=" + url.QueryEscape(result.Code)
	if err != nil {
		requestOf(ctx).err = err // For the access log.
		fragment = "signin-error=" + url.QueryEscape(string(pyth.ErrorCode(err)))
	}
	cookie.MaxAge = -1
	return redirect(ctx, strings.TrimSuffix(h.cfg.PublicURL, "/")+result.ReturnTo+"#"+fragment, cookie)
}

func (h *Handler) logInWithOIDC(ctx context.Context, in *signInInput) (*authOutput, error) {
	return authResponse(h.cfg.Identities.LogInWith(ctx, in.Value.SignIn, in.Value.Verifier, in.Value.Code))
}

func (h *Handler) listIdentities(ctx context.Context, _ *noInput) (*identityList, error) {
	all, err := h.cfg.Identities.Identities(ctx, caller(ctx))
	if err != nil {
		return nil, err
	}
	out := IdentityList{Identities: make([]Identity, len(all))}
	for i, identity := range all {
		out.Identities[i] = identityInfo(identity)
	}
	return &identityList{Body: out}, nil
}

func (h *Handler) addIdentity(ctx context.Context, in *identityInput) (*identityOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	i, err := h.cfg.Identities.Link(ctx, p, in.Value.CurrentPassword, in.Value.SignIn, in.Value.Verifier)
	if err != nil {
		return nil, err
	}
	return &identityOutput{Body: identityInfo(i)}, nil
}

func (h *Handler) deleteIdentity(ctx context.Context, in *identityRef) (*noOutput, error) {
	return nil, h.cfg.Identities.Unlink(ctx, caller(ctx), pyth.IdentityID(in.ID))
}

func identityInfo(i *pyth.Identity) Identity {
	return Identity{
		ID: string(i.ID), Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, CreatedAt: Timestamp(i.CreatedAt), LastUsedAt: Timestamp(i.LastUsedAt),
	}
}
