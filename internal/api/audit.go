package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// AuditEntry tells of an action.
type AuditEntry struct {
	ID        string         `json:"id"`
	Sequence  int64          `json:"sequence" doc:"The entry's place in the log of the whole server, from 0. The log has entries of others in between."`
	Timestamp Timestamp      `json:"timestamp"`
	Action    string         `json:"action" example:"code.executed"`
	Resource  string         `json:"resource,omitzero" doc:"What it happened to: a name or an id."`
	Outcome   string         `json:"outcome" enum:"success,denied,failure" doc:"denied is for a caller who may not, failure for what went wrong otherwise."`
	Actor     AuditActor     `json:"actor"`
	IP        string         `json:"ip" example:"192.0.2.7"`
	UserAgent string         `json:"userAgent"`
	RequestID string         `json:"requestId"`
	Details   map[string]any `json:"details" doc:"Depends on the action: ids, language, status, durations, hashes of code, names of secrets."`
	Hash      string         `json:"hash" contentEncoding:"base64" doc:"The leaf hash of the entry in the log's tree, SHA-256 in base64."`
}

// AuditActor is who did it.
type AuditActor struct {
	UserID     string `json:"userId"`
	Credential string `json:"credential" enum:"jwt,api_key,none"`
	KeyPrefix  string `json:"keyPrefix,omitzero" doc:"The visible start of the API key."`
}

// AuditList is a page of entries.
type AuditList struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"nextCursor,omitzero" doc:"Pass it as cursor to get the next page; absent on the last one."`
}

// AuditCheckpoint is the signed head of the log.
type AuditCheckpoint struct {
	Checkpoint string `json:"checkpoint" doc:"The number of entries and the root of their tree, signed (C2SP tlog-checkpoint). Keep it elsewhere: the log can be checked against it later."`
	Key        string `json:"key" doc:"What checks the signature (C2SP signed-note). Get it once from the operator rather than with each checkpoint."`
}

// AuditProof shows that an entry is in the log.
type AuditProof struct {
	Entry      AuditEntry `json:"entry"`
	Record     string     `json:"record" contentEncoding:"base64" doc:"The entry as it was hashed, in base64. The leaf hash is SHA-256 of a zero byte and these bytes."`
	Index      int64      `json:"index" doc:"The leaf's place in the tree, which is the entry's sequence."`
	TreeSize   int64      `json:"treeSize" doc:"The number of entries that the checkpoint covers."`
	Hashes     []string   `json:"hashes" doc:"The audit path from the leaf upwards, each in base64 (RFC 9162, section 2.1.3)."`
	Checkpoint string     `json:"checkpoint"`
	Key        string     `json:"key"`
}

// ActionName is a parameter: one of the actions.
type ActionName string

// Schema lists them.
func (ActionName) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, a := range pyth.Actions() {
		s.Enum = append(s.Enum, string(a))
	}
	s.PrecomputeMessages()
	return s
}

type (
	auditInput struct {
		Action  ActionName `query:"action" doc:"Only entries of this action."`
		Outcome string     `query:"outcome" enum:"success,denied,failure" doc:"Only entries with this outcome."`
		Since   time.Time  `query:"since" doc:"Only entries from this time on."`
		Until   time.Time  `query:"until" doc:"Only entries from before this time."`
		Label   string     `query:"label" maxLength:"64" doc:"Only entries of runs with this label."`
		Page
	}
	auditOutput      struct{ Body AuditList }
	checkpointOutput struct{ Body AuditCheckpoint }
	proofInput       struct {
		ID string `path:"id" maxLength:"128" doc:"The entry's id."`
	}
	proofOutput struct{ Body AuditProof }
)

const (
	tagAudit  = "Audit"
	auditPath = "/api/v1/audit"
)

func (h *Handler) registerAudit() {
	entry := map[string]any{
		"id": "<entry id>", "sequence": 41, "timestamp": "2026-04-04T08:23:21.123Z", "action": "code.executed", "outcome": "success",
		"actor": map[string]any{"userId": "<user id>", "credential": "api_key", "keyPrefix": "pyapi_x7Qd"},
		"ip":    "192.0.2.7", "userAgent": "curl/8.5.0", "requestId": "4f2c9a",
		"details": map[string]any{
			"executionId": "<execution id>", "language": "python", "status": "succeeded", "exitCode": 0, "wallMs": 2, "codeSha256": "<hex>",
		},
		"hash": "<base64>",
	}
	head := map[string]any{"checkpoint": "<signed note>", "key": "<verifier key>"}
	proof := map[string]any{
		"entry": entry, "record": "<base64>", "index": 41, "treeSize": 1000, "hashes": []any{"<base64>"},
		"checkpoint": "<signed note>", "key": "<verifier key>",
	}
	has := h.cfg.Audit != nil
	const what = "an audit log"
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listAudit", Method: http.MethodGet, Path: auditPath,
			Summary: "List the audit log", Tags: []string{tagAudit},
			Description: "Lists what was done with the account, and what was denied, the newest first.",
		},
		answer: map[string]any{"entries": []any{entry}},
	}, where(has, what, h.listAudit))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "getAuditCheckpoint", Method: http.MethodGet, Path: auditPath + "/checkpoint",
			Summary: "Get the log's checkpoint", Tags: []string{tagAudit},
			Description: "Gives the signed head of the tree that all entries of this server are in. It covers every action that was answered before.",
		},
		answer: head,
	}, where(has, what, h.getCheckpoint))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "proveAuditEntry", Method: http.MethodGet, Path: auditPath + "/{id}/proof",
			Summary: "Prove an entry", Tags: []string{tagAudit},
			Description: "Gives what shows, without trust in this server's answer, that the entry is in the tree of a signed checkpoint. examples/audit-proof checks it. An entry that the log's retention has dropped is not found.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: proof,
	}, where(has, what, h.proveEntry))
}

func (h *Handler) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	filter := pyth.AuditFilter{
		Action: pyth.Action(in.Action), Outcome: pyth.AuditOutcome(in.Outcome), Since: in.Since, Until: in.Until, Label: in.Label,
	}
	user := caller(ctx).User.ID
	before, err := position(cursorAudit, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	entries, next, err := h.cfg.Audit.Entries(ctx, user, filter, before, in.Limit)
	if err != nil {
		return nil, err
	}
	out := AuditList{Entries: make([]AuditEntry, len(entries)), NextCursor: newCursor(cursorAudit, user, next)}
	for i, e := range entries {
		out.Entries[i] = auditEntry(e)
	}
	return &auditOutput{Body: out}, nil
}

func (h *Handler) getCheckpoint(ctx context.Context, _ *noInput) (*checkpointOutput, error) {
	checkpoint, err := h.cfg.Audit.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &checkpointOutput{Body: AuditCheckpoint{Checkpoint: string(checkpoint), Key: h.cfg.Audit.VerifierKey()}}, nil
}

func (h *Handler) proveEntry(ctx context.Context, in *proofInput) (*proofOutput, error) {
	p, err := h.cfg.Audit.Proof(ctx, caller(ctx).User.ID, in.ID)
	if err != nil {
		return nil, err
	}
	out := AuditProof{
		Entry:      auditEntry(p.Entry),
		Record:     base64.StdEncoding.EncodeToString(p.Record),
		Index:      p.Entry.Sequence,
		TreeSize:   p.TreeSize,
		Hashes:     make([]string, len(p.Hashes)),
		Checkpoint: string(p.Checkpoint),
		Key:        h.cfg.Audit.VerifierKey(),
	}
	for i := range p.Hashes {
		out.Hashes[i] = base64.StdEncoding.EncodeToString(p.Hashes[i][:])
	}
	return &proofOutput{Body: out}, nil
}

func auditEntry(e *pyth.AuditEntry) AuditEntry {
	details := e.Details
	if details == nil {
		details = map[string]any{}
	}
	return AuditEntry{
		ID:        e.ID,
		Sequence:  e.Sequence,
		Timestamp: Timestamp(e.Timestamp),
		Action:    string(e.Action),
		Resource:  e.Resource,
		Outcome:   string(e.Outcome),
		Actor: AuditActor{
			UserID:     string(e.User),
			Credential: string(e.Origin.Credential),
			KeyPrefix:  e.Origin.KeyPrefix,
		},
		IP:        e.Origin.IP,
		UserAgent: e.Origin.UserAgent,
		RequestID: e.Origin.RequestID,
		Details:   details,
		Hash:      base64.StdEncoding.EncodeToString(e.Hash[:]),
	}
}
