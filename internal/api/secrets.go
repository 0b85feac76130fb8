package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// SecretInput is a secret's value.
type SecretInput struct {
	Value       sensitive `json:"value" doc:"The value: 1 to 65536 bytes of text without NUL. It is never shown again."`
	Description string    `json:"description,omitempty" maxLength:"1000" doc:"What the secret is for. Whoever may list secrets sees it, and so does the model that writes code."`
}

// SecretMetadata is what is told of a secret: nothing of its value.
type SecretMetadata struct {
	Name        string    `json:"name" example:"API_TOKEN"`
	Description string    `json:"description,omitzero"`
	Version     int       `json:"version" minimum:"1" doc:"How many values it has had."`
	CreatedAt   Timestamp `json:"createdAt"`
	UpdatedAt   Timestamp `json:"updatedAt"`
	LastUsedAt  Timestamp `json:"lastUsedAt,omitzero" doc:"When a run was last given it; absent if none was."`
}

// SecretList is a page of secrets.
type SecretList struct {
	Secrets    []SecretMetadata `json:"secrets"`
	NextCursor string           `json:"nextCursor,omitzero" doc:"Pass it as cursor to get the next page; absent on the last one."`
}

// SecretRef names a secret. huma looks only into exported types.
type SecretRef struct {
	Name string `path:"name" maxLength:"128" doc:"The name: that of the environment variable."`
}

type (
	secretInput struct {
		SecretRef
		body[SecretInput]
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
	// secretBodyBytes is a value with every byte escaped, and its description.
	secretBodyBytes = 6*(64<<10) + 16<<10
)

func (h *Handler) registerSecrets() {
	if h.cfg.Secrets == nil {
		return
	}
	example := map[string]any{
		"name": "API_TOKEN", "description": "of the billing service", "version": 1,
		"createdAt": "2026-04-04T08:23:21.123Z", "updatedAt": "2026-04-04T08:23:21.123Z",
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "putSecret", Method: http.MethodPut, Path: secretPath,
			Summary: "Store a secret", Tags: []string{tagSecrets},
			Description: "Makes the secret (201), or gives it a new value (200). Runs get it as an environment variable of its name. The value is stored encrypted and is never returned.",
			Errors:      []int{http.StatusConflict},
			Responses:   map[string]*huma.Response{"201": h.createdResponse(reflect.TypeFor[SecretMetadata]())},
		},
		maxBytes: secretBodyBytes,
		example:  map[string]any{"value": "s3cr3t-t0ken", "description": "of the billing service"}, answer: example,
		action: pyth.ActionSecretCreated,
	}, h.putSecret)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listSecrets", Method: http.MethodGet, Path: secretsPath,
			Summary: "List the secrets", Tags: []string{tagSecrets},
			Description: "Lists your secrets by name, without their values.",
		},
		answer: map[string]any{"secrets": []any{example}},
	}, h.listSecrets)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteSecret", Method: http.MethodDelete, Path: secretPath,
			Summary: "Delete a secret", Tags: []string{tagSecrets},
			Description: "Deletes the secret. A run that has it already keeps it to its end.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionSecretDeleted,
	}, h.deleteSecret)
}

func (r *SecretInput) confidential() (field string, to *sensitive) { return "value", &r.Value }

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
