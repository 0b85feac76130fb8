package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// WebhookRequest is the body of createWebhook.
type WebhookRequest struct {
	_ struct{} `doc:"A URL that receives events of runs."`

	URL    string         `json:"url" minLength:"1" maxLength:"2048" doc:"The URL that receives the events. It must use https or http. Its host must be a host that programs may connect to." example:"https://hooks.example.org/runs"`
	Events []WebhookEvent `json:"events,omitempty" nullable:"false" maxItems:"16" doc:"The events to receive. If absent or empty, the webhook receives only execution.ended." example:"[\"execution.ended\"]"`
}

func (r *WebhookRequest) events() []pyth.WebhookEvent {
	events := make([]pyth.WebhookEvent, len(r.Events))
	for i, e := range r.Events {
		events[i] = pyth.WebhookEvent(e)
	}
	return events
}

// Webhook describes a webhook. It does not contain the secret of the webhook.
type Webhook struct {
	_ struct{} `doc:"A URL that receives events of runs, without the secret."`

	ID        string         `json:"id" doc:"The ID of the webhook." example:"whk_01k7"`
	URL       string         `json:"url" doc:"The URL that receives the events." example:"https://hooks.example.org/runs"`
	Events    []WebhookEvent `json:"events" doc:"The events that the webhook receives."`
	CreatedAt Timestamp      `json:"createdAt" doc:"When the webhook was created."`
}

// WebhookCreated is the response to createWebhook. Only this response contains the
// secret.
type WebhookCreated struct {
	_ struct{} `doc:"A new webhook."`

	Webhook
	Secret string `json:"secret" doc:"The secret with which the server signs deliveries. No other response contains the secret." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

// WebhookList contains all webhooks of a user.
type WebhookList struct {
	_ struct{} `doc:"All webhooks of the account."`

	Webhooks []Webhook `json:"webhooks" doc:"The webhooks, oldest first."`
}

// WebhookDelivery describes the delivery of one event to a webhook.
type WebhookDelivery struct {
	_ struct{} `doc:"A delivery of an event to a webhook, and the outcome of the delivery."`

	ID             string        `json:"id" doc:"The ID of the delivery, as in the header webhook-id. The ID is the same at each attempt." example:"msg_01k7"`
	Event          WebhookEvent  `json:"event" doc:"The event." example:"execution.ended"`
	ExecutionID    string        `json:"executionId" doc:"The ID of the run." example:"019d5783"`
	State          DeliveryState `json:"state" doc:"The state of the delivery." example:"delivered"`
	Attempts       int           `json:"attempts" doc:"The number of attempts to send the delivery." example:"1"`
	CreatedAt      Timestamp     `json:"createdAt" doc:"When the event happened."`
	LastAttemptAt  Timestamp     `json:"lastAttemptAt,omitzero" doc:"When the last attempt ended. Absent before the first attempt."`
	NextAttemptAt  Timestamp     `json:"nextAttemptAt,omitzero" doc:"When the server tries again. Absent before the first attempt, and if no attempt follows: the delivery succeeded, or the server has given up."`
	ResponseStatus int           `json:"responseStatus,omitzero" doc:"The HTTP status of the last response. Absent if there was no response." example:"200"`
	Error          string        `json:"error,omitzero" doc:"Why the last attempt failed. Absent if the last attempt did not fail." example:"the receiver responded with the status 500"`
}

// WebhookDeliveryList is a page of deliveries.
type WebhookDeliveryList struct {
	_ struct{} `doc:"A page of deliveries."`

	Deliveries []WebhookDelivery `json:"deliveries" doc:"The deliveries, newest first."`
	ListPage
}

// WebhookRef contains the path parameter with the ID of a webhook. The type is
// exported, because huma ignores unexported types.
type WebhookRef struct {
	ID string `path:"id" maxLength:"128" doc:"The ID of the webhook."`
}

type (
	webhooksOutput  struct{ Body WebhookList }
	webhookInput    struct{ jsonBody[WebhookRequest] }
	webhookOutput   struct{ Body WebhookCreated }
	webhookRefInput struct{ WebhookRef }
	deliveriesInput struct {
		WebhookRef
		Page
	}
	deliveriesOutput struct{ Body WebhookDeliveryList }
)

const (
	webhooksPath = "/api/v1/webhooks"
	tagWebhooks  = "Webhooks"
)

func (h *Handler) registerWebhooks() {
	webhook := map[string]any{
		"id": "<webhook id>", "url": "https://hooks.example.org/runs", "events": []any{"execution.ended"}, "createdAt": "2026-04-04T08:23:21.123Z",
	}
	created := map[string]any{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	for name, value := range webhook {
		created[name] = value
	}
	delivery := map[string]any{
		"id": "<delivery id>", "event": "execution.ended", "executionId": "<execution id>", "state": "delivered", "attempts": 1,
		"createdAt": "2026-04-04T08:23:21.123Z", "lastAttemptAt": "2026-04-04T08:23:21.456Z", "responseStatus": 200,
	}
	has := h.cfg.Webhooks != nil
	const feature = "webhooks"
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "listWebhooks", Method: http.MethodGet, Path: webhooksPath,
			Summary: "List the webhooks", Tags: []string{tagWebhooks},
			Description: "Lists your webhooks, without their secrets.",
		},
		answer: map[string]any{"webhooks": []any{webhook}},
	}, ifEnabled(has, feature, h.listWebhooks))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "createWebhook", Method: http.MethodPost, Path: webhooksPath, DefaultStatus: http.StatusCreated,
			Summary: "Create a webhook", Tags: []string{tagWebhooks},
			Description: "Creates a webhook that receives events of all your runs. Deliveries follow the Standard Webhooks specification. The server repeats a delivery until the receiver responds with a status from 200 to 299, but at most for 24 hours.",
			Errors:      []int{http.StatusForbidden},
		},
		action:  pyth.ActionWebhookCreated,
		example: map[string]any{"url": "https://hooks.example.org/runs"},
		answer:  created,
	}, ifEnabled(has, feature, h.createWebhook))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "deleteWebhook", Method: http.MethodDelete, Path: webhooksPath + "/{id}",
			Summary: "Delete a webhook", Tags: []string{tagWebhooks},
			Description: "Deletes the webhook and its deliveries. The server does not send pending deliveries.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionWebhookDeleted,
	}, ifEnabled(has, feature, h.deleteWebhook))
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "listWebhookDeliveries", Method: http.MethodGet, Path: webhooksPath + "/{id}/deliveries",
			Summary: "List the deliveries of a webhook", Tags: []string{tagWebhooks},
			Description: "Lists the deliveries of the last seven days with their outcomes, newest first.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: map[string]any{"deliveries": []any{delivery}},
	}, ifEnabled(has, feature, h.listDeliveries))
}

func (h *Handler) listWebhooks(ctx context.Context, _ *noInput) (*webhooksOutput, error) {
	all, err := h.cfg.Webhooks.Webhooks(ctx, caller(ctx).User.ID)
	if err != nil {
		return nil, err
	}
	out := WebhookList{Webhooks: make([]Webhook, len(all))}
	for i, w := range all {
		out.Webhooks[i] = webhook(w)
	}
	return &webhooksOutput{Body: out}, nil
}

func (h *Handler) createWebhook(ctx context.Context, in *webhookInput) (*webhookOutput, error) {
	w, secret, err := h.cfg.Webhooks.CreateWebhook(ctx, caller(ctx).User.ID, in.Value.URL, in.Value.events())
	if err != nil {
		return nil, err
	}
	return &webhookOutput{Body: WebhookCreated{Webhook: webhook(w), Secret: secret}}, nil
}

func (h *Handler) deleteWebhook(ctx context.Context, in *webhookRefInput) (*noOutput, error) {
	return nil, h.cfg.Webhooks.DeleteWebhook(ctx, caller(ctx).User.ID, pyth.WebhookID(in.ID))
}

func (h *Handler) listDeliveries(ctx context.Context, in *deliveriesInput) (*deliveriesOutput, error) {
	user := caller(ctx).User.ID
	before, err := position(cursorDeliveries, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	// Read one delivery more than the page contains, to find out whether there is a next
	// page.
	all, err := h.cfg.Webhooks.Deliveries(ctx, user, pyth.WebhookID(in.ID), pyth.DeliveryID(before), in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := WebhookDeliveryList{Deliveries: make([]WebhookDelivery, min(len(all), in.Limit))}
	for i := range out.Deliveries {
		d := all[i]
		out.Deliveries[i] = WebhookDelivery{
			ID: string(d.ID), Event: WebhookEvent(d.Event), ExecutionID: string(d.Execution), State: DeliveryState(d.State), Attempts: d.Attempts,
			CreatedAt: Timestamp(d.CreatedAt), LastAttemptAt: Timestamp(d.LastAttemptAt), NextAttemptAt: Timestamp(d.NextAttemptAt),
			ResponseStatus: d.ResponseStatus, Error: d.Error,
		}
	}
	if len(all) > in.Limit {
		out.NextCursor = newCursor(cursorDeliveries, user, string(all[in.Limit-1].ID))
	}
	return &deliveriesOutput{Body: out}, nil
}

func webhook(w *pyth.Webhook) Webhook {
	out := Webhook{ID: string(w.ID), URL: w.URL, Events: make([]WebhookEvent, len(w.Events)), CreatedAt: Timestamp(w.CreatedAt)}
	for i, e := range w.Events {
		out.Events[i] = WebhookEvent(e)
	}
	return out
}
