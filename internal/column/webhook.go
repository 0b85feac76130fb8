package column

import (
	"encoding/json"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// WebhookNames are the columns that Webhook scans. A query must give the table
	// webhooks the alias "w".
	WebhookNames = "w.id, w.user_id, w.url, w.events, coalesce(w.execution_id, ''), w.created_at"
	// DeliveryNames are the columns that Delivery scans, without the payload. A query
	// must give the table webhook_deliveries the alias "d".
	DeliveryNames = "d.id, d.webhook_id, d.user_id, d.event, d.execution_id, d.created_at, d.state, d.attempts, d.last_attempt_at, d.next_attempt_at, d.response_status, d.error"
)

// Webhook returns scan targets for WebhookNames.
func Webhook(w *pyth.Webhook) []any {
	return []any{&w.ID, &w.User, &w.URL, eventsOf{w}, &w.Execution, Time(&w.CreatedAt)}
}

// eventsOf is a scan target for the list of events of a webhook.
type eventsOf struct{ w *pyth.Webhook }

func (d eventsOf) Scan(v any) error {
	text, _ := v.(string)
	return json.Unmarshal([]byte(text), &d.w.Events)
}

// Delivery returns scan targets for DeliveryNames.
func Delivery(d *pyth.Delivery) []any {
	return []any{
		&d.ID, &d.Webhook, &d.User, &d.Event, &d.Execution,
		Time(&d.CreatedAt), &d.State, &d.Attempts, Time(&d.LastAttemptAt), Time(&d.NextAttemptAt),
		&d.ResponseStatus, &d.Error,
	}
}
