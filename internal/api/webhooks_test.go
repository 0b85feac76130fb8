package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// webhooks is a fake WebhookService. It has one webhook with the ID key_1 and fixed
// deliveries.
type webhooks struct {
	url        string
	events     []pyth.WebhookEvent
	run        pyth.ExecutionID
	deleted    bool
	deliveries []*pyth.Delivery
}

func newWebhooks() *webhooks {
	return &webhooks{deliveries: []*pyth.Delivery{
		{ID: "msg_2", Event: pyth.EventExecutionEnded, Execution: "exe_2", State: pyth.DeliveryPending, CreatedAt: created},
		{
			ID: "msg_1", Event: pyth.EventExecutionStarted, Execution: "exe_1", State: pyth.DeliveryFailed, CreatedAt: created, Attempts: 3,
			LastAttemptAt: created, NextAttemptAt: created, ResponseStatus: 500, Error: "the receiver responded with the status 500",
		},
	}}
}

func (w *webhooks) find(id pyth.WebhookID) error {
	if id != "key_1" {
		return pyth.Errorf(pyth.CodeNotFound, "The webhook does not exist.")
	}
	return nil
}

func (w *webhooks) webhook() *pyth.Webhook {
	return &pyth.Webhook{ID: "key_1", User: "usr_ada", URL: "https://hooks.example.org", Events: []pyth.WebhookEvent{pyth.EventExecutionEnded}, CreatedAt: created}
}

func (w *webhooks) CreateWebhook(_ context.Context, _ pyth.UserID, url string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	w.url, w.events = url, events
	return w.webhook(), "whsec_c2VjcmV0", nil
}

func (w *webhooks) CreateExecutionWebhook(ctx context.Context, user pyth.UserID, run pyth.ExecutionID, url string, events []pyth.WebhookEvent) (*pyth.Webhook, string, error) {
	w.run = run
	return w.CreateWebhook(ctx, user, url, events)
}

func (w *webhooks) Webhooks(context.Context, pyth.UserID) ([]*pyth.Webhook, error) {
	return []*pyth.Webhook{w.webhook()}, nil
}

func (w *webhooks) DeleteWebhook(_ context.Context, _ pyth.UserID, id pyth.WebhookID) error {
	w.deleted = true
	return w.find(id)
}

func (w *webhooks) Deliveries(_ context.Context, _ pyth.UserID, id pyth.WebhookID, before pyth.DeliveryID, limit int) (page []*pyth.Delivery, err error) {
	for _, d := range w.deliveries {
		if (before == "" || d.ID < before) && len(page) < limit {
			page = append(page, d)
		}
	}
	return page, w.find(id)
}

func TestWebhooks(t *testing.T) {
	w := newWebhooks()
	s := newServer(t, func(c *api.Config) { c.Webhooks = w })
	const shown = `"id":"key_1","url":"https://hooks.example.org","events":["execution.ended"],"createdAt":"2026-04-04T08:23:21.123Z"`
	res := s.send(request("POST", "/api/v1/webhooks", `{"url": "https://hooks.example.org/a", "events": ["execution.started"]}`))
	if res.StatusCode != http.StatusCreated || strings.TrimSpace(res.body) != "{"+shown+`,"secret":"whsec_c2VjcmV0"}` {
		t.Errorf("got %d: %s", res.StatusCode, res.body)
	}
	if w.url != "https://hooks.example.org/a" || !slices.Equal(w.events, []pyth.WebhookEvent{pyth.EventExecutionStarted}) {
		t.Errorf("got %q, %q", w.url, w.events)
	}
	if res := s.send(request("GET", "/api/v1/webhooks", "")); strings.TrimSpace(res.body) != `{"webhooks":[{`+shown+`}]}` {
		t.Errorf("got %s", res.body)
	}
	if res := s.send(request("DELETE", "/api/v1/webhooks/key_1", "")); res.StatusCode != http.StatusNoContent {
		t.Errorf("got %d", res.StatusCode)
	}
	for _, r := range []*http.Request{request("DELETE", "/api/v1/webhooks/other", ""), request("GET", "/api/v1/webhooks/other/deliveries", "")} {
		if res := s.send(r); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d", r.URL.Path, res.StatusCode)
		}
	}
	for body, want := range map[string]string{
		`{}`: "requires the field url", `{"url": ""}`: "body.url", `{"url": "https://a", "events": ["execution.end"]}`: "body.events[0]", `{"url": "https://a", "secret": "x"}`: "body.secret",
	} {
		if res := s.send(request("POST", "/api/v1/webhooks", body)); res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, want) {
			t.Errorf("%s: got %d: %s", body, res.StatusCode, res.body)
		}
	}
}

func TestExecuteWithWebhook(t *testing.T) {
	w, q := newWebhooks(), new(queue)
	s := newServer(t, func(c *api.Config) { c.Webhooks, c.Queue = w, q })
	submit := func(path, prefer string) answer {
		r := request("POST", path, `{"code": "1", "webhook": {"url": "https://hooks.example.org/run"}}`)
		r.Header.Set("Prefer", prefer)
		return s.send(r)
	}
	res := submit("/api/v1/execute", "respond-async")
	var run struct{ Webhook struct{ ID, Secret string } }
	if res.decode(t, &run); res.StatusCode != http.StatusAccepted || run.Webhook.ID != "key_1" || run.Webhook.Secret != "whsec_c2VjcmV0" {
		t.Errorf("got %d: %s", res.StatusCode, res.body)
	}
	if w.url != "https://hooks.example.org/run" || w.run == "" || q.programs[0].ID != w.run || w.deleted {
		t.Errorf("got %+v for the run %s", w, q.programs[0].ID)
	}
	q.err = pyth.Errorf(pyth.CodeOverloaded, "Too many runs.")
	if res := submit("/api/v1/execute", "respond-async"); res.StatusCode != http.StatusServiceUnavailable || !w.deleted {
		t.Errorf("got %d, deleted: %t", res.StatusCode, w.deleted)
	}
	for _, path := range []string{"/api/v1/execute", "/api/v1/execute/stream"} {
		if res := submit(path, ""); res.StatusCode != http.StatusBadRequest || !strings.Contains(res.body, "body.webhook") {
			t.Errorf("%s: got %d: %s", path, res.StatusCode, res.body)
		}
	}
}

func TestListWebhookDeliveries(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Webhooks = newWebhooks() })
	var page struct {
		Deliveries []struct{ ID, State, Error string }
		NextCursor string
	}
	res := s.send(request("GET", "/api/v1/webhooks/key_1/deliveries?limit=1", ""))
	res.decode(t, &page)
	if len(page.Deliveries) != 1 || page.Deliveries[0].ID != "msg_2" || page.NextCursor == "" || strings.Contains(res.body, "lastAttemptAt") {
		t.Errorf("got %s", res.body)
	}
	res = s.send(request("GET", "/api/v1/webhooks/key_1/deliveries?limit=1&cursor="+page.NextCursor, ""))
	const want = `{"deliveries":[{"id":"msg_1","event":"execution.started","executionId":"exe_1","state":"failed","attempts":3,` +
		`"createdAt":"2026-04-04T08:23:21.123Z","lastAttemptAt":"2026-04-04T08:23:21.123Z","nextAttemptAt":"2026-04-04T08:23:21.123Z",` +
		`"responseStatus":500,"error":"the receiver responded with the status 500"}]}`
	if strings.TrimSpace(res.body) != want {
		t.Errorf("got %s", res.body)
	}
}
