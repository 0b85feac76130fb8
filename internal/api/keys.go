package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// KeyRequest asks for an API key.
type KeyRequest struct {
	Name      string     `json:"name" minLength:"1" maxLength:"100" doc:"What the key is for." example:"ci"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty" doc:"When the key ends; without it the key does not expire."`
}

// KeyInfo is an API key without the key.
type KeyInfo struct {
	ID        string    `json:"id"`
	Name      string    `json:"name" example:"ci"`
	Prefix    string    `json:"prefix" doc:"The visible start of the key."`
	CreatedAt Timestamp `json:"createdAt"`
	ExpiresAt Timestamp `json:"expiresAt,omitzero" doc:"Absent for a key that does not expire."`
}

// KeyCreated is a new API key.
type KeyCreated struct {
	KeyInfo
	Key string `json:"key" doc:"The key itself. It is not shown again."`
}

// KeyList is a page of keys.
type KeyList struct {
	Keys       []KeyInfo `json:"keys"`
	NextCursor string    `json:"nextCursor,omitzero" doc:"Pass it as cursor to get the next page; absent on the last one."`
}

// Page is the part of a list that is asked for. huma looks only into exported
// types.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"At most so many."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

type (
	keysInput   struct{ Page }
	keysOutput  struct{ Body KeyList }
	keyInput    struct{ body[KeyRequest] }
	keyOutput   struct{ Body KeyCreated }
	deleteInput struct {
		ID string `path:"id" maxLength:"128" doc:"The key's id."`
	}
)

const tagKeys = "API keys"

func (h *Handler) registerKeys() {
	info := map[string]any{"id": "<key id>", "name": "ci", "prefix": "pyapi_x7Qd", "createdAt": "2026-04-04T08:23:21.123Z"}
	created := map[string]any{"id": "<key id>", "name": "ci", "prefix": "pyapi_x7Qd", "createdAt": "2026-04-04T08:23:21.123Z", "key": "<API key>"}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listKeys", Method: http.MethodGet, Path: "/api/v1/keys",
			Summary: "List the API keys", Tags: []string{tagKeys},
			Description: "Lists the account's keys, oldest first, without the keys themselves.",
		},
		answer: map[string]any{"keys": []any{info}},
	}, h.listKeys)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "createKey", Method: http.MethodPost, Path: "/api/v1/keys", DefaultStatus: http.StatusCreated,
			Summary: "Make an API key", Tags: []string{tagKeys},
			Description: "Makes a key and shows it this once: the server does not keep it.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"name": "ci"}, answer: created, action: pyth.ActionKeyCreated,
	}, h.createKey)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteKey", Method: http.MethodDelete, Path: "/api/v1/keys/{id}",
			Summary: "Delete an API key", Tags: []string{tagKeys},
			Description: "Deletes the key; it stops working at once.",
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
	out := KeyList{Keys: make([]KeyInfo, len(keys)), NextCursor: newCursor(cursorKeys, user, next)}
	for i, k := range keys {
		out.Keys[i] = keyInfo(k)
	}
	return &keysOutput{Body: out}, nil
}

func (h *Handler) createKey(ctx context.Context, in *keyInput) (*keyOutput, error) {
	var expires time.Time
	if e := in.Value.ExpiresAt; e != nil {
		if expires = *e; expires.IsZero() {
			// To the service it would mean that the key does not expire.
			return nil, pyth.Invalid("body.expiresAt", "must be in the future")
		}
	}
	k, key, err := h.cfg.Accounts.CreateKey(ctx, caller(ctx), in.Value.Name, expires)
	if err != nil {
		return nil, err
	}
	return &keyOutput{Body: KeyCreated{KeyInfo: keyInfo(k), Key: key}}, nil
}

func (h *Handler) deleteKey(ctx context.Context, in *deleteInput) (*noOutput, error) {
	return nil, h.cfg.Accounts.DeleteKey(ctx, caller(ctx), pyth.KeyID(in.ID))
}

func keyInfo(k *pyth.APIKey) KeyInfo {
	return KeyInfo{
		ID:        string(k.ID),
		Name:      k.Name,
		Prefix:    k.Prefix,
		CreatedAt: Timestamp(k.CreatedAt),
		ExpiresAt: Timestamp(k.ExpiresAt),
	}
}
