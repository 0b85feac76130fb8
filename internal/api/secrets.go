package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// SecretInput is the body of putSecret.
type SecretInput struct {
	_ struct{} `doc:"The value of a secret."`

	Value       body.Sensitive `json:"value" doc:"The value: 1 to 65,536 bytes of UTF-8 text without NUL. No response contains the value." example:"s3cr3t-t0ken"`
	Description string         `json:"description,omitempty" maxLength:"1000" doc:"The purpose of the secret. Lists of secrets contain the description. The model that generates programs also receives the description." example:"token of the billing service"`
}

// SecretMetadata describes a secret without its value.
type SecretMetadata struct {
	_ struct{} `doc:"A secret without its value."`

	Name        string    `json:"name" doc:"The name of the secret and of its environment variable." example:"API_TOKEN"`
	Description string    `json:"description,omitzero" doc:"The purpose of the secret." example:"token of the billing service"`
	Version     int       `json:"version" minimum:"1" doc:"The number of values that were stored under this name, including the current value." example:"1"`
	CreatedAt   Timestamp `json:"createdAt" doc:"When the secret was created."`
	UpdatedAt   Timestamp `json:"updatedAt" doc:"When the value was last replaced."`
	LastUsedAt  Timestamp `json:"lastUsedAt,omitzero" doc:"When a run last received the secret. Absent if no run has received it."`
}

// SecretList is a page of secrets.
type SecretList struct {
	_ struct{} `doc:"A page of secrets."`

	Secrets []SecretMetadata `json:"secrets" doc:"The secrets, sorted by name."`
	ListPage
}

// SecretRef contains the name of a secret. The type is exported, because huma ignores
// unexported types.
type SecretRef struct {
	Name string `path:"name" maxLength:"128" doc:"The name of the secret and of its environment variable."`
}

type (
	secretInput struct {
		SecretRef
		jsonBody[SecretInput]
	}
	secretOutput struct {
		Status int
		Body   SecretMetadata
	}
	secretsInput      struct{ Page }
	secretsOutput     struct{ Body SecretList }
	secretByNameInput struct{ SecretRef }
)

const (
	tagSecrets  = "Secrets"
	secretsPath = "/api/v1/secrets"
	secretPath  = secretsPath + "/{name}"
	// secretBodyBytes is the maximum body size of putSecret. It is enough for a
	// description and a value, even if JSON escapes every byte.
	secretBodyBytes = 6*pyth.MaxSecretBytes + 16<<10
)

func (h *Handler) registerSecrets() {
	if h.cfg.Secrets == nil {
		return
	}
	example := map[string]any{
		"name": "API_TOKEN", "description": "token of the billing service", "version": 1,
		"createdAt": "2026-04-04T08:23:21.123Z", "updatedAt": "2026-04-04T08:23:21.123Z",
	}
	register(h, operation{
		scope: pyth.ScopeSecretsWrite,
		Operation: huma.Operation{
			OperationID: "putSecret", Method: http.MethodPut, Path: secretPath,
			Summary: "Store a secret", Tags: []string{tagSecrets},
			Description: "Creates the secret (201) or replaces its value (200). Programs receive the secret as an environment variable with the same name. The server stores the value encrypted and never returns the value.",
			Errors:      []int{http.StatusConflict},
			Responses:   map[string]*huma.Response{"201": h.createdResponse(reflect.TypeFor[SecretMetadata]())},
		},
		maxBytes: secretBodyBytes,
		example:  map[string]any{"value": "s3cr3t-t0ken", "description": "token of the billing service"}, answer: example,
		action: pyth.ActionSecretCreated,
	}, h.putSecret)
	register(h, operation{
		scope: pyth.ScopeSecretsRead,
		Operation: huma.Operation{
			OperationID: "listSecrets", Method: http.MethodGet, Path: secretsPath,
			Summary: "List the secrets", Tags: []string{tagSecrets},
			Description: "Lists your secrets without their values, sorted by name.",
		},
		answer: map[string]any{"secrets": []any{example}},
	}, h.listSecrets)
	register(h, operation{
		scope: pyth.ScopeSecretsWrite,
		Operation: huma.Operation{
			OperationID: "deleteSecret", Method: http.MethodDelete, Path: secretPath,
			Summary: "Delete a secret", Tags: []string{tagSecrets},
			Description: "Deletes the secret. Running programs that received the secret still have its value.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionSecretDeleted,
	}, h.deleteSecret)
}

// Confidential returns the field with the value of the secret. It implements
// body.Confidential.
func (r *SecretInput) Confidential() (field string, to *body.Sensitive) { return "value", &r.Value }

func (h *Handler) putSecret(ctx context.Context, in *secretInput) (*secretOutput, error) {
	s, created, err := h.cfg.Secrets.PutSecret(ctx, caller(ctx).User.ID, in.Name, in.Value.Value, in.Value.Description)
	if err != nil {
		return nil, err
	}
	out := &secretOutput{Status: http.StatusOK, Body: secretMetadata(s)}
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (h *Handler) listSecrets(ctx context.Context, in *secretsInput) (*secretsOutput, error) {
	user := caller(ctx).User.ID
	after, err := position(cursorSecrets, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Secrets.Secrets(ctx, user)
	if err != nil {
		return nil, err
	}
	out := SecretList{Secrets: []SecretMetadata{}}
	all = slices.DeleteFunc(all, func(s *pyth.Secret) bool { return s.Name <= after })
	if len(all) > in.Limit {
		all = all[:in.Limit]
		out.NextCursor = newCursor(cursorSecrets, user, all[in.Limit-1].Name)
	}
	for _, s := range all {
		out.Secrets = append(out.Secrets, secretMetadata(s))
	}
	return &secretsOutput{Body: out}, nil
}

func (h *Handler) deleteSecret(ctx context.Context, in *secretByNameInput) (*noOutput, error) {
	return nil, h.cfg.Secrets.DeleteSecret(ctx, caller(ctx).User.ID, in.Name)
}

func secretMetadata(s *pyth.Secret) SecretMetadata {
	return SecretMetadata{
		Name:        s.Name,
		Description: s.Description,
		Version:     s.Version,
		CreatedAt:   Timestamp(s.CreatedAt),
		UpdatedAt:   Timestamp(s.UpdatedAt),
		LastUsedAt:  Timestamp(s.LastUsedAt),
	}
}
