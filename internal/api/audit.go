package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// AuditEntry describes an entry of the audit log.
type AuditEntry struct {
	_ struct{} `doc:"The record of an action."`

	ID        string         `json:"id" doc:"The ID of the entry." example:"aud_01k7"`
	Sequence  int64          `json:"sequence" doc:"The position of the entry in the log of the server. The first entry has the position 0. The log also contains entries of other users, so the numbers of your entries have gaps." example:"41"`
	Timestamp Timestamp      `json:"timestamp" doc:"When the action ended."`
	Action    AuditAction    `json:"action" doc:"The action." example:"code.executed"`
	Resource  string         `json:"resource,omitzero" doc:"The name or ID of the object of the action." example:"API_TOKEN"`
	Outcome   Outcome        `json:"outcome" doc:"How the action ended." example:"success"`
	Actor     AuditActor     `json:"actor" doc:"The caller."`
	IP        string         `json:"ip" doc:"The IP address of the caller." example:"192.0.2.7"`
	UserAgent string         `json:"userAgent" doc:"The User-Agent header of the request." example:"curl/8.5.0"`
	RequestID string         `json:"requestId" doc:"The ID of the request, as in X-Request-Id." example:"4f2c9a"`
	Details   map[string]any `json:"details" doc:"Details of the action, such as IDs, language, status, durations, hashes of code and names of secrets."`
	Hash      string         `json:"hash" encoding:"base64" doc:"The leaf hash of the entry in the Merkle tree of the log: SHA-256 in base64." example:"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="`
}

// AuditActor is the caller of an audited action.
type AuditActor struct {
	_ struct{} `doc:"The caller of an action."`

	UserID     string         `json:"userId" doc:"The ID of the user. Empty if the caller is unknown." example:"usr_01k7"`
	Credential CredentialType `json:"credential" doc:"How the caller authenticated." example:"api_key"`
	KeyPrefix  string         `json:"keyPrefix,omitzero" doc:"The first characters of the API key." example:"pyapi_x7Qd"`
}

// AuditList is a page of audit entries.
type AuditList struct {
	_ struct{} `doc:"A page of audit entries."`

	Entries []AuditEntry `json:"entries" doc:"The entries, newest first."`
	ListPage
}

// AuditCheckpoint is the signed tree head of the audit log. It contains the number of
// entries, the root hash and a signature.
type AuditCheckpoint struct {
	_ struct{} `doc:"The signed tree head of the audit log."`

	Checkpoint string `json:"checkpoint" doc:"The number of entries and the root hash of their tree, with a signature (C2SP tlog-checkpoint). To check later that no entry was changed, store the checkpoint outside this server."`
	Key        string `json:"key" doc:"The key that verifies the signature of the checkpoint (C2SP signed-note). Ask the operator for this key once, because a key from the same response as the checkpoint proves nothing."`
}

// AuditProof contains the proof that an entry is in the audit log.
type AuditProof struct {
	_ struct{} `doc:"The proof that an entry is in the audit log."`

	Entry    AuditEntry `json:"entry" doc:"The entry."`
	Record   string     `json:"record" encoding:"base64" doc:"The bytes of the entry, in base64. The leaf hash is the SHA-256 of a zero byte and these bytes." example:"e30="`
	Index    int64      `json:"index" doc:"The position of the leaf in the tree. The position equals the sequence of the entry." example:"41"`
	TreeSize int64      `json:"treeSize" doc:"The number of entries that the checkpoint covers." example:"1000"`
	Hashes   []string   `json:"hashes" doc:"The hashes of the inclusion proof, from the leaf to the root, each in base64 (RFC 9162, section 2.1.3)."`
	AuditCheckpoint
}

type (
	auditInput struct {
		Action  AuditAction `query:"action" doc:"Return only entries of this action."`
		Outcome Outcome     `query:"outcome" doc:"Return only entries with this outcome."`
		Since   time.Time   `query:"since" doc:"Return only entries at or after this time."`
		Until   time.Time   `query:"until" doc:"Return only entries before this time."`
		Label   string      `query:"label" maxLength:"64" doc:"Return only entries of runs with this label."`
		Page
	}
	auditOutput      struct{ Body AuditList }
	checkpointOutput struct{ Body AuditCheckpoint }
	proofInput       struct {
		ID string `path:"id" maxLength:"128" doc:"The ID of the entry."`
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
		"hash": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	}
	head := map[string]any{"checkpoint": "<signed note>", "key": "<verifier key>"}
	proof := map[string]any{
		"entry": entry, "record": "e30=", "index": 41, "treeSize": 1000, "hashes": []any{"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
		"checkpoint": "<signed note>", "key": "<verifier key>",
	}
	hasLog := h.cfg.Audit != nil
	const feature = "an audit log"
	register(h, operation{
		scope: pyth.ScopeAuditRead,
		Operation: huma.Operation{
			OperationID: "listAuditEntries", Method: http.MethodGet, Path: auditPath,
			Summary: "List the audit log", Tags: []string{tagAudit},
			Description: "Lists the actions and the denied requests of the account, newest first.",
		},
		answer: map[string]any{"entries": []any{entry}},
	}, ifEnabled(hasLog, feature, h.listAudit))
	register(h, operation{
		scope: pyth.ScopeAuditRead,
		Operation: huma.Operation{
			OperationID: "getAuditCheckpoint", Method: http.MethodGet, Path: auditPath + "/checkpoint",
			Summary: "Get the signed tree head", Tags: []string{tagAudit},
			Description: "Returns the signed tree head of the audit log of this server. The tree contains the entries of all requests that the server answered before this request.",
		},
		answer: head,
	}, ifEnabled(hasLog, feature, h.getCheckpoint))
	register(h, operation{
		scope: pyth.ScopeAuditRead,
		Operation: huma.Operation{
			OperationID: "getAuditProof", Method: http.MethodGet, Path: auditPath + "/{id}/proof",
			Summary: "Get the proof of an entry", Tags: []string{tagAudit},
			Description: "Returns an inclusion proof, which proves that the entry is in the tree of a signed checkpoint. A client can check the proof without trusting this server; see examples/audit-proof. Returns 404 for entries that are older than the retention period of the log.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: proof,
	}, ifEnabled(hasLog, feature, h.proveEntry))
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
	out := AuditList{Entries: make([]AuditEntry, len(entries)), ListPage: ListPage{NextCursor: newCursor(cursorAudit, user, next)}}
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
		Entry:    auditEntry(p.Entry),
		Record:   base64.StdEncoding.EncodeToString(p.Record),
		Index:    p.Entry.Sequence,
		TreeSize: p.TreeSize,
		Hashes:   make([]string, len(p.Hashes)),
		AuditCheckpoint: AuditCheckpoint{
			Checkpoint: string(p.Checkpoint),
			Key:        h.cfg.Audit.VerifierKey(),
		},
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
		Action:    AuditAction(e.Action),
		Resource:  e.Resource,
		Outcome:   Outcome(e.Outcome),
		Actor: AuditActor{
			UserID:     string(e.User),
			Credential: CredentialType(e.Origin.Credential),
			KeyPrefix:  e.Origin.KeyPrefix,
		},
		IP:        e.Origin.IP,
		UserAgent: e.Origin.UserAgent,
		RequestID: e.Origin.RequestID,
		Details:   details,
		Hash:      base64.StdEncoding.EncodeToString(e.Hash[:]),
	}
}
