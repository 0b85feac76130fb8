package api

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// loginCookiePath is the path of the operations that set and delete the cookies of a
// login. Browsers send the refresh token only to this path.
const loginCookiePath = "/api/v1/login-cookie"

// cookieLifetime is the time after which browsers delete the refresh token. It is the
// longest lifetime that browsers allow. The server itself checks the expiry of the token.
const cookieLifetime = 400 * 24 * time.Hour

// LoginCookieRequest is the body of storeLoginCookie.
type LoginCookieRequest struct {
	_ struct{} `doc:"The refresh token of a login."`

	RefreshToken string `json:"refreshToken,omitempty" minLength:"1" maxLength:"1024" doc:"The refresh token from the last response of registerAccount, logIn or refreshToken. If absent, the server uses the refresh token in the cookie." example:"rt_9b1c"`
}

// LoginCookie describes the current login.
type LoginCookie struct {
	_ struct{} `doc:"The account of the current login."`

	User      UserInfo  `json:"user" doc:"The account."`
	Role      Role      `json:"role" doc:"The role of the account." example:"user"`
	ExpiresAt Timestamp `json:"expiresAt,omitzero" doc:"When the credentials expire. Absent for an API key that does not expire."`
}

// IDs of operations with special rate limits.
const (
	opStoreLoginCookie  = "storeLoginCookie"
	opDeleteLoginCookie = "deleteLoginCookie"
)

type (
	loginCookieInput  struct{ jsonBody[LoginCookieRequest] }
	loginCookieOutput struct{ Body LoginCookie }
)

func (h *Handler) registerLoginCookie() {
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opStoreLoginCookie, Method: http.MethodPost, Path: loginCookiePath,
			Summary: "Store a login in cookies", Tags: []string{tagAuth},
			Description: "Exchanges a refresh token and stores the new credentials in cookies that scripts cannot read. A page of this server then needs no other credentials. " +
				"Without a body, the server exchanges the refresh token in the cookie. The server refuses requests from pages of other origins.",
			Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests},
		},
		public: true, bodyOptional: true, example: map[string]any{"refreshToken": "<refresh token>"}, action: pyth.ActionTokenRefreshed,
		answer: exampleLoginCookie(),
	}, h.storeLoginCookie)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "getLoginCookie", Method: http.MethodGet, Path: loginCookiePath,
			Summary: "Get the current login", Tags: []string{tagAuth},
			Description: "Returns the account of the credentials with its role. A page of this server calls it to find out whether a user is logged in.",
		},
		answer: exampleLoginCookie(),
	}, h.getLoginCookie)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opDeleteLoginCookie, Method: http.MethodDelete, Path: loginCookiePath,
			Summary: "Log out and delete the cookies", Tags: []string{tagAuth},
			Description: "Revokes the refresh token in the cookie and all other refresh tokens of the same login, and deletes the cookies.",
			Errors:      []int{http.StatusForbidden, http.StatusTooManyRequests},
		},
		public: true,
	}, h.deleteLoginCookie)
}

func exampleLoginCookie() any {
	return map[string]any{
		"user": map[string]any{"id": "<user id>", "email": "ada@example.org", "createdAt": "2026-04-04T08:23:21.123Z", "emailConfirmed": true},
		"role": "user", "expiresAt": "2026-04-04T09:23:21.123Z",
	}
}

func loginCookie(u *pyth.User, expires time.Time) *loginCookieOutput {
	role := u.Role
	if role == "" {
		role = pyth.RoleUser
	}
	return &loginCookieOutput{Body: LoginCookie{User: userInfo(u), Role: Role(role), ExpiresAt: Timestamp(expires)}}
}

func (h *Handler) getLoginCookie(ctx context.Context, _ *noInput) (*loginCookieOutput, error) {
	p := caller(ctx)
	return loginCookie(&p.User, p.ExpiresAt), nil
}

func (h *Handler) storeLoginCookie(ctx context.Context, in *loginCookieInput) (*loginCookieOutput, error) {
	req := requestOf(ctx)
	if err := h.checkSameOrigin(req.r); err != nil {
		return nil, err
	}
	token := in.Value.RefreshToken
	if token == "" {
		token = cookieValue(req.r, h.refreshCookie(req.r))
	}
	if token == "" {
		return nil, pyth.Errorf(pyth.CodeUnauthenticated, "The request has no refresh token. Log in, and send the refresh token in the field refreshToken.")
	}
	g, err := h.cfg.Accounts.Refresh(ctx, token, pyth.Client{IP: req.ip, UserAgent: req.r.UserAgent()})
	if err != nil {
		return nil, err
	}
	h.setCookie(req, h.refreshCookie(req.r), loginCookiePath, g.RefreshToken, cookieLifetime)
	h.setCookie(req, h.tokenCookie(req.r), "/api", g.Token, g.ExpiresAt.Sub(h.now()))
	return loginCookie(&g.User, g.ExpiresAt), nil
}

func (h *Handler) deleteLoginCookie(ctx context.Context, _ *noInput) (*noOutput, error) {
	req := requestOf(ctx)
	if err := h.checkSameOrigin(req.r); err != nil {
		return nil, err
	}
	token := cookieValue(req.r, h.refreshCookie(req.r))
	h.setCookie(req, h.refreshCookie(req.r), loginCookiePath, "", -1)
	h.setCookie(req, h.tokenCookie(req.r), "/api", "", -1)
	if token == "" {
		return nil, nil
	}
	// The JWT in the first cookie may have expired. So exchange the refresh token for a
	// new JWT.
	g, err := h.cfg.Accounts.Refresh(ctx, token, pyth.Client{IP: req.ip, UserAgent: req.r.UserAgent()})
	if err != nil {
		if pyth.ErrorCode(err) == pyth.CodeInvalidCredentials {
			return nil, nil // The login has already ended.
		}
		return nil, err
	}
	return nil, h.cfg.Accounts.Logout(ctx, &pyth.Principal{User: g.User, Credential: pyth.CredentialJWT}, g.RefreshToken)
}

// cookieCredentials returns the credentials in the cookie that a page of this server
// sent. Without a cookie, it returns no credentials. If a page of another origin sent the
// request, it returns an error.
func (h *Handler) cookieCredentials(r *http.Request) (pyth.Credentials, error) {
	token := cookieValue(r, h.tokenCookie(r))
	if token == "" {
		return pyth.Credentials{}, nil
	}
	if err := h.checkSameOrigin(r); err != nil {
		return pyth.Credentials{}, err
	}
	return pyth.Credentials{Bearer: token}, nil
}

// checkSameOrigin returns an error if a page of another origin sent the request.
// Otherwise such a page could use the cookies of the user (CSRF). The function itself
// checks Sec-Fetch-Site, because http.CrossOriginProtection allows all GET requests. For
// other methods, browsers that do not support Sec-Fetch-Site send the header Origin,
// which http.CrossOriginProtection checks.
func (h *Handler) checkSameOrigin(r *http.Request) error {
	site := r.Header.Get("Sec-Fetch-Site")
	if (site == "" || site == "same-origin" || site == "none") && h.crossOrigin.Check(r) == nil {
		return nil
	}
	return pyth.Errorf(pyth.CodeForbidden, "A page of another origin sent the request, and cookies are valid only for pages of this server. Send an API key in the header x-api-key.")
}

// tokenCookie and refreshCookie return the names of the cookies. All servers on a host
// share their cookies. So the names contain the port of the server.
func (h *Handler) tokenCookie(r *http.Request) string   { return h.cookieName(r, "token") }
func (h *Handler) refreshCookie(r *http.Request) string { return h.cookieName(r, "refresh") }

func (h *Handler) cookieName(r *http.Request, kind string) string {
	name := "pyth-on-" + kind
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "-" + port
	}
	if h.servesHTTPS(r) {
		// Use this prefix, because pages on other hosts of the same domain cannot set
		// cookies with this prefix (RFC 6265bis, section 4.1.3.2).
		return "__Host-" + name
	}
	return name
}

// servesHTTPS reports whether users reach the server over HTTPS.
func (h *Handler) servesHTTPS(r *http.Request) bool {
	return strings.HasPrefix(h.cfg.PublicURL, "https://") || callerScheme(r, h.live.Load().TrustedProxies) == "https"
}

func (h *Handler) setCookie(req *request, name, path, value string, lifetime time.Duration) {
	maxAge := int(lifetime.Seconds())
	if value == "" {
		maxAge = -1 // Delete the cookie.
	}
	secure := h.servesHTTPS(req.r)
	if secure {
		path = "/" // Browsers accept the prefix __Host- only with this path.
	}
	http.SetCookie(req.w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	})
}

// cookieValue returns the value of the cookie with the given name. It returns "" if the
// request has no cookie with this name. It also returns "" for several cookies with this
// name, because a page of another host may have set one of them.
func cookieValue(r *http.Request, name string) string {
	cookies := r.CookiesNamed(name)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}
