package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const webhookMissing = "webhook"

// webhooksOfUser is the part of a query that selects the user's webhooks for the events
// of all runs.
const webhooksOfUser = "w.user_id = ? AND w.execution_id IS NULL ORDER BY w.id"

// CreateWebhook stores a webhook.
func (s *Store) CreateWebhook(ctx context.Context, w *pyth.SealedWebhook, limit int) error {
	events, err := json.Marshal(w.Events)
	if err != nil {
		return err
	}
	created, err := s.write(ctx, "INSERT INTO webhooks (id, user_id, url, events, execution_id, created_at, sealed)"+
		" SELECT ?1, id, ?3, ?4, nullif(?5, ''), ?6, ?7 FROM users WHERE id = ?2"+
		" AND (?5 <> '' OR (SELECT count(*) FROM webhooks WHERE user_id = ?2 AND execution_id IS NULL) < ?8)",
		w.ID, w.User, w.URL, string(events), w.Execution, column.TimeValue(w.CreatedAt), w.Sealed, limit)
	if err == nil && !created {
		err = pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d webhooks.", limit)
	}
	return err
}

// Webhooks returns the user's webhooks that receive events of all runs, sorted by ID.
func (s *Store) Webhooks(ctx context.Context, user pyth.UserID) ([]*pyth.Webhook, error) {
	all, err := webhooks(ctx, s.reader, webhooksOfUser, user)
	return all, failure(err)
}

// querier is either a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func webhooks(ctx context.Context, db querier, where string, args ...any) (all []*pyth.Webhook, err error) {
	rows, err := db.QueryContext(ctx, "SELECT "+column.WebhookNames+" FROM webhooks w WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		w := new(pyth.Webhook)
		if err := rows.Scan(column.Webhook(w)...); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, rows.Err()
}

// DeleteWebhook deletes a webhook and its deliveries.
func (s *Store) DeleteWebhook(ctx context.Context, user pyth.UserID, id pyth.WebhookID) error {
	deleted, err := s.write(ctx, "DELETE FROM webhooks WHERE id = ? AND user_id = ?", id, user)
	if err == nil && !deleted {
		err = asNotFound(sql.ErrNoRows, webhookMissing)
	}
	return err
}

// Deliveries returns the deliveries of a webhook, newest first.
func (s *Store) Deliveries(ctx context.Context, user pyth.UserID, id pyth.WebhookID, before pyth.DeliveryID, limit int) (all []*pyth.Delivery, err error) {
	var one int
	if err := s.reader.QueryRowContext(ctx, "SELECT 1 FROM webhooks WHERE id = ? AND user_id = ?", id, user).Scan(&one); err != nil {
		return nil, asNotFound(err, webhookMissing)
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT "+column.DeliveryNames+" FROM webhook_deliveries d"+
		" WHERE d.webhook_id = ?1 AND (?2 = '' OR d.id < ?2) ORDER BY d.id DESC LIMIT ?3", id, before, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		d := new(pyth.Delivery)
		if err := rows.Scan(column.Delivery(d)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, d)
	}
	return all, failure(rows.Err())
}

// Delivery returns a delivery with its webhook.
func (s *Store) Delivery(ctx context.Context, id pyth.DeliveryID) (*pyth.Delivery, *pyth.SealedWebhook, error) {
	d, w := new(pyth.Delivery), new(pyth.SealedWebhook)
	fields := append(append(column.Delivery(d), column.Webhook(&w.Webhook)...), &d.Payload, &w.Sealed)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.DeliveryNames+", "+column.WebhookNames+", d.payload, w.sealed"+
		" FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?", id).Scan(fields...)
	if err != nil {
		return nil, nil, asNotFound(err, "delivery")
	}
	return d, w, nil
}

// PutAttempt stores the outcome of an attempt to send a pending delivery.
func (s *Store) PutAttempt(ctx context.Context, d *pyth.Delivery) error {
	_, err := s.write(ctx, "UPDATE webhook_deliveries SET state = ?2, attempts = ?3, last_attempt_at = ?4, next_attempt_at = ?5,"+
		" response_status = ?6, error = ?7, payload = CASE ?2 WHEN 'pending' THEN payload END WHERE id = ?1 AND state = 'pending'",
		d.ID, d.State, d.Attempts, column.TimeValue(d.LastAttemptAt), column.TimeValue(d.NextAttemptAt), d.ResponseStatus, d.Error)
	return err
}

// UnscheduledDeliveries returns pending deliveries without a background job.
func (s *Store) UnscheduledDeliveries(ctx context.Context, limit int) (ids []pyth.DeliveryID, err error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT id FROM webhook_deliveries INDEXED BY webhook_deliveries_unscheduled"+
		" WHERE state = 'pending' AND scheduled = 0 ORDER BY id LIMIT ?", limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id pyth.DeliveryID
		if err := rows.Scan(&id); err != nil {
			return nil, failure(err)
		}
		ids = append(ids, id)
	}
	return ids, failure(rows.Err())
}

// SetScheduled stores that the deliveries have background jobs.
func (s *Store) SetScheduled(ctx context.Context, ids []pyth.DeliveryID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	_, err = s.write(ctx, "UPDATE webhook_deliveries SET scheduled = 1 WHERE id IN (SELECT value FROM json_each(?))", string(list))
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
	var n int64
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		// IDs sort by time, so the query can compare IDs instead of times.
		result, err := tx.ExecContext(ctx, "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE id < ? ORDER BY id LIMIT ?)",
			"msg_"+pyth.ExecutionIDBound(before), limit)
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM webhooks WHERE id IN (SELECT id FROM webhooks WHERE execution_id IS NOT NULL AND execution_id < ? LIMIT ?)",
			pyth.ExecutionIDBound(before), limit)
		return err
	})
	return int(n), err
}

const putDelivery = `INSERT INTO webhook_deliveries
	(id, webhook_id, user_id, event, execution_id, created_at, state, scheduled, attempts, response_status, error, payload)
	VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?) ON CONFLICT (webhook_id, execution_id, event) DO NOTHING`

// createDeliveries stores deliveries for the records that the transaction has changed.
func createDeliveries(ctx context.Context, tx *sql.Tx, changed []*pyth.ExecutionRecord) error {
	return pyth.CreateDeliveries(ctx, deliveryTx{tx}, changed)
}

// deliveryTx implements pyth.DeliveryTx.
type deliveryTx struct{ *sql.Tx }

func (tx deliveryTx) UserWebhooks(ctx context.Context, user pyth.UserID) ([]*pyth.Webhook, error) {
	return webhooks(ctx, tx, webhooksOfUser, user)
}

func (tx deliveryTx) ExecutionWebhooks(ctx context.Context, id pyth.ExecutionID) ([]*pyth.Webhook, error) {
	return webhooks(ctx, tx, "w.execution_id = ?", id)
}

func (tx deliveryTx) PendingDeliveries(ctx context.Context, user pyth.UserID) (n int, err error) {
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE user_id = ? AND state = 'pending' LIMIT ?)",
		user, pyth.MaxPendingDeliveries).Scan(&n)
	return n, err
}

// LockWebhook does nothing. SQLite has only one writing transaction at a time, so a lock
// is not necessary.
func (tx deliveryTx) LockWebhook(context.Context, pyth.WebhookID) (bool, error) { return true, nil }

func (tx deliveryTx) PutDelivery(ctx context.Context, d *pyth.Delivery) error {
	_, err := tx.ExecContext(ctx, putDelivery, d.ID, d.Webhook, d.User, d.Event, d.Execution, column.TimeValue(d.CreatedAt), d.State, d.Error, d.Payload)
	return err
}

// createDeliveriesOf stores deliveries for a run that the transaction has changed.
func createDeliveriesOf(ctx context.Context, tx *sql.Tx, id pyth.ExecutionID) error {
	r := new(pyth.ExecutionRecord)
	if err := tx.QueryRowContext(ctx, "SELECT "+column.ExecutionNames+" FROM executions e WHERE e.id = ?", id).Scan(column.Execution(r)...); err != nil {
		return err
	}
	return createDeliveries(ctx, tx, []*pyth.ExecutionRecord{r})
}
