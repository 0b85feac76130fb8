package pyth

import (
	"context"
	"time"
)

// ServerID identifies a running server among the servers that share a database. A
// server has a new ID after each start.
type ServerID string

// QueuedExecution is an asynchronous run that the server accepted and has not started.
type QueuedExecution struct {
	// ExecutionRecord is the record of the run. Its state is StateQueued.
	ExecutionRecord
	// Request contains the program, encrypted with the user's data key.
	Request []byte
}

// QueueLimits contains the limits for the queued runs of one user.
type QueueLimits struct {
	// Runs is the maximum number of queued runs. Bytes is the maximum total size of the
	// requests of these runs.
	Runs  int
	Bytes int64
}

// QueueShare is the number of queued runs of one user that one server may claim. A
// claimed run is reserved for this server.
type QueueShare struct {
	User UserID
	Runs int
}

// QueueService accepts runs that start later. It is safe for concurrent use.
type QueueService interface {
	// EnqueueExecution accepts a run and returns its record. If p.ID is "", the run
	// gets a new ID. Otherwise p.ID becomes the ID of the run. When EnqueueExecution
	// returns, the run is durable. The errors for an invalid program are the same as in
	// ExecutionService. If the user has too many queued runs, EnqueueExecution fails
	// with CodeTooManyExecutions.
	EnqueueExecution(ctx context.Context, user UserID, p *Program) (*ExecutionRecord, error)
}

// QueueStore stores asynchronous runs. A server claims a queued run. Then only this
// server can start the run. The claim ends if the server is lost.
type QueueStore interface {
	// EnqueueExecutions stores the records and the requests of queued runs in one
	// transaction. The result has one element for each run. An element is nil if the
	// run is stored. It is CodeTooManyExecutions if the user has reached a limit, and
	// CodeNotFound if the user does not exist.
	EnqueueExecutions(ctx context.Context, runs []*QueuedExecution, limits QueueLimits) ([]error, error)
	// WaitingUsers returns users who have queued runs that no server has claimed. It
	// returns users whose ID is greater than "after", by ascending ID, but no more than
	// "limit" users.
	WaitingUsers(ctx context.Context, after UserID, limit int) ([]UserID, error)
	// ClaimExecutions claims the oldest queued runs of each user for the server, and
	// returns these runs. It claims no more than the given number of runs for each
	// user.
	ClaimExecutions(ctx context.Context, server ServerID, shares []QueueShare) ([]*QueuedExecution, error)
	// StartExecution changes the state of a queued run to StateRunning and deletes its
	// request. It reports whether the server may start the run. It returns false if the
	// run was canceled, or if the server has no claim on the run. After an error, the
	// caller can call StartExecution again with the same time. The second call then
	// returns the result that the first call would have returned.
	StartExecution(ctx context.Context, server ServerID, id ExecutionID, at time.Time) (bool, error)
	// CancelExecution ends a queued run with StatusCanceled and deletes its request. If
	// the state of the run is StateRunning, CancelExecution only stores that the run
	// must be canceled. The result "ended" is true if CancelExecution has ended a
	// queued run. CancelExecution does nothing if the run does not exist or has ended.
	CancelExecution(ctx context.Context, user UserID, id ExecutionID, at time.Time) (ended bool, err error)
	// CanceledExecutions returns the runs that must be canceled and have not ended yet.
	CanceledExecutions(ctx context.Context) ([]ExecutionID, error)
	// KeepServer stores that the server is alive. A server that has not called
	// KeepServer can claim runs, but cannot start them.
	KeepServer(ctx context.Context, server ServerID) error
	// RemoveServer removes a server. The claims of this server on queued runs end, so
	// that other servers can claim these runs.
	RemoveServer(ctx context.Context, server ServerID) error
	// LostExecutions removes all servers that have not called KeepServer for the time
	// "silence", except the given server. It also ends the claims of these servers. It
	// returns the asynchronous runs that have started and whose server is no longer
	// alive, but no more than "limit" runs.
	LostExecutions(ctx context.Context, server ServerID, silence time.Duration, limit int) ([]*ExecutionRecord, error)
}

// Error returns the error for a run that would exceed a limit.
func (l QueueLimits) Error() *Error {
	return &Error{
		Code: CodeTooManyExecutions,
		Message: "You have reached the maximum number or the maximum size of queued runs: " + Digits(int64(l.Runs)) + " runs, and " + Digits(l.Bytes) +
			" bytes of requests. Try again after some of them have started.",
		RetryAfter: time.Second,
	}
}

// QueueSize contains the number of a user's queued runs. It also contains the total
// size of the requests of these runs, in bytes.
type QueueSize struct {
	Runs  int
	Bytes int64
}

// Add adds a run. It returns an error if the run would exceed a limit. A nil QueueSize
// means that the user does not exist.
func (q *QueueSize) Add(r *QueuedExecution, limits QueueLimits) error {
	switch {
	case q == nil:
		return Errorf(CodeNotFound, "The user does not exist.")
	case q.Runs >= limits.Runs || q.Bytes+int64(len(r.Request)) > limits.Bytes:
		return limits.Error()
	}
	q.Runs++
	q.Bytes += int64(len(r.Request))
	return nil
}
