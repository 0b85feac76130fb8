package pyth

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// ExecutionState is the state of a run: queued, running or ended.
type ExecutionState string

// States of a run. The program of a queued run has not started. An ended run never
// changes.
const (
	StateQueued  ExecutionState = "queued"
	StateRunning ExecutionState = "running"
	StateEnded   ExecutionState = "ended"
)

// ExecutionStates returns all states of a run.
func ExecutionStates() []ExecutionState {
	return []ExecutionState{StateQueued, StateRunning, StateEnded}
}

// ReasonWorkerLost explains StatusKilled: the server or the machine of the run was lost
// during the run.
const ReasonWorkerLost = "worker_lost"

// ContentState says whether the server has stored the code and the output of a run.
type ContentState string

// Values of ContentState. ContentNone means that the request or a setting of the server
// disabled the storage. ContentOmitted means that the content was too large, or that
// the server did not have enough memory for it. ContentExpired means that the retention
// period of the content has ended.
const (
	ContentStored  ContentState = "stored"
	ContentNone    ContentState = "none"
	ContentOmitted ContentState = "omitted"
	ContentExpired ContentState = "expired"
)

// ContentStates returns all values of ContentState.
func ContentStates() []ContentState {
	return []ContentState{ContentStored, ContentNone, ContentOmitted, ContentExpired}
}

// ExecutionRecord contains the metadata of a run.
type ExecutionRecord struct {
	// ID is a UUID of version 7. CreatedAt is the time in this UUID, in milliseconds.
	ID        ExecutionID
	User      UserID
	State     ExecutionState
	Language  Language
	Labels    []string
	Session   SessionID
	CreatedAt time.Time
	// Encrypted is the name of the encrypted program. It is "" if the program was not
	// encrypted.
	Encrypted string
	// Key is the ID of the API key in the request. It is "" if the request had no API
	// key.
	Key KeyID
	// Async is true if the run was asynchronous. The caller of an asynchronous run does
	// not wait for the end of the run.
	Async bool
	// StartedAt is the time when a sandbox received the job of the run. It is zero if
	// no sandbox has received the job.
	StartedAt time.Time

	// The following fields are set if State is StateEnded.

	EndedAt time.Time
	Status  Status
	// Reason explains Status. It is ReasonWorkerLost, or the code of the error that
	// prevented the start of an asynchronous run. Reason is "" if Status needs no
	// explanation.
	Reason   string
	ExitCode *int
	Signal   string
	// Usage contains the resources that the run used, except the field Network.
	// NetworkBytes is the sum over all connections.
	Usage        Usage
	NetworkBytes int64
	Content      ContentState
}

// SealedExecution is a record with its encrypted content.
type SealedExecution struct {
	ExecutionRecord
	// Sealed holds the code and the outcome, encrypted with the user's data key. It is
	// nil if the code and the outcome are not stored.
	Sealed []byte
}

// RecordedExecution is a record with its content.
type RecordedExecution struct {
	ExecutionRecord
	// Code is the code of the program. It is "" if the content is not stored.
	Code string
	// Outcome is the outcome of the run. It is nil if the run has not ended or its
	// content is not stored.
	Outcome *Outcome
}

// ExecutionFilter selects records. A field with its zero value means no restriction.
type ExecutionFilter struct {
	State    ExecutionState
	Status   Status
	Language Language
	Label    string
	Session  SessionID
	Key      KeyID
	// Since and Until select records by CreatedAt. Since is inclusive, Until is
	// exclusive.
	Since, Until time.Time
}

// RecordService manages the records of users' runs. It is safe for concurrent use.
// Methods fail with CodeNotFound if the user has no run with the given ID.
type RecordService interface {
	// Executions returns the records that match the filter, newest first. It returns
	// records with an ID less than "before", but no more than "limit" records. If
	// "before" is "", the first record is the newest one.
	Executions(ctx context.Context, user UserID, f ExecutionFilter, before ExecutionID, limit int) ([]*ExecutionRecord, error)
	// Execution returns a run. It waits until the run ends, but no longer than the time
	// "wait". If ctx ends first, Execution returns the current state.
	Execution(ctx context.Context, user UserID, id ExecutionID, wait time.Duration) (*RecordedExecution, error)
	// FollowExecution passes all events of a run to the receiver, beginning with the
	// first event. When the run has ended, it returns the run. Every call of
	// FollowExecution passes the same events. If the content of the run is not stored,
	// the receiver gets only Started.
	FollowExecution(ctx context.Context, user UserID, id ExecutionID, events Events) (*RecordedExecution, error)
	// CancelExecution cancels a run. It does not wait until the run has ended. It does
	// nothing if the run has already ended.
	CancelExecution(ctx context.Context, user UserID, id ExecutionID) (*RecordedExecution, error)
	// DeleteExecution deletes the record and the content of an ended run. It fails with
	// CodeConflict if the run has not ended.
	DeleteExecution(ctx context.Context, user UserID, id ExecutionID) error
}

// NewExecutionID returns an ID for a run that the server accepted at the given time. If a
// list of IDs is sorted, the earliest ID comes first.
func NewExecutionID(at time.Time) ExecutionID {
	var b [16]byte
	_, _ = rand.Read(b[8:]) // Read never fails.
	putMillis(&b, at)
	// Put the fraction of the millisecond into the next 12 bits. Then two IDs of the
	// same millisecond also sort by time (RFC 9562, section 6.2, method 3).
	fraction := uint16(at.Nanosecond() % int(time.Millisecond) * 4096 / int(time.Millisecond))
	binary.BigEndian.PutUint16(b[6:], 0x7000|fraction)
	b[8] = b[8]&0x3f | 0x80
	return ExecutionID(formatID(b))
}

// ExecutionIDBound returns a string for comparisons with IDs of runs. The string sorts
// before the IDs of all runs that were accepted at the given time or later. It sorts
// after all earlier IDs. Times are compared in milliseconds, rounded up.
func ExecutionIDBound(at time.Time) ExecutionID {
	var b [16]byte
	putMillis(&b, at.Add(time.Millisecond-1))
	return ExecutionID(formatID(b)[:13])
}

// putMillis writes the time in milliseconds to the first 48 bits. If the time does not
// fit, putMillis writes the nearest possible time.
func putMillis(b *[16]byte, at time.Time) {
	millis := uint64(min(max(at.UnixMilli(), 0), 1<<48-1))
	binary.BigEndian.PutUint16(b[:], uint16(millis>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(millis))
}

// CreatedAt returns the time in the ID, in milliseconds. It returns the zero time if
// the ID is not a UUID of version 7.
func (id ExecutionID) CreatedAt() time.Time {
	if len(id) != 36 || id[8] != '-' || id[14] != '7' {
		return time.Time{}
	}
	millis, err := strconv.ParseInt(string(id[:8]+id[9:13]), 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

func formatID(b [16]byte) string {
	s := make([]byte, 0, 36)
	for i, end := range []int{4, 6, 8, 10, 16} {
		start := []int{0, 4, 6, 8, 10}[i]
		if i > 0 {
			s = append(s, '-')
		}
		s = hex.AppendEncode(s, b[start:end])
	}
	return string(s)
}
