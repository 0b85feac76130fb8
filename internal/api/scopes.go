package api

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// scopeExtension is the name of the OpenAPI extension that contains the scope of an
// operation.
const scopeExtension = "x-scope"

// requireScope returns an error with CodeMissingScope if the caller's API key does not
// have the scope. In this case, it also writes the denial to the audit log.
func (h *Handler) requireScope(ctx context.Context, s pyth.Scope) error {
	err := caller(ctx).Require(s)
	if err != nil {
		h.noteDenied(ctx, err)
	}
	return err
}

// checkProgram checks the scopes that the options of a program need. A session needs
// ScopeSessions. Secrets need ScopeSecretsRead. If the API key lacks this scope and the
// program asks for all secrets, the program gets no secrets.
func (h *Handler) checkProgram(ctx context.Context, p *pyth.Program) error {
	if p.Session != "" {
		if err := h.requireScope(ctx, pyth.ScopeSessions); err != nil {
			return err
		}
	}
	return h.checkSecrets(ctx, p.Secrets, &p.AllSecrets)
}

func (h *Handler) checkSecrets(ctx context.Context, names []string, all *bool) error {
	if len(names) > 0 {
		return h.requireScope(ctx, pyth.ScopeSecretsRead)
	}
	*all = *all && caller(ctx).Has(pyth.ScopeSecretsRead)
	return nil
}

// checkGeneration checks the scopes that the options of a generation need. It uses the
// same rules as checkProgram. In addition, the installation of packages needs
// ScopePackages.
func (h *Handler) checkGeneration(ctx context.Context, r *pyth.GenerateRequest) error {
	if r.Session != "" {
		if err := h.requireScope(ctx, pyth.ScopeSessions); err != nil {
			return err
		}
	}
	if r.InstallPackages {
		if err := h.requireScope(ctx, pyth.ScopePackages); err != nil {
			return err
		}
	}
	return h.checkSecrets(ctx, r.Secrets, &r.AllSecrets)
}
