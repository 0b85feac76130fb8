package audit

import (
	"context"
	"net/url"

	pyth "github.com/pyth-on/pyth-on"
)

// Webhooks returns a service that passes all calls to the service "next". It records the
// creation and the deletion of webhooks in the log.
func Webhooks(next pyth.WebhookService, log Recorder) pyth.WebhookService {
	return &webhooks{next, log}
}

type webhooks struct {
	pyth.WebhookService
	log Recorder
}

// CreateWebhook writes an audit entry with the host of the URL. The entry does not
// contain the path of the URL, because for some receivers this path contains a token.
func (s *webhooks) CreateWebhook(ctx context.Context, user pyth.UserID, target string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	w, secret, err := s.WebhookService.CreateWebhook(ctx, user, target, events)
	return s.created(ctx, user, w, secret, err)
}

// CreateExecutionWebhook writes an audit entry with the host of the URL and the ID of
// the run.
func (s *webhooks) CreateExecutionWebhook(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, target string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	w, secret, err := s.WebhookService.CreateExecutionWebhook(ctx, user, run, target, events)
	return s.created(ctx, user, w, secret, err)
}

func (s *webhooks) created(ctx context.Context, user pyth.UserID, w *pyth.Webhook, secret string, err error) (*pyth.Webhook, string, error) {
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionWebhookCreated}
	if err == nil {
		names := make([]string, len(w.Events))
		for i, event := range w.Events {
			names[i] = string(event)
		}
		e.Resource, e.Details = string(w.ID), map[string]any{"events": names}
		if w.Execution != "" {
			e.Details["executionId"] = string(w.Execution)
		}
		if u, err := url.Parse(w.URL); err == nil {
			e.Details["host"] = u.Host
		}
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, "", err
	}
	return w, secret, nil
}

func (s *webhooks) DeleteWebhook(ctx context.Context, user pyth.UserID, id pyth.WebhookID) error {
	err := s.WebhookService.DeleteWebhook(ctx, user, id)
	return recordAfter(ctx, s.log, &pyth.AuditEvent{User: user, Action: pyth.ActionWebhookDeleted, Resource: string(id)}, err)
}
