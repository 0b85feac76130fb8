package pyth

import (
	"context"
	"maps"
	"time"
)

// Role determines the rights of a user.
type Role string

// Roles of users. A user with RoleAdmin may also administer the server.
const (
	RoleUser  Role = "user"
	RoleAdmin Role = "admin"
)

// Roles returns all roles.
func Roles() []Role { return []Role{RoleUser, RoleAdmin} }

// UserChange contains changes of an account. A nil field means no change.
type UserChange struct {
	Disabled *bool
	Role     *Role
	// Quotas contains new limits of the user. A nil value restores the default limit of
	// the server. Limits that are not in Quotas do not change.
	Quotas map[QuotaName]*int64
	// ConfirmEmail is true if the e-mail address becomes a confirmed address.
	ConfirmEmail bool
}

// Apply applies the change to the user. If the change disables the account, Apply sets
// DisabledAt to the time in the parameter "at".
func (c UserChange) Apply(u *User, at time.Time) {
	if c.Role != nil {
		u.Role = *c.Role
	}
	if c.Disabled != nil {
		switch {
		case !*c.Disabled:
			u.DisabledAt = time.Time{}
		case u.DisabledAt.IsZero():
			u.DisabledAt = at
		}
	}
	if c.ConfirmEmail {
		u.EmailUnconfirmedAt = time.Time{}
	}
	if len(c.Quotas) == 0 {
		return
	}
	quotas := maps.Clone(u.Quotas)
	if quotas == nil {
		quotas = map[QuotaName]int64{}
	}
	for name, limit := range c.Quotas {
		if limit == nil {
			delete(quotas, name)
		} else {
			quotas[name] = *limit
		}
	}
	u.Quotas = quotas
}

// LastAdminError returns the error for a change that would leave the server without an
// enabled administrator.
func LastAdminError() *Error {
	return Errorf(CodeLastAdmin, "This is the last enabled administrator. Make another user an administrator first.")
}

// InviteID identifies an invite.
type InviteID string

// Invite allows one registration.
type Invite struct {
	ID InviteID
	// Hash is the SHA-256 of the invite's code. A hash without salt is enough, because
	// the code has 130 random bits.
	Hash [32]byte
	// Email restricts the invite to this e-mail address. If it is "", the invite is
	// valid for any address.
	Email     string
	CreatedAt time.Time
	ExpiresAt time.Time
	// CreatedBy is the administrator who created the invite. It is "" if the operator
	// created the invite at the command line.
	CreatedBy UserID
	// Setup is true for the invite that a server without an administrator creates when it
	// starts. The server prints the code of this invite. The account that uses this
	// invite becomes the first administrator.
	Setup bool
}

// InviteError returns the error for an invite that cannot be used. Either the invite is
// unknown, used or expired, or it belongs to another e-mail address.
func InviteError() *Error {
	return Errorf(CodeRegistrationClosed, "The invite is not valid: it is unknown, used or expired, or it belongs to another e-mail address. Ask an administrator for a new invite.")
}

// InviteStore stores invites.
type InviteStore interface {
	// CreateInvite stores an invite. A new invite with Setup replaces the earlier
	// invite that has Setup.
	CreateInvite(ctx context.Context, i *Invite) error
	// InviteByHash returns the invite whose code has the given hash.
	InviteByHash(ctx context.Context, hash [32]byte) (*Invite, error)
	// Invites returns the invites that do not have Setup, oldest first. It returns
	// invites whose ID is greater than "after", but no more than "limit" invites.
	Invites(ctx context.Context, after InviteID, limit int) ([]*Invite, error)
	// DeleteInvite deletes an invite. For an invite with Setup, it fails with
	// CodeNotFound.
	DeleteInvite(ctx context.Context, id InviteID) error
	// DeleteExpiredInvites deletes the invites that expired before the given time.
	DeleteExpiredInvites(ctx context.Context, before time.Time) error
	// CreateInvitedUser is like CreateUser, but also deletes the invite in the same
	// transaction. It fails with CodeRegistrationClosed if the invite is not valid for
	// this user at the time u.CreatedAt. If the invite has Setup, the role of the user
	// becomes RoleAdmin. An invite with Setup is not valid if an enabled administrator
	// exists.
	CreateInvitedUser(ctx context.Context, u *User, key *APIKey, dataKey *DataKey, invite [32]byte) error
}

// ResetToken lets a user set a new password once.
type ResetToken struct {
	// Hash is the SHA-256 of the token.
	Hash      [32]byte
	UserID    UserID
	CreatedAt time.Time
	ExpiresAt time.Time
	// Mailed is true if the server sent the token to the e-mail address of the user. The
	// use of the token then confirms the address.
	Mailed bool
}

// ResetTokenStore stores reset tokens.
type ResetTokenStore interface {
	// CreateResetToken stores a token. It replaces earlier tokens of the user.
	CreateResetToken(ctx context.Context, t *ResetToken) error
	// ResetToken returns the reset token with the given hash.
	ResetToken(ctx context.Context, hash [32]byte) (*ResetToken, error)
	// UseResetToken replaces the password hash of the token's user. In the same
	// transaction, it deletes all reset tokens and refresh tokens of the user. If the
	// token was mailed, it also confirms the e-mail address.
	//
	// If the address was not confirmed, another person may have registered the account.
	// In this case, UseResetToken also deletes the API keys, the identities, the
	// webhooks, the secrets, the packages and the encrypted programs, and sets
	// User.TakenOverAt. Each lockfile gets a new revision, so that changes of packages
	// that have already begun fail.
	//
	// It fails with CodeNotFound if the token does not exist or is not valid at the given
	// time.
	UseResetToken(ctx context.Context, hash [32]byte, at time.Time, passwordHash string) error
}

// AdministrationStore contains the operations that administrators use. These operations
// concern the accounts and the runs of all users.
type AdministrationStore interface {
	// Users returns the users whose e-mail address contains the text "search", or whose
	// ID is equal to this text. The comparison ignores case. Users returns users whose ID
	// is greater than "after", oldest first, but no more than "limit" users.
	Users(ctx context.Context, search string, after UserID, limit int) ([]*User, error)
	// UpdateUser changes an account and returns the changed account. If the change
	// disables the account, UpdateUser also revokes all refresh tokens of the user.
	// UpdateUser fails with CodeLastAdmin if no enabled administrator would remain.
	UpdateUser(ctx context.Context, id UserID, c UserChange, at time.Time) (*User, error)
	// CountUsers returns the number of users, of disabled users, and of enabled
	// administrators.
	CountUsers(ctx context.Context) (UserCounts, error)
	// DeleteAPIKeys deletes all API keys of the user and returns their number.
	DeleteAPIKeys(ctx context.Context, id UserID) (int64, error)
	// InactiveUsers returns the given users who are disabled or do not exist.
	InactiveUsers(ctx context.Context, users []UserID) ([]UserID, error)
	// ActiveExecutions returns the records of all users' runs that have not ended, by
	// ascending ID. It returns records with an ID greater than "after", but no more
	// than "limit" records.
	ActiveExecutions(ctx context.Context, after ExecutionID, limit int) ([]*ExecutionRecord, error)
	// ExecutionOwner returns the user of a stored run.
	ExecutionOwner(ctx context.Context, id ExecutionID) (UserID, error)
}

// UserCounts contains the results of AdministrationStore.CountUsers.
type UserCounts struct {
	Users, Disabled, ActiveAdmins int64
}

// NewUser describes an account that an administrator creates.
type NewUser struct {
	Email string
	// Password is the first password. If it is "", the user needs a reset token to set
	// a password before the first login.
	Password string
	// Role is RoleUser by default.
	Role Role
}

// CreatedUser is an account that an administrator has created.
type CreatedUser struct {
	User
	// APIKey is the first API key of the account.
	APIKey string
	// Reset is set if the account was created without a password.
	Reset *Reset
}

// Reset contains a reset token in plain text. The store contains only the hash of the
// token.
type Reset struct {
	Token     string
	ExpiresAt time.Time
}

// AdminService manages the accounts of all users. The parameter "actor" is the
// administrator who calls a method. If it is "", the operator calls the method at the
// command line. AdminService is safe for concurrent use. All errors are *Error.
type AdminService interface {
	// Users returns the users who match the search text, like AdministrationStore.Users.
	// It also returns the last ID of this page. The caller passes this ID as "after" to
	// get the next page. On the last page, the returned ID is "".
	Users(ctx context.Context, search string, after UserID, limit int) ([]*User, UserID, error)
	User(ctx context.Context, id UserID) (*User, error)
	CreateUser(ctx context.Context, actor UserID, n NewUser) (*CreatedUser, error)
	// UpdateUser changes an account. If the change disables the account, the runs and
	// sessions of the user end soon after UpdateUser returns.
	UpdateUser(ctx context.Context, actor, id UserID, c UserChange) (*User, error)
	// DeleteUser deletes the account and all objects of the user.
	DeleteUser(ctx context.Context, actor, id UserID) error
	// CreateReset creates a reset token. The new token replaces the user's earlier
	// reset token.
	CreateReset(ctx context.Context, actor, id UserID) (*Reset, error)
	// DeleteKeys deletes all API keys of the user and returns their number.
	DeleteKeys(ctx context.Context, actor, id UserID) (int64, error)
	// DeleteLogins revokes all refresh tokens of the user.
	DeleteLogins(ctx context.Context, actor, id UserID) error
	// DeleteSecondFactor removes the second factor of a user who has lost it.
	DeleteSecondFactor(ctx context.Context, actor, id UserID) error
	// Invites returns the unused invites, oldest first. It also returns the last ID of
	// this page. The caller passes this ID as "after" to get the next page. On the last
	// page, the returned ID is "".
	Invites(ctx context.Context, after InviteID, limit int) ([]*Invite, InviteID, error)
	// CreateInvite returns a new invite and its code. The server does not store the
	// code. If "lifetime" is 0, the invite is valid for 7 days.
	CreateInvite(ctx context.Context, actor UserID, email string, lifetime time.Duration) (*Invite, string, error)
	DeleteInvite(ctx context.Context, actor UserID, id InviteID) error
}

// ActiveExecution is a run that has not ended, with the e-mail address of its user.
type ActiveExecution struct {
	ExecutionRecord
	Email string
}

// OperationsService shows administrators the runs and the state of a server. It is safe
// for concurrent use.
type OperationsService interface {
	// ActiveExecutions returns the running and waiting runs of all users, oldest first.
	// It also returns the last ID of this page. The caller passes this ID as "after" to
	// get the next page. On the last page, the returned ID is "".
	ActiveExecutions(ctx context.Context, after ExecutionID, limit int) ([]*ActiveExecution, ExecutionID, error)
	// CancelExecution cancels a run of any user. It returns the record of the run and
	// its user.
	CancelExecution(ctx context.Context, actor UserID, id ExecutionID) (*ActiveExecution, error)
	Overview(ctx context.Context) (*Overview, error)
}

// Overview describes the state of a server.
type Overview struct {
	Users UserCounts
	Pool  PoolOverview
	// QueuedExecutions is the number of asynchronous runs that wait in the database.
	QueuedExecutions int64
	// ProcessMemoryBytes is the resident memory of the server process.
	ProcessMemoryBytes int64
	// DiskFreeBytes and DiskTotalBytes describe the file system of the data directory.
	DiskFreeBytes, DiskTotalBytes int64
	// Database is "sqlite" or "postgresql". DatabaseBytes is the size of the database.
	Database      string
	DatabaseBytes int64
	// Runtimes contains the version of each runtime that is available.
	Runtimes map[Runtime]string
	// LastBackupAt is the time of the last backup. It is zero if the server knows no
	// backup.
	LastBackupAt time.Time
	// Workers is the number of connected workers. It is -1 if programs run on the
	// machine of the server.
	Workers int
}

// PoolOverview contains the numbers of sandboxes and programs on this machine.
type PoolOverview struct {
	Running, Waiting    int
	Warm, Idle, Booting int
	// Users is the number of users who have a sandbox or a queued program.
	Users                  int
	Sessions, Reservations int
	ReservedMemoryBytes    int64
}
