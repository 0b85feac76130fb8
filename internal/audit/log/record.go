package log

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

const version = 1

const timeLayout = "2006-01-02T15:04:05.000000Z"

// record is the stored form of an entry. The leaf hash is the hash of this form. The
// record is encoded as canonical JSON (RFC 8785), so the fields must be sorted by name.
type record struct {
	Action     pyth.Action       `json:"action"`
	Credential pyth.Credential   `json:"credential"`
	Details    map[string]any    `json:"details"`
	ID         string            `json:"id"`
	IP         string            `json:"ip,omitzero"`
	KeyPrefix  string            `json:"keyPrefix,omitzero"`
	Outcome    pyth.AuditOutcome `json:"outcome"`
	RequestID  string            `json:"requestId,omitzero"`
	Resource   string            `json:"resource,omitzero"`
	Sequence   int64             `json:"sequence"`
	Time       string            `json:"time"`
	User       pyth.UserID       `json:"user,omitzero"`
	UserAgent  string            `json:"userAgent,omitzero"`
	Version    int               `json:"v"`
}

type pending struct {
	record record
	at     time.Time
	// The channel "written" is closed when the event is durable. It is also closed when
	// the event could not be stored; then the field "failure" is set. The channel is nil
	// for an event from the method Note.
	written chan struct{}
	failure error
}

// newPending creates the record of an event. The sequence number and the ID are not set
// yet.
func newPending(o *pyth.Origin, e *pyth.AuditEvent, at time.Time) (*pending, error) {
	details, err := cleanDetails(e.Details)
	if err != nil {
		return nil, err
	}
	return &pending{at: at, record: record{
		Action:     e.Action,
		Credential: o.Credential,
		Details:    details,
		IP:         clean(o.IP),
		KeyPrefix:  clean(o.KeyPrefix),
		Outcome:    e.Outcome,
		RequestID:  clean(o.RequestID),
		Resource:   clean(e.Resource),
		Time:       at.Format(timeLayout),
		User:       e.User,
		UserAgent:  clean(o.UserAgent),
		Version:    version,
	}}, nil
}

// recordAt adds the sequence number and the ID to the record, and encodes it.
func (p *pending) recordAt(sequence int64) (*pyth.AuditRecord, error) {
	id, err := newID(sequence, p.at)
	if err != nil {
		return nil, err
	}
	p.record.ID, p.record.Sequence = id, sequence
	content, err := json.Marshal(&p.record, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return &pyth.AuditRecord{
		Sequence: sequence, User: p.record.User, Action: p.record.Action, Outcome: p.record.Outcome,
		Timestamp: p.at, Record: content,
	}, nil
}

// entryOf decodes a stored record and computes its leaf hash.
func entryOf(content []byte) (*pyth.AuditEntry, error) {
	var r record
	if err := json.Unmarshal(content, &r, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("audit: parse record: %w", err)
	}
	at, err := time.Parse(timeLayout, r.Time)
	if err != nil || r.Version != version {
		return nil, fmt.Errorf("audit: parse record: version %d, time %q", r.Version, r.Time)
	}
	return &pyth.AuditEntry{
		ID: r.ID, Sequence: r.Sequence, Timestamp: at,
		Origin: pyth.Origin{Credential: r.Credential, KeyPrefix: r.KeyPrefix, IP: r.IP, UserAgent: r.UserAgent, RequestID: r.RequestID},
		AuditEvent: pyth.AuditEvent{
			User: r.User, Action: r.Action, Outcome: r.Outcome, Resource: r.Resource, Details: r.Details,
		},
		Hash: leafHash(content),
	}, nil
}

// newID returns the ID of an entry: a UUID of version 7 (RFC 9562, section 5.7). The low
// 48 bits of the ID contain the sequence number of the entry instead of random bits. RFC
// 9562 permits this in section 6.2. Therefore the log finds an entry by its ID without an
// index.
func newID(sequence int64, at time.Time) (string, error) {
	var id uuid.UUID
	if _, err := rand.Read(id[6:10]); err != nil {
		return "", err
	}
	binary.BigEndian.PutUint64(id[8:], uint64(binary.BigEndian.Uint16(id[8:]))<<48|uint64(sequence)&(1<<48-1))
	milliseconds := uint64(at.UnixMilli())
	binary.BigEndian.PutUint16(id[0:], uint16(milliseconds>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(milliseconds))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String(), nil
}

// sequenceOf extracts the sequence number from the ID of an entry.
func sequenceOf(id string) (int64, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id || parsed.Version() != 7 {
		return 0, errors.New("not an ID of an entry")
	}
	return int64(binary.BigEndian.Uint64(parsed[8:]) & (1<<48 - 1)), nil
}
