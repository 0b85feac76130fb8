package pyth

import "slices"

// Scope is a set of operations that an API key allows.
type Scope string

// Scopes of API keys. docs/accounts.md describes what each scope allows.
const (
	ScopeExecute      Scope = "execute"
	ScopeSessions     Scope = "sessions"
	ScopeSecretsRead  Scope = "secrets:read"
	ScopeSecretsWrite Scope = "secrets:write"
	ScopePackages     Scope = "packages"
	ScopeZK           Scope = "zk"
	ScopeAuditRead    Scope = "audit:read"
	ScopeAccount      Scope = "account"
	ScopeAdmin        Scope = "admin"
)

// Scopes returns all scopes.
func Scopes() []Scope { return append(DefaultScopes(), ScopeAdmin) }

// DefaultScopes returns the scopes of a key whose request contains no scopes. The
// result contains all scopes except ScopeAdmin.
func DefaultScopes() []Scope {
	return []Scope{
		ScopeExecute, ScopeSessions, ScopeSecretsRead, ScopeSecretsWrite, ScopePackages, ScopeZK, ScopeAuditRead, ScopeAccount,
	}
}

// Has reports whether the credential allows operations with the scope. Scopes limit
// only API keys. A JWT has no limit.
func (p *Principal) Has(s Scope) bool {
	return p.Credential != CredentialAPIKey || slices.Contains(p.Scopes, s)
}

// Require returns an error with CodeMissingScope if the credential does not allow
// operations with the scope.
func (p *Principal) Require(s Scope) error {
	if p.Has(s) {
		return nil
	}
	return Errorf(CodeMissingScope, "The API key does not have the scope %s. Use a key with this scope, or a token from /api/login.", s)
}
