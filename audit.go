package pyth

import (
	"context"
	"time"
)

// Action is something that the audit log tells of.
type Action string

// The actions. What a name means is in docs/audit.md.
const (
	ActionUserRegistered  Action = "user.registered"
	ActionUserLogin       Action = "user.login"
	ActionPasswordChanged Action = "user.password_changed"
	ActionTokenRefreshed  Action = "token.refreshed"
	ActionTokenReused     Action = "token.reuse_detected"
	ActionKeyCreated      Action = "key.created"
	ActionKeyRevoked      Action = "key.revoked"
	ActionCodeExecuted    Action = "code.executed"
	ActionCodeGenerated   Action = "code.generated"
	ActionSecretCreated   Action = "secret.created"
	ActionSecretUpdated   Action = "secret.updated"
	ActionSecretDeleted   Action = "secret.deleted"
	ActionSecretUsed      Action = "secret.used"
	ActionPackagesChanged Action = "packages.changed"
	ActionZKStored        Action = "zk.stored"
	ActionZKDeleted       Action = "zk.deleted"
	ActionZKExecuted      Action = "zk.executed"
	ActionSessionCreated  Action = "session.created"
	ActionSessionDeleted  Action = "session.deleted"
	// ActionAuditPruned is the server's own: the log's retention took effect.
	ActionAuditPruned Action = "audit.pruned"
)

// Actions are all that a user's log may tell of.
func Actions() []Action {
	return []Action{
		ActionUserRegistered, ActionUserLogin, ActionPasswordChanged, ActionTokenRefreshed, ActionTokenReused,
		ActionKeyCreated, ActionKeyRevoked, ActionCodeExecuted, ActionCodeGenerated,
		ActionSecretCreated, ActionSecretUpdated, ActionSecretDeleted, ActionSecretUsed, ActionPackagesChanged,
		ActionZKStored, ActionZKDeleted, ActionZKExecuted, ActionSessionCreated, ActionSessionDeleted,
	}
}

// AuditOutcome is how an action ended: AuditDenied is for a caller who may not,
// AuditFailure for what went wrong otherwise.
type AuditOutcome string

// The outcomes.
const (
	AuditSuccess AuditOutcome = "success"
	AuditDenied  AuditOutcome = "denied"
	AuditFailure AuditOutcome = "failure"
)

// AuditOutcomes are all of them.
func AuditOutcomes() []AuditOutcome {
	return []AuditOutcome{AuditSuccess, AuditDenied, AuditFailure}
}

// Origin is where a request came from.
type Origin struct {
	Credential Credential
	KeyPrefix  string
	IP         string
	UserAgent  string
	RequestID  string
}

type originKey struct{}

// WithOrigin lets all that is done for a request know where it came from. The
// origin may be completed until a service is called.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is the origin of the request that ctx is of; that of nobody where
// there is none.
func OriginOf(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(*Origin); ok {
		return *o
	}
	return Origin{Credential: CredentialNone}
}

// AuditEvent is what happened, before it is an entry. Neither the resource nor
// the details hold code, passwords, values of secrets or output.
type AuditEvent struct {
	// User is whose log it goes to; "" where the caller is not known.
	User    UserID
	Action  Action
	Outcome AuditOutcome
	// Resource is what it happened to, such as a secret's name; "" for none.
	Resource string
	// Details are strings, integers, booleans and lists of strings by name.
	Details map[string]any
}

// Auditor takes down what happens.
type Auditor interface {
	// Record returns when the event is durable. The entry has the origin of ctx,
	// and is made even when ctx has ended: what has happened is told.
	Record(ctx context.Context, e *AuditEvent) error
}

// AuditEntry is an event in the log.
type AuditEntry struct {
	ID string
	// Sequence is the entry's place in the log of the whole server, from 0.
	Sequence  int64
	Timestamp time.Time
	Origin    Origin
	AuditEvent
	// Hash is the leaf hash of the entry (RFC 6962, section 2.1).
	Hash [32]byte
}

// AuditFilter selects entries: those from Since on and before Until. Zero values
// select all.
type AuditFilter struct {
	Action       Action
	Outcome      AuditOutcome
	Since, Until time.Time
	// Label is one that a run was given; "" for all entries.
	Label string
}

// AuditProof shows that an entry is in the log: with the record and the hashes
// the root of the checkpoint can be computed (RFC 9162, section 2.1.3).
type AuditProof struct {
	Entry *AuditEntry
	// Record is what the entry's leaf hash is of.
	Record []byte
	// TreeSize is the number of entries that the checkpoint covers.
	TreeSize int64
	// Hashes are those of the audit path, from the leaf upwards.
	Hashes [][32]byte
	// Checkpoint is the signed tree head that the path leads to.
	Checkpoint []byte
}

// AuditService shows users their own part of the log. Another user's entry is
// CodeNotFound. It is safe for concurrent use.
type AuditService interface {
	// Entries lists the newest first, those after the cursor, at most limit, and
	// the next cursor if there are more.
	Entries(ctx context.Context, user UserID, f AuditFilter, cursor string, limit int) ([]*AuditEntry, string, error)
	// Checkpoint is the signed tree head of the log (C2SP tlog-checkpoint). It
	// covers all entries of actions that were answered before the call.
	Checkpoint(ctx context.Context) ([]byte, error)
	// VerifierKey is what checks the signatures of checkpoints (C2SP
	// signed-note).
	VerifierKey() string
	// Proof fails with CodeNotFound for an entry that retention has dropped, too.
	Proof(ctx context.Context, user UserID, id string) (*AuditProof, error)
}
