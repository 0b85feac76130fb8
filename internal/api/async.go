package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// respondAsync is a value of the header Prefer (RFC 7240). With this value, a client asks
// for a response before the end of its run.
const respondAsync = "respond-async"

// prefersAsync reports whether the request has the preference respond-async. It
// ignores other preferences, as RFC 7240 requires.
func prefersAsync(header http.Header) bool {
	for _, line := range header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			token, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(token), respondAsync) {
				return true
			}
		}
	}
	return false
}

// enqueue puts an asynchronous run into the queue and responds with the record of the
// run. The parameter "webhook" is nil if the request has no webhook.
func (h *Handler) enqueue(ctx context.Context, program *pyth.Program, webhook *WebhookRequest) (*executeOutput, error) {
	created, remove, err := h.createExecutionWebhook(ctx, program, webhook)
	if err != nil {
		return nil, err
	}
	r, err := h.cfg.Queue.EnqueueExecution(ctx, caller(ctx).User.ID, program)
	if err != nil {
		remove()
		return nil, err
	}
	header := requestOf(ctx).w.Header()
	header.Set("Location", executionsPath+"/"+string(r.ID))
	header.Set("Preference-Applied", respondAsync)
	answer := execution(&pyth.RecordedExecution{ExecutionRecord: *r})
	answer.Webhook = created
	return &executeOutput{Body: h.inJSON(http.StatusAccepted, answer)}, nil
}

// createExecutionWebhook creates the webhook of an asynchronous run before the run can
// start. If the server refuses the run, the caller must call the function "remove", which
// deletes the webhook. If the server stops before this call, the store deletes the
// webhook some days later.
func (h *Handler) createExecutionWebhook(ctx context.Context, program *pyth.Program, r *WebhookRequest) (created *WebhookCreated, remove func(), err error) {
	if r == nil {
		return nil, func() {}, nil
	}
	if h.cfg.Webhooks == nil {
		return nil, nil, pyth.Invalid("body.webhook", "is not possible, because this server sends no webhooks; remove this field")
	}
	user := caller(ctx).User.ID
	program.ID = pyth.NewExecutionID(h.cfg.Now())
	w, secret, err := h.cfg.Webhooks.CreateExecutionWebhook(ctx, user, program.ID, r.URL, r.events())
	if err != nil {
		return nil, nil, err
	}
	return &WebhookCreated{Webhook: webhook(w), Secret: secret}, func() {
		// Ignore the error: if the deletion of the webhook fails here, the store deletes
		// the webhook later.
		_ = h.cfg.Webhooks.DeleteWebhook(context.WithoutCancel(ctx), user, w.ID)
	}, nil
}

// acceptedForm describes the response to a request for an asynchronous run.
func (h *Handler) acceptedForm() *huma.Response {
	form := h.jsonForm("The run is queued. Its record has the state queued", reflect.TypeFor[Execution]())
	form.Headers = map[string]*huma.Param{
		"Location":           stringHeader("The path of the run."),
		"Preference-Applied": stringHeader("The preference that the server has applied: respond-async."),
	}
	form.Content[applicationJSON].Example = map[string]any{
		"id": "<execution id>", "state": "queued", "language": "python", "labels": []any{}, "keyId": "<key id>",
		"createdAt": "2026-04-04T08:23:21.123Z",
	}
	return form
}
