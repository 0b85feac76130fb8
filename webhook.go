package pyth

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// WebhookID identifies a webhook.
type WebhookID string

// DeliveryID identifies a delivery. It is the value of the header webhook-id. IDs sort
// by time.
type DeliveryID string

// WebhookEvent is the name of an event that webhooks receive.
type WebhookEvent string

// Events of webhooks. If a run ends before its start is stored, there is no
// EventExecutionStarted.
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
	// Execution is the run whose events the webhook receives; "" for all runs of the
	// user.
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

// DeliveryState is the phase of a delivery: pending, delivered or failed.
type DeliveryState string

// States of a delivery. The server will try a pending delivery again. Delivered and
// failed deliveries never change.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed"
)

// DeliveryStates returns all states of a delivery.
func DeliveryStates() []DeliveryState {
	return []DeliveryState{DeliveryPending, DeliveryDelivered, DeliveryFailed}
}

// Delivery is an event for one webhook, and the outcome of sending it.
type Delivery struct {
	ID        DeliveryID
	Webhook   WebhookID
	User      UserID
	Event     WebhookEvent
	Execution ExecutionID
	CreatedAt time.Time
	State     DeliveryState
	Attempts  int
	// LastAttemptAt is zero before the first attempt. NextAttemptAt is zero before the
	// first attempt, and after the last attempt.
	LastAttemptAt, NextAttemptAt time.Time
	// ResponseStatus is the HTTP status of the receiver's last response; 0 if there was
	// no response.
	ResponseStatus int
	// Error says why the last attempt failed; "" if the attempt did not fail.
	Error string
	// Payload is the body of the request. It is nil in lists, and after the last
	// attempt.
	Payload []byte
}

// MaxPendingDeliveries is the maximum number of pending deliveries of a user. Further
// deliveries fail without an attempt.
const MaxPendingDeliveries = 10_000

// ErrorTooManyDeliveries is the Error of a delivery beyond MaxPendingDeliveries.
const ErrorTooManyDeliveries = "too many deliveries were pending"

// EventOf returns the event that happened when the record was stored, and the time of
// the event. It returns "" if there was no event.
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

// NewDelivery returns the delivery of an event of the run to the webhook. It returns
// nil if the webhook does not receive the event.
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

// DeliveryTx reads and stores the deliveries of webhooks in one transaction of a store.
type DeliveryTx interface {
	// UserWebhooks returns the user's webhooks for all runs, by ID.
	UserWebhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// ExecutionWebhooks returns the webhooks of one run.
	ExecutionWebhooks(ctx context.Context, id ExecutionID) ([]*Webhook, error)
	// PendingDeliveries returns the number of the user's pending deliveries, at most
	// MaxPendingDeliveries.
	PendingDeliveries(ctx context.Context, user UserID) (int, error)
	// LockWebhook makes sure that the webhook exists until the end of the transaction.
	// It returns false if the webhook was deleted.
	LockWebhook(ctx context.Context, id WebhookID) (bool, error)
	// PutDelivery stores a delivery. It does nothing if the webhook already has a
	// delivery of the same event.
	PutDelivery(ctx context.Context, d *Delivery) error
}

// CreateDeliveries stores the deliveries of the events of records that have changed in
// the transaction. Only stores call it.
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

// recipients are the webhooks of one user. The field "pending" is the number of pending
// deliveries, or -1 if it is not known.
type recipients struct {
	webhooks []*Webhook
	pending  int
}

// The method "add" stores a delivery. It does nothing if d is nil, or if the webhook
// was deleted in the meantime.
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

// timestampLayout is the format of times in payloads.
const timestampLayout = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timestampLayout)
}

// eventPayload returns the payload of an event. The payload contains the type and the
// time of the event, and the summary of the run as in the API. The payload has no code
// and no output.
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
// fail with CodeNotFound if the user has no webhook with the ID.
type WebhookService interface {
	// CreateWebhook creates a webhook and returns its secret, which no other method
	// returns. It fails with CodeInvalid if the URL is not valid, and with
	// CodeQuotaExceeded if the user has the maximum number of webhooks. Without events,
	// the webhook receives EventExecutionEnded.
	CreateWebhook(ctx context.Context, user UserID, url string, events []WebhookEvent) (w *Webhook, secret string, err error)
	// CreateExecutionWebhook creates a webhook for one run of the user. The run does
	// not have to exist yet. Such webhooks do not count towards the maximum number. In
	// all other respects, the method is like CreateWebhook.
	CreateExecutionWebhook(ctx context.Context, user UserID, run ExecutionID, url string, events []WebhookEvent) (w *Webhook, secret string, err error)
	// Webhooks returns the user's webhooks that receive the events of all runs, oldest
	// first.
	Webhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// DeleteWebhook deletes a webhook with its deliveries. Pending deliveries are not
	// sent.
	DeleteWebhook(ctx context.Context, user UserID, id WebhookID) error
	// Deliveries returns the deliveries of a webhook, newest first. It returns at most
	// "limit" deliveries with an ID less than "before"; "" means no bound.
	Deliveries(ctx context.Context, user UserID, id WebhookID, before DeliveryID, limit int) ([]*Delivery, error)
}

// WebhookStore stores webhooks and their deliveries. Methods of ExecutionStore and
// QueueStore that start or end a run store the deliveries of this event in the same
// transaction. An event of a run is delivered once to each webhook.
type WebhookStore interface {
	// CreateWebhook stores a webhook. It fails with CodeConflict if the user has
	// "limit" webhooks for all runs. It ignores the limit if w.Execution is not "".
	CreateWebhook(ctx context.Context, w *SealedWebhook, limit int) error
	// Webhooks returns the user's webhooks for all runs, sorted by ID.
	Webhooks(ctx context.Context, user UserID) ([]*Webhook, error)
	// DeleteWebhook deletes a webhook and its deliveries.
	DeleteWebhook(ctx context.Context, user UserID, id WebhookID) error
	// Deliveries returns the deliveries of a webhook without payloads, by descending
	// ID. It fails with CodeNotFound if the user has no webhook with the ID.
	Deliveries(ctx context.Context, user UserID, id WebhookID, before DeliveryID, limit int) ([]*Delivery, error)
	// Delivery returns a delivery with its webhook.
	Delivery(ctx context.Context, id DeliveryID) (*Delivery, *SealedWebhook, error)
	// PutAttempt stores the outcome of an attempt to send a pending delivery: State,
	// Attempts, the times, ResponseStatus and Error. It removes the payload if the
	// delivery is no longer pending. It does nothing if the delivery is absent or not
	// pending.
	PutAttempt(ctx context.Context, d *Delivery) error
	// UnscheduledDeliveries returns pending deliveries without a call of SetScheduled,
	// oldest first.
	UnscheduledDeliveries(ctx context.Context, limit int) ([]DeliveryID, error)
	SetScheduled(ctx context.Context, ids []DeliveryID) error
	// ResetScheduled makes UnscheduledDeliveries return all pending deliveries again.
	ResetScheduled(ctx context.Context) error
	// DeleteOldDeliveries deletes deliveries that were created before the given time.
	// It also deletes webhooks of single runs that were created before this time. It
	// deletes at most "limit" deliveries and at most "limit" webhooks, and returns the
	// number of deleted deliveries.
	DeleteOldDeliveries(ctx context.Context, before time.Time, limit int) (int, error)
}
