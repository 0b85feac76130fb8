package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const webhookMissing = "webhook"

func scanWebhook(row pgx.CollectableRow) (*pyth.Webhook, error) {
	w := new(pyth.Webhook)
	return w, row.Scan(column.Webhook(w)...)
}

// CreateWebhook stores a webhook.
func (s *Store) CreateWebhook(ctx context.Context, w *pyth.SealedWebhook, limit int) error {
	events, err := json.Marshal(w.Events)
	if err != nil {
		return err
	}
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Lock the user. Otherwise several concurrent calls together could exceed the
		// limit.
		if err := lockUser(ctx, tx, w.User); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "INSERT INTO webhooks (id, user_id, url, events, execution_id, created_at, sealed)"+
			" SELECT $1, $2, $3, $4, nullif($5, ''), $6::bigint, $7"+
			" WHERE $5 <> '' OR (SELECT count(*) FROM webhooks WHERE user_id = $2 AND execution_id IS NULL) < $8",
			w.ID, w.User, w.URL, string(events), w.Execution, column.TimeValue(w.CreatedAt), w.Sealed, limit)
		if err == nil && tag.RowsAffected() == 0 {
			err = pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d webhooks.", limit)
		}
		return err
	})
}

const webhooksOfUser = "SELECT " + column.WebhookNames + " FROM webhooks w WHERE w.user_id = $1 AND w.execution_id IS NULL ORDER BY w.id"

// Webhooks returns the user's webhooks that receive events of all runs, sorted by ID.
func (s *Store) Webhooks(ctx context.Context, user pyth.UserID) ([]*pyth.Webhook, error) {
	return collect(ctx, s, scanWebhook, webhooksOfUser, user)
}

// DeleteWebhook deletes a webhook and its deliveries.
func (s *Store) DeleteWebhook(ctx context.Context, user pyth.UserID, id pyth.WebhookID) error {
	return s.deleteOne(ctx, webhookMissing, "DELETE FROM webhooks WHERE id = $1 AND user_id = $2", id, user)
}

// Deliveries returns the deliveries of a webhook, newest first.
func (s *Store) Deliveries(ctx context.Context, user pyth.UserID, id pyth.WebhookID, before pyth.DeliveryID, limit int) ([]*pyth.Delivery, error) {
	var one int
	if err := s.row(ctx, "SELECT 1 FROM webhooks WHERE id = $1 AND user_id = $2", []any{id, user}, &one); err != nil {
		return nil, asNotFound(err, webhookMissing)
	}
	scan := func(row pgx.CollectableRow) (*pyth.Delivery, error) {
		d := new(pyth.Delivery)
		return d, row.Scan(column.Delivery(d)...)
	}
	return collect(ctx, s, scan, "SELECT "+column.DeliveryNames+" FROM webhook_deliveries d"+
		" WHERE d.webhook_id = $1 AND ($2 = '' OR d.id < $2) ORDER BY d.id DESC LIMIT $3", id, before, limit)
}

// Delivery returns a delivery with its webhook.
func (s *Store) Delivery(ctx context.Context, id pyth.DeliveryID) (*pyth.Delivery, *pyth.SealedWebhook, error) {
	d, w := new(pyth.Delivery), new(pyth.SealedWebhook)
	fields := append(append(column.Delivery(d), column.Webhook(&w.Webhook)...), &d.Payload, &w.Sealed)
	err := s.row(ctx, "SELECT "+column.DeliveryNames+", "+column.WebhookNames+", d.payload, w.sealed"+
		" FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = $1", []any{id}, fields...)
	if err != nil {
		return nil, nil, asNotFound(err, "delivery")
	}
	return d, w, nil
}

// PutAttempt stores the outcome of an attempt to send a pending delivery.
func (s *Store) PutAttempt(ctx context.Context, d *pyth.Delivery) error {
	_, err := s.write(ctx, "UPDATE webhook_deliveries SET state = $2, attempts = $3, last_attempt_at = $4::bigint, next_attempt_at = $5::bigint,"+
		" response_status = $6, error = $7, payload = CASE $2 WHEN 'pending' THEN payload END WHERE id = $1 AND state = 'pending'",
		d.ID, d.State, d.Attempts, column.TimeValue(d.LastAttemptAt), column.TimeValue(d.NextAttemptAt), d.ResponseStatus, d.Error)
	return err
}

// UnscheduledDeliveries returns pending deliveries without a background job.
func (s *Store) UnscheduledDeliveries(ctx context.Context, limit int) ([]pyth.DeliveryID, error) {
	return collect(ctx, s, pgx.RowTo[pyth.DeliveryID], "SELECT id FROM webhook_deliveries WHERE state = 'pending' AND scheduled = 0 ORDER BY id LIMIT $1", limit)
}

// SetScheduled stores that the deliveries have background jobs.
func (s *Store) SetScheduled(ctx context.Context, ids []pyth.DeliveryID) error {
	_, err := s.write(ctx, "UPDATE webhook_deliveries SET scheduled = 1 WHERE id = ANY($1)", ids)
	return err
}

// ResetScheduled stores that no pending delivery has a background job. After that,
// UnscheduledDeliveries returns all pending deliveries again.
func (s *Store) ResetScheduled(ctx context.Context) error {
	_, err := s.write(ctx, "UPDATE webhook_deliveries SET scheduled = 0 WHERE state = 'pending' AND scheduled = 1")
	return err
}

// DeleteOldDeliveries deletes deliveries that were created before the given time. It
// also deletes webhooks for single runs that were created before this time.
func (s *Store) DeleteOldDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	// IDs sort by time, so the query can compare IDs instead of times.
	n, err := s.count(ctx, "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE id < $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)",
		"msg_"+pyth.ExecutionIDBound(before), limit)
	if err != nil {
		return n, err
	}
	_, err = s.count(ctx, "DELETE FROM webhooks WHERE id IN (SELECT id FROM webhooks WHERE execution_id IS NOT NULL AND execution_id < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
		pyth.ExecutionIDBound(before), limit)
	return n, err
}

const putDelivery = `INSERT INTO webhook_deliveries
	(id, webhook_id, user_id, event, execution_id, created_at, state, scheduled, attempts, response_status, error, payload)
	VALUES ($1, $2, $3, $4, $5, $6::bigint, $7, 0, 0, 0, $8, $9) ON CONFLICT (webhook_id, execution_id, event) DO NOTHING`

// createDeliveries stores deliveries for the records that the transaction has changed.
func createDeliveries(ctx context.Context, tx pgx.Tx, changed []*pyth.ExecutionRecord) error {
	return pyth.CreateDeliveries(ctx, deliveryTx{tx}, changed)
}

// deliveryTx implements pyth.DeliveryTx.
type deliveryTx struct{ pgx.Tx }

func (tx deliveryTx) UserWebhooks(ctx context.Context, user pyth.UserID) ([]*pyth.Webhook, error) {
	return tx.webhooks(ctx, webhooksOfUser, user)
}

func (tx deliveryTx) ExecutionWebhooks(ctx context.Context, id pyth.ExecutionID) ([]*pyth.Webhook, error) {
	return tx.webhooks(ctx, "SELECT "+column.WebhookNames+" FROM webhooks w WHERE w.execution_id = $1", id)
}

func (tx deliveryTx) webhooks(ctx context.Context, query string, args ...any) ([]*pyth.Webhook, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanWebhook)
}

func (tx deliveryTx) PendingDeliveries(ctx context.Context, user pyth.UserID) (n int, err error) {
	err = tx.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE user_id = $1 AND state = 'pending' LIMIT $2) p",
		user, pyth.MaxPendingDeliveries).Scan(&n)
	return n, err
}

// LockWebhook locks the webhook. Without the lock, another transaction could delete the
// webhook, and the insertion of a delivery would fail.
func (tx deliveryTx) LockWebhook(ctx context.Context, id pyth.WebhookID) (bool, error) {
	tag, err := tx.Exec(ctx, "SELECT 1 FROM webhooks WHERE id = $1 FOR KEY SHARE", id)
	return tag.RowsAffected() > 0, err
}

func (tx deliveryTx) PutDelivery(ctx context.Context, d *pyth.Delivery) error {
	_, err := tx.Exec(ctx, putDelivery, d.ID, d.Webhook, d.User, d.Event, d.Execution, column.TimeValue(d.CreatedAt), d.State, d.Error, d.Payload)
	return err
}

// createDeliveriesOf stores deliveries for a run that the transaction has changed.
func createDeliveriesOf(ctx context.Context, tx pgx.Tx, id pyth.ExecutionID) error {
	rows, err := tx.Query(ctx, "SELECT "+column.ExecutionNames+" FROM executions e WHERE e.id = $1", id)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*pyth.ExecutionRecord, error) {
		r := new(pyth.ExecutionRecord)
		return r, scanExecution(row, r)
	})
	if err != nil {
		return err
	}
	return createDeliveries(ctx, tx, all)
}
