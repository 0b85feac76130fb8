package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Login returns a token and the API key of the account. The client needs no
// credentials.
func (c *Client) Login(ctx context.Context, email, password string) (*AuthResponse, error) {
	answer := new(AuthResponse)
	return answer, c.do(ctx, &call{method: http.MethodPost, path: "/api/login", body: &AuthRequest{Email: email, Password: password}}, answer)
}

// LoginWithCode is like Login, but for an account with a second factor. The code comes
// from the user's authenticator app, or it is a recovery code. For such an account, Login
// fails with ErrorCodeSecondFactorRequired.
func (c *Client) LoginWithCode(ctx context.Context, email, password, code string) (*AuthResponse, error) {
	answer := new(AuthResponse)
	return answer, c.do(ctx, &call{method: http.MethodPost, path: "/api/login", body: &AuthRequest{Email: email, Password: password, Code: code}}, answer)
}

// Register creates an account. The client needs no credentials.
func (c *Client) Register(ctx context.Context, r *AuthRequest) (*AuthResponse, error) {
	answer := new(AuthResponse)
	return answer, c.do(ctx, &call{method: http.MethodPost, path: "/api/register", body: r}, answer)
}

// Logout ends the login to which the client's token belongs.
func (c *Client) Logout(ctx context.Context) error {
	return c.do(ctx, &call{method: http.MethodPost, path: "/api/logout"}, nil)
}

// Verify returns the account to which the client's credentials belong, and the time at
// which they expire. An API key needs no scope for this request.
func (c *Client) Verify(ctx context.Context) (*VerifyResponse, error) {
	answer := new(VerifyResponse)
	return answer, c.do(ctx, &call{method: http.MethodPost, path: "/api/verify", repeatable: true}, answer)
}

// Me returns the account of the client.
func (c *Client) Me(ctx context.Context) (*UserInfo, error) {
	me := new(UserInfo)
	return me, c.Call(ctx, http.MethodGet, "/api/v1/me", nil, me)
}

// Info returns the version, the languages and the limits of the server.
func (c *Client) Info(ctx context.Context) (*ServerInfo, error) {
	info := new(ServerInfo)
	return info, c.Call(ctx, http.MethodGet, "/api", nil, info)
}

const keysPath = "/api/v1/keys"

// Keys returns the API keys of the account, without the keys themselves.
func (c *Client) Keys(ctx context.Context) iter.Seq2[KeyInfo, error] {
	return list(ctx, c, keysPath, nil, func(p *KeyList) ([]KeyInfo, string) { return p.Keys, p.NextCursor })
}

// CreateKey creates an API key. No later response contains the key itself.
func (c *Client) CreateKey(ctx context.Context, r *KeyRequest) (*KeyCreated, error) {
	key := new(KeyCreated)
	return key, c.do(ctx, &call{method: http.MethodPost, path: keysPath, body: r, header: idempotent(), repeatable: true}, key)
}

// DeleteKey revokes an API key.
func (c *Client) DeleteKey(ctx context.Context, id string) error {
	return c.Call(ctx, http.MethodDelete, keysPath+"/"+url.PathEscape(id), nil, nil)
}

const secretsPath = "/api/v1/secrets"

// Secrets returns the names and times of the secrets, without their values.
func (c *Client) Secrets(ctx context.Context) iter.Seq2[SecretMetadata, error] {
	return list(ctx, c, secretsPath, nil, func(p *SecretList) ([]SecretMetadata, string) { return p.Secrets, p.NextCursor })
}

// SetSecret creates a secret or replaces its value.
func (c *Client) SetSecret(ctx context.Context, name string, secret *SecretInput) (*SecretMetadata, error) {
	answer := new(SecretMetadata)
	return answer, c.Call(ctx, http.MethodPut, secretsPath+"/"+url.PathEscape(name), secret, answer)
}

// DeleteSecret deletes a secret.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	return c.Call(ctx, http.MethodDelete, secretsPath+"/"+url.PathEscape(name), nil, nil)
}

// AuditFilter selects entries of the audit log. The zero value selects all entries.
type AuditFilter struct {
	Action       AuditAction
	Outcome      Outcome
	Label        string
	Since, Until time.Time
}

// Audit returns the user's entries of the audit log, newest first.
func (c *Client) Audit(ctx context.Context, f AuditFilter) iter.Seq2[AuditEntry, error] {
	query := values(map[string]string{
		"action": string(f.Action), "outcome": string(f.Outcome), "label": f.Label, "since": timestamp(f.Since), "until": timestamp(f.Until),
	})
	return list(ctx, c, "/api/v1/audit", query, func(p *AuditList) ([]AuditEntry, string) { return p.Entries, p.NextCursor })
}

// Usage returns the usage of the user in a period, grouped by day, language or API key.
// It also returns the quotas of the user. If a parameter has its zero value, the server
// uses its default for this parameter.
func (c *Client) Usage(ctx context.Context, by UsageGroup, since, until time.Time) (*UsageReport, error) {
	report := new(UsageReport)
	query := values(map[string]string{"by": string(by), "since": timestamp(since), "until": timestamp(until)})
	return report, c.do(ctx, &call{method: http.MethodGet, path: "/api/v1/usage", query: query, repeatable: true}, report)
}
