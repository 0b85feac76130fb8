package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// KeyRequest is the body of createApiKey.
type KeyRequest struct {
	_ struct{} `doc:"The settings of a new API key."`

	Name      string     `json:"name" minLength:"1" maxLength:"100" doc:"A name that describes the purpose of the key." example:"ci"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" nullable:"false" doc:"When the key expires. If absent, the key does not expire." example:"2027-04-04T08:23:21Z"`
	Scopes    []Scope    `json:"scopes,omitempty" minItems:"1" maxItems:"20" doc:"The scopes of the key. If absent, the key has all scopes except admin. A key that creates another key can grant only its own scopes." example:"[\"execute\"]"`
	Format    KeyFormat  `json:"format,omitempty" default:"pyapi" doc:"The format of the key."`
}

// KeyChangeRequest is the body of changeApiKey.
type KeyChangeRequest struct {
	_ struct{} `doc:"Changes of an API key."`

	Name      string     `json:"name,omitempty" minLength:"1" maxLength:"100" doc:"The new name. If absent, the name does not change." example:"ci of the website"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" nullable:"false" doc:"When the key expires. If absent, the expiry does not change." example:"2027-04-04T08:23:21Z"`
}

// KeyInfo describes an API key. It does not contain the secret key itself.
type KeyInfo struct {
	_ struct{} `doc:"Information about an API key, without the key itself."`

	ID        string    `json:"id" doc:"The ID of the key." example:"key_01k7"`
	Name      string    `json:"name" doc:"A name that describes the purpose of the key." example:"ci"`
	Prefix    string    `json:"prefix" doc:"The first characters of the key." example:"pyapi_x7Qd"`
	CreatedAt Timestamp `json:"createdAt" doc:"When the key was created."`
	ExpiresAt Timestamp `json:"expiresAt,omitzero" doc:"When the key expires. Absent if the key does not expire."`
	Scopes    []Scope   `json:"scopes" doc:"The scopes of the key."`

	LastUsedAt Timestamp `json:"lastUsedAt,omitzero" doc:"When the key was last used, accurate to about two minutes. Absent if the key was never used."`
}

// KeyCreated is the response to createApiKey. Only this response contains the key
// itself.
type KeyCreated struct {
	_ struct{} `doc:"A new API key."`

	KeyInfo
	Key string `json:"key" doc:"The key itself. No other response contains the key." example:"pyapi_x7Qd0000000000000000000000000000"`
}

// KeyList is a page of API keys.
type KeyList struct {
	_ struct{} `doc:"A page of API keys."`

	Keys []KeyInfo `json:"keys" doc:"The keys, oldest first."`
	ListPage
}

// ListPage contains the fields that all list pages have in common.
type ListPage struct {
	_ struct{} `doc:"The fields that all pages of lists have."`

	NextCursor string `json:"nextCursor,omitzero" doc:"The cursor of the next page. Absent on the last page." example:"c2Vjb25kIHBhZ2U"`
}

// Page contains the query parameters that select a page of a list. The type is exported,
// because huma ignores unexported types.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The maximum number of items on the page."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The value of nextCursor on the previous page. Omit this parameter for the first page."`
}

type (
	keysInput   struct{ Page }
	keysOutput  struct{ Body KeyList }
	keyInput    struct{ jsonBody[KeyRequest] }
	keyOutput   struct{ Body KeyCreated }
	deleteInput struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the key."`
	}
	keyChangeInput struct {
		// huma ignores embedded unexported types. So this type declares the field ID
		// again.
		ID string `path:"id" maxLength:"128" doc:"The ID of the key."`
		jsonBody[KeyChangeRequest]
	}
	keyInfoOutput struct{ Body KeyInfo }
)

const tagKeys = "API keys"

func (h *Handler) registerKeys() {
	info := map[string]any{"id": "<key id>", "name": "ci", "prefix": "pyapi_x7Qd", "createdAt": "2026-04-04T08:23:21.123Z", "scopes": []string{"execute"}}
	created := map[string]any{"id": "<key id>", "name": "ci", "prefix": "pyapi_x7Qd", "createdAt": "2026-04-04T08:23:21.123Z", "scopes": []string{"execute"}, "key": "<API key>"}
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "listApiKeys", Method: http.MethodGet, Path: "/api/v1/keys",
			Summary: "List the API keys", Tags: []string{tagKeys},
			Description: "Lists the API keys of the account, oldest first. The response does not contain the keys themselves.",
		},
		answer: map[string]any{"keys": []any{info}},
	}, h.listKeys)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "createApiKey", Method: http.MethodPost, Path: "/api/v1/keys", DefaultStatus: http.StatusCreated,
			Summary: "Create an API key", Tags: []string{tagKeys},
			Description: "Creates an API key and returns the key. The server stores only a hash of the key, so it cannot return the key again.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"name": "ci"}, answer: created, action: pyth.ActionKeyCreated,
	}, h.createKey)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "changeApiKey", Method: http.MethodPatch, Path: "/api/v1/keys/{id}",
			Summary: "Change an API key", Tags: []string{tagKeys},
			Description: "Changes the name or the expiry of the API key. You cannot change the scopes of a key. To use other scopes, create another key.",
			Errors:      []int{http.StatusNotFound},
		},
		example: map[string]any{"name": "ci"}, answer: info, action: pyth.ActionKeyUpdated,
	}, h.changeKey)
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "deleteApiKey", Method: http.MethodDelete, Path: "/api/v1/keys/{id}",
			Summary: "Delete an API key", Tags: []string{tagKeys},
			Description: "Deletes the API key. Later requests with this key fail.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionKeyRevoked,
	}, h.deleteKey)
}

func (h *Handler) listKeys(ctx context.Context, in *keysInput) (*keysOutput, error) {
	user := caller(ctx).User.ID
	after, err := position(cursorKeys, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	keys, next, err := h.cfg.Accounts.Keys(ctx, caller(ctx), after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := KeyList{Keys: make([]KeyInfo, len(keys)), ListPage: ListPage{NextCursor: newCursor(cursorKeys, user, next)}}
	for i, k := range keys {
		out.Keys[i] = keyInfo(k)
	}
	return &keysOutput{Body: out}, nil
}

func (h *Handler) createKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	expires, err := keyExpiry(in.Value.ExpiresAt)
	if err != nil {
		return nil, err
	}
	spec := pyth.KeySpec{Name: in.Value.Name, ExpiresAt: expires, Format: pyth.KeyFormat(in.Value.Format)}
	for _, s := range in.Value.Scopes {
		spec.Scopes = append(spec.Scopes, pyth.Scope(s))
	}
	k, key, err := h.cfg.Accounts.CreateKey(ctx, caller(ctx), spec)
	if err != nil {
		return nil, err
	}
	return &keyOutput{Body: KeyCreated{KeyInfo: keyInfo(k), Key: key}}, nil
}

// keyExpiry returns the expiry in a request. It returns the zero time if the request
// has no expiry. It rejects a zero time in the request, because the zero time means
// that the key does not expire.
func keyExpiry(at *time.Time) (time.Time, error) {
	switch {
	case at == nil:
		return time.Time{}, nil
	case at.IsZero():
		return time.Time{}, pyth.Invalid("body.expiresAt", "must be in the future")
	}
	return *at, nil
}

func (h *Handler) changeKey(ctx context.Context, in *keyChangeInput) (*keyInfoOutput, error) {
	expires, err := keyExpiry(in.Value.ExpiresAt)
	if err != nil {
		return nil, err
	}
	k, err := h.cfg.Accounts.UpdateKey(ctx, caller(ctx), pyth.KeyID(in.ID), pyth.KeyChange{Name: in.Value.Name, ExpiresAt: expires})
	if err != nil {
		return nil, err
	}
	return &keyInfoOutput{Body: keyInfo(k)}, nil
}

func (h *Handler) deleteKey(ctx context.Context, in *deleteInput) (*noOutput, error) {
	return nil, h.cfg.Accounts.DeleteKey(ctx, caller(ctx), pyth.KeyID(in.ID))
}

func keyInfo(k *pyth.APIKey) KeyInfo {
	scopes := make([]Scope, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = Scope(s)
	}
	return KeyInfo{
		Scopes:     scopes,
		LastUsedAt: Timestamp(k.LastUsedAt),
		ID:         string(k.ID),
		Name:       k.Name,
		Prefix:     k.Prefix,
		CreatedAt:  Timestamp(k.CreatedAt),
		ExpiresAt:  Timestamp(k.ExpiresAt),
	}
}
