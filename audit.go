package pyth

import (
	"context"
	"time"
)

// Action is the name of an action in the audit log.
type Action string

// Actions of the audit log. docs/audit.md describes each action.
const (
	ActionUserRegistered    Action = "user.registered"
	ActionUserLogin         Action = "user.login"
	ActionPasswordChanged   Action = "user.password_changed"
	ActionPasswordReset     Action = "user.password_reset"
	ActionEmailChanged      Action = "user.email_changed"
	ActionConfirmationSent  Action = "user.confirmation_sent"
	ActionEmailConfirmed    Action = "user.email_confirmed"
	ActionUserExported      Action = "user.exported"
	ActionLoginRevoked      Action = "login.revoked"
	ActionTOTPCreated       Action = "user.totp_created"
	ActionTOTPEnabled       Action = "user.totp_enabled"
	ActionTOTPDisabled      Action = "user.totp_disabled"
	ActionIdentityLinked    Action = "user.identity_linked"
	ActionIdentityUnlinked  Action = "user.identity_unlinked"
	ActionRecoveryCodes     Action = "user.recovery_codes_replaced"
	ActionTokenRefreshed    Action = "token.refreshed"
	ActionTokenReused       Action = "token.reuse_detected"
	ActionKeyCreated        Action = "key.created"
	ActionKeyUpdated        Action = "key.updated"
	ActionKeyRevoked        Action = "key.revoked"
	ActionCodeExecuted      Action = "code.executed"
	ActionCodeGenerated     Action = "code.generated"
	ActionSecretCreated     Action = "secret.created"
	ActionSecretUpdated     Action = "secret.updated"
	ActionSecretDeleted     Action = "secret.deleted"
	ActionSecretUsed        Action = "secret.used"
	ActionPackagesChanged   Action = "packages.changed"
	ActionZKStored          Action = "zk.stored"
	ActionZKDeleted         Action = "zk.deleted"
	ActionZKExecuted        Action = "zk.executed"
	ActionSessionCreated    Action = "session.created"
	ActionSessionUpdated    Action = "session.updated"
	ActionSessionDeleted    Action = "session.deleted"
	ActionProcessStarted    Action = "process.started"
	ActionPortShared        Action = "port.shared"
	ActionExecutionQueued   Action = "execution.queued"
	ActionExecutionCanceled Action = "execution.canceled"
	ActionExecutionDeleted  Action = "execution.deleted"
	ActionWebhookCreated    Action = "webhook.created"
	ActionWebhookDeleted    Action = "webhook.deleted"
	ActionUserChanged       Action = "user.changed"
	ActionUserDeleted       Action = "user.deleted"
	ActionResetCreated      Action = "user.reset_created"
	ActionKeysRevoked       Action = "user.keys_revoked"
	ActionLoginsRevoked     Action = "user.logins_revoked"
	ActionInviteCreated     Action = "invite.created"
	ActionInviteDeleted     Action = "invite.deleted"
	ActionBackupMade        Action = "backup.made"
	// ActionAuditPruned means that the server removed the content of old audit entries,
	// because their retention period ended. An entry with this action belongs to no
	// user.
	ActionAuditPruned Action = "audit.pruned"
	// ActionAuditErased means that the server removed the content of audit entries,
	// because the account of the user was deleted. An entry with this action belongs to
	// no user.
	ActionAuditErased Action = "audit.erased"
)

// Actions returns all actions that a user's log can contain.
func Actions() []Action {
	return []Action{
		ActionUserRegistered, ActionUserLogin, ActionPasswordChanged,
		ActionPasswordReset, ActionEmailChanged, ActionConfirmationSent, ActionEmailConfirmed, ActionUserExported, ActionLoginRevoked,
		ActionTOTPCreated, ActionTOTPEnabled, ActionTOTPDisabled, ActionRecoveryCodes, ActionIdentityLinked, ActionIdentityUnlinked,
		ActionTokenRefreshed, ActionTokenReused,
		ActionKeyCreated, ActionKeyUpdated, ActionKeyRevoked, ActionCodeExecuted, ActionCodeGenerated,
		ActionSecretCreated, ActionSecretUpdated, ActionSecretDeleted, ActionSecretUsed, ActionPackagesChanged,
		ActionZKStored, ActionZKDeleted, ActionZKExecuted, ActionSessionCreated, ActionSessionUpdated, ActionSessionDeleted, ActionProcessStarted,
		ActionPortShared,
		ActionExecutionQueued, ActionExecutionCanceled, ActionExecutionDeleted, ActionWebhookCreated, ActionWebhookDeleted,
		ActionUserChanged, ActionUserDeleted, ActionResetCreated, ActionKeysRevoked, ActionLoginsRevoked, ActionInviteCreated, ActionInviteDeleted, ActionBackupMade,
	}
}

// AuditOutcome says how an action ended. AuditDenied means that the server refused the
// request. Examples of reasons are wrong credentials, a missing object and a rate
// limit. AuditFailure means any other error.
type AuditOutcome string

// Values of AuditOutcome.
const (
	AuditSuccess AuditOutcome = "success"
	AuditDenied  AuditOutcome = "denied"
	AuditFailure AuditOutcome = "failure"
)

// AuditOutcomes returns all values of AuditOutcome.
func AuditOutcomes() []AuditOutcome {
	return []AuditOutcome{AuditSuccess, AuditDenied, AuditFailure}
}

// Origin describes the source of a request.
type Origin struct {
	Credential Credential
	KeyID      KeyID
	KeyPrefix  string
	IP         string
	UserAgent  string
	RequestID  string
}

type originKey struct{}

// WithOrigin returns a context that contains the origin of a request. Middleware may
// change the fields of the origin before it calls a service.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin in the context. If there is none, it returns an origin
// with CredentialNone.
func OriginOf(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(*Origin); ok {
		return *o
	}
	return Origin{Credential: CredentialNone}
}

// AuditEvent is an event for the audit log. Its fields never contain code,
// passwords, secret values or output.
type AuditEvent struct {
	// User is the user whose audit log receives the entry. It is "" if the caller is
	// unknown.
	User    UserID
	Action  Action
	Outcome AuditOutcome
	// Resource is the name of the object that the action concerns, for example the name
	// of a secret. It is "" if there is no object.
	Resource string
	// Details maps names to further facts about the event. The values are strings,
	// integers, booleans or lists of strings.
	Details map[string]any
}

// AuditEntry is an event in the audit log.
type AuditEntry struct {
	ID string
	// Sequence is the index of the entry in the log. The first entry has the index 0.
	// The log contains the entries of all users.
	Sequence  int64
	Timestamp time.Time
	Origin    Origin
	AuditEvent
	// Hash is the leaf hash of the entry (RFC 6962, section 2.1).
	Hash [32]byte
}

// AuditFilter selects entries. Since is inclusive, Until is exclusive. A field with its
// zero value means no restriction.
type AuditFilter struct {
	Action       Action
	Outcome      AuditOutcome
	Since, Until time.Time
	// Label selects the entries of runs that have this label.
	Label string
}

// AuditProof proves that an entry is in the log. A verifier computes a root hash from
// Record and Hashes, and compares this hash with the checkpoint (RFC 9162, section
// 2.1.3).
type AuditProof struct {
	Entry *AuditEntry
	// Record contains the bytes from which the leaf hash is computed.
	Record []byte
	// TreeSize is the number of entries that the checkpoint covers.
	TreeSize int64
	// Hashes is the Merkle audit path from the leaf to the root.
	Hashes [][32]byte
	// Checkpoint is the signed tree head.
	Checkpoint []byte
}

// AuditService gives users access to their audit entries. It is safe for concurrent
// use. It fails with CodeNotFound for an entry of another user.
type AuditService interface {
	// Entries returns the user's entries after the cursor, newest first, but no more
	// than "limit" entries. It also returns the cursor of the next page. The returned
	// cursor is "" on the last page.
	Entries(ctx context.Context, user UserID, f AuditFilter, cursor string, limit int) ([]*AuditEntry, string, error)
	// Checkpoint returns the signed tree head of the log (C2SP tlog-checkpoint). The
	// tree head covers all requests that the server answered before this method was
	// called.
	Checkpoint(ctx context.Context) ([]byte, error)
	// VerifierKey returns the key that verifies checkpoints (C2SP signed-note).
	VerifierKey() string
	// Proof returns the proof for an entry. It fails with CodeNotFound if the entry
	// does not exist or its retention period is over.
	Proof(ctx context.Context, user UserID, id string) (*AuditProof, error)
}
