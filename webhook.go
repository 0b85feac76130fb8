package pyth

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// WebhookID identifies a webhook.
type WebhookID string

// DeliveryID identifies a delivery. The header webhook-id contains this ID. If a list of
// IDs is sorted, the earliest delivery comes first.
type DeliveryID string

// WebhookEvent is the name of an event that webhooks receive.
type WebhookEvent string

// Events of webhooks. If a run ends before its start is stored, the server does not
// send EventExecutionStarted.
const (
	EventExecutionStarted WebhookEvent = "execution.started"
	EventExecutionEnded   WebhookEvent = "execution.ended"
)

// WebhookEvents returns all events of webhooks.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{EventExecutionStarted, EventExecutionEnded}
}

// Webhook is a URL that receives events of a user's runs.
type Webhook struct {
	ID     WebhookID
	User   UserID
	URL    string
	Events []WebhookEvent
	// Execution is the run whose events the webhook receives. If it is "", the webhook
	// receives the events of all runs of the user.
	Execution ExecutionID
	CreatedAt time.Time
}

// Wants reports whether the webhook receives the event of the run.
func (w *Webhook) Wants(event WebhookEvent, run ExecutionID) bool {
	return (w.Execution == "" || w.Execution == run) && slices.Contains(w.Events, event)
}

// SealedWebhook is a webhook with its secret, encrypted with the user's data key.
type SealedWebhook struct {
	Webhook
	Sealed []byte
}

// DeliveryState is the state of a delivery: pending, delivered or failed.
type DeliveryState string

// States of a delivery. The server will send a pending delivery or try it again.
// Delivered and failed deliveries never change.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed"
)

// DeliveryStates returns all states of a delivery.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{DeliveryPending, DeliveryDelivered, DeliveryFailed}
}

// Delivery is an event for one webhook. It also contains the outcome of the attempts to
// send the event.
type Delivery struct {
	ID        DeliveryID
	Webhook   WebhookID
	User      UserID
	Event     WebhookEvent
	Execution ExecutionID
	CreatedAt time.Time
	State     DeliveryState
	Attempts  int
	// LastAttemptAt is the time of the last attempt. It is zero before the first
	// attempt. NextAttemptAt is the time of the next attempt. It is zero before the
	// first attempt and after the last one.
	LastAttemptAt, NextAttemptAt time.Time
	// ResponseStatus is the HTTP status of the receiver's last response. It is 0 if
	// there was no response.
	ResponseStatus int
	// Error says why the last attempt failed. It is "" if the attempt did not fail.
	Error string
	// Payload is the body of the request. It is nil in lists of deliveries. It is also
	// nil after the last attempt.
	Payload []byte
}

// MaxPendingDeliveries is the maximum number of pending deliveries of a user. The server
// marks each further delivery as failed without an attempt.
const MaxPendingDeliveries = 10_000

// ErrorTooManyDeliveries is the value of Delivery.Error if the user already had
// MaxPendingDeliveries pending deliveries.
const ErrorTooManyDeliveries = "too many deliveries were pending"

// EventOf returns the event that belongs to the state of the record, and the time of the
// event. It returns "" if no event belongs to the state.
func EventOf(r *ExecutionRecord) (WebhookEvent, time.Time) {
	switch r.State {
	case StateRunning:
		return EventExecutionStarted, r.StartedAt
	case StateEnded:
		return EventExecutionEnded, r.EndedAt
	}
	return "", time.Time{}
}

// limit marks the delivery as failed if the user already has the maximum number of
// pending deliveries.
func (d *Delivery) limit(pending int) {
	if pending >= MaxPendingDeliveries {
		d.State, d.Error, d.Payload = DeliveryFailed, ErrorTooManyDeliveries, nil
	}
}

// NewDelivery returns a delivery that reports an event of the run to the webhook. It
// returns nil if the webhook does not receive this event.
func NewDelivery(w *Webhook, r *ExecutionRecord) *Delivery {
	event, at := EventOf(r)
	if event == "" || !w.Wants(event, r.ID) {
		return nil
	}
	return &Delivery{
		ID: DeliveryID("msg_" + NewExecutionID(at)), Webhook: w.ID, User: w.User, Event: event, Execution: r.ID,
		CreatedAt: at, State: DeliveryPending, Payload: eventPayload(event, at, r),
	}
}

// DeliveryTx reads webhooks and stores deliveries in one transaction of a store.
type DeliveryTx interface {
	// UserWebhooks returns the user's webhooks that receive events of all runs, sorted
	// by ID.
	UserWebhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// ExecutionWebhooks returns the webhooks that receive events of one run only.
	ExecutionWebhooks(ctx context.Context, id ExecutionID) ([]*Webhook, error)
	// PendingDeliveries returns the number of the user's pending deliveries. It stops
	// counting at MaxPendingDeliveries.
	PendingDeliveries(ctx context.Context, user UserID) (int, error)
	// LockWebhook prevents other transactions from deleting the webhook before the end
	// of this transaction. It returns false if the webhook was already deleted.
	LockWebhook(ctx context.Context, id WebhookID) (bool, error)
	// PutDelivery stores a delivery. It does nothing if the webhook already has a
	// delivery for the same event.
	PutDelivery(ctx context.Context, d *Delivery) error
}

// CreateDeliveries stores deliveries for records that the transaction has changed. Only
// stores call this function.
func CreateDeliveries(ctx context.Context, tx DeliveryTx, changed []*ExecutionRecord) error {
	users := map[UserID]*recipients{}
	for _, r := range changed {
		if event, _ := EventOf(r); event == "" {
			continue
		}
		to := users[r.User]
		if to == nil {
			all, err := tx.UserWebhooks(ctx, r.User)
			if err != nil {
				return err
			}
			to = &recipients{webhooks: all, pending: -1}
			users[r.User] = to
		}
		targets := to.webhooks
		if r.Async {
			own, err := tx.ExecutionWebhooks(ctx, r.ID)
			if err != nil {
				return err
			}
			targets = append(own, targets...)
		}
		for _, w := range targets {
			if err := to.add(ctx, tx, NewDelivery(w, r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// recipients contains the webhooks of one user. The field "pending" is the number of
// pending deliveries. It is -1 if the number is not known yet.
type recipients struct {
	webhooks []*Webhook
	pending  int
}

// The method "add" stores a delivery. It does nothing if d is nil, or if another
// transaction has deleted the webhook.
func (to *recipients) add(ctx context.Context, tx DeliveryTx, d *Delivery) error {
	if d == nil {
		return nil
	}
	exists, err := tx.LockWebhook(ctx, d.Webhook)
	if err != nil || !exists {
		return err
	}
	if to.pending < 0 {
		if to.pending, err = tx.PendingDeliveries(ctx, d.User); err != nil {
			return err
		}
	}
	d.limit(to.pending)
	to.pending++
	return tx.PutDelivery(ctx, d)
}

// timestampLayout is the format of times in the payloads of webhooks.
const timestampLayout = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timestampLayout)
}

// eventPayload returns the payload of an event. The payload contains the type and the
// time of the event. It also contains the summary of the run in the same form as in the
// API. It contains no code and no output.
func eventPayload(event WebhookEvent, at time.Time, r *ExecutionRecord) []byte {
	type usage struct {
		WallMs          int64 `json:"wallMs"`
		CPUMs           int64 `json:"cpuMs"`
		MemoryPeakBytes int64 `json:"memoryPeakBytes"`
		QueuedMs        int64 `json:"queuedMs"`
		NetworkBytes    int64 `json:"networkBytes"`
	}
	type summary struct {
		ID        ExecutionID    `json:"id"`
		Language  Language       `json:"language"`
		ExitCode  *int           `json:"exitCode,omitempty"`
		Signal    string         `json:"signal,omitempty"`
		Session   SessionID      `json:"sessionId,omitempty"`
		CreatedAt string         `json:"createdAt"`
		State     ExecutionState `json:"state"`
		Labels    []string       `json:"labels"`
		Key       KeyID          `json:"keyId,omitempty"`
		Encrypted string         `json:"encryptedName,omitempty"`
		StartedAt string         `json:"startedAt,omitempty"`
		EndedAt   string         `json:"endedAt,omitempty"`
		Status    Status         `json:"status,omitempty"`
		Reason    string         `json:"reason,omitempty"`
		Usage     *usage         `json:"usage,omitempty"`
		Content   ContentState   `json:"content,omitempty"`
	}
	data := summary{
		ID: r.ID, Language: r.Language, Session: r.Session, CreatedAt: timestamp(r.CreatedAt), State: r.State, Labels: r.Labels,
		Key: r.Key, Encrypted: r.Encrypted, StartedAt: timestamp(r.StartedAt),
	}
	if data.Labels == nil {
		data.Labels = []string{}
	}
	if r.State == StateEnded {
		ms := func(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
		data.ExitCode, data.Signal, data.EndedAt, data.Status, data.Reason, data.Content = r.ExitCode, r.Signal, timestamp(r.EndedAt), r.Status, r.Reason, r.Content
		data.Usage = &usage{ms(r.Usage.Wall), ms(r.Usage.CPU), r.Usage.MemoryPeakBytes, ms(r.Usage.Queued), r.NetworkBytes}
	}
	b, err := json.Marshal(struct {
		Type      WebhookEvent `json:"type"`
		Timestamp string       `json:"timestamp"`
		Data      summary      `json:"data"`
	}{event, timestamp(at), data})
	if err != nil {
		panic(err) // All fields can be encoded.
	}
	return b
}

// WebhookService manages the webhooks of users. It is safe for concurrent use. Methods
// fail with CodeNotFound if the user has no webhook with the given ID.
type WebhookService interface {
	// CreateWebhook creates a webhook and returns its secret. No other method returns
	// the secret. CreateWebhook fails with CodeInvalid if the URL is not valid. It
	// fails with CodeQuotaExceeded if the user has the maximum number of webhooks. If
	// the request names no events, the webhook receives EventExecutionEnded.
	CreateWebhook(ctx context.Context, user UserID, url string, events []WebhookEvent) (w *Webhook, secret string, err error)
	// CreateExecutionWebhook creates a webhook for one run of the user. The caller may
	// create the run later. A webhook for one run does not count towards the maximum
	// number of webhooks. In all other respects, the method is like CreateWebhook.
	CreateExecutionWebhook(ctx context.Context, user UserID, run ExecutionID, url string, events []WebhookEvent) (w *Webhook, secret string, err error)
	// Webhooks returns the user's webhooks that receive the events of all runs, oldest
	// first.
	Webhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// DeleteWebhook deletes a webhook with its deliveries. The server does not send
	// pending deliveries of the webhook any more.
	DeleteWebhook(ctx context.Context, user UserID, id WebhookID) error
	// Deliveries returns the deliveries of a webhook, newest first. It returns
	// deliveries with an ID less than "before", but no more than "limit" deliveries. If
	// "before" is "", the first delivery is the newest one.
	Deliveries(ctx context.Context, user UserID, id WebhookID, before DeliveryID, limit int) ([]*Delivery, error)
}

// WebhookStore stores webhooks and their deliveries. Some methods of ExecutionStore and
// QueueStore start or end a run. In the same transaction, these methods store the
// deliveries that report the start or the end. Each webhook gets only one delivery for an
// event of a run.
type WebhookStore interface {
	// CreateWebhook stores a webhook. It fails with CodeConflict if the user already
	// has "limit" webhooks for all runs. If w.Execution is not "", CreateWebhook
	// ignores the limit.
	CreateWebhook(ctx context.Context, w *SealedWebhook, limit int) error
	// Webhooks returns the user's webhooks that receive events of all runs, sorted by
	// ID.
	Webhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// DeleteWebhook deletes a webhook and its deliveries.
	DeleteWebhook(ctx context.Context, user UserID, id WebhookID) error
	// Deliveries returns the deliveries of a webhook, by descending ID. The returned
	// deliveries do not contain payloads. Deliveries fails with CodeNotFound if the
	// user has no webhook with the given ID.
	Deliveries(ctx context.Context, user UserID, id WebhookID, before DeliveryID, limit int) ([]*Delivery, error)
	// Delivery returns a delivery with its webhook.
	Delivery(ctx context.Context, id DeliveryID) (*Delivery, *SealedWebhook, error)
	// PutAttempt stores the outcome of an attempt to send a pending delivery. It sets
	// State, Attempts, the times, ResponseStatus and Error. If the delivery is no
	// longer pending, PutAttempt removes the payload. It does nothing if the stored
	// delivery does not exist or is not pending.
	PutAttempt(ctx context.Context, d *Delivery) error
	// UnscheduledDeliveries returns the pending deliveries for which SetScheduled was
	// not called, oldest first.
	UnscheduledDeliveries(ctx context.Context, limit int) ([]DeliveryID, error)
	SetScheduled(ctx context.Context, ids []DeliveryID) error
	// ResetScheduled makes UnscheduledDeliveries return all pending deliveries again.
	ResetScheduled(ctx context.Context) error
	// DeleteOldDeliveries deletes deliveries that were created before the given time.
	// It also deletes the webhooks that belong to a single run and were created before
	// this time. It deletes no more than "limit" deliveries and "limit" webhooks. It
	// returns the number of deleted deliveries.
	DeleteOldDeliveries(ctx context.Context, before time.Time, limit int) (int, error)
}
