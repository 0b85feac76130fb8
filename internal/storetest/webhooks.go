package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func newWebhook(user pyth.UserID, id string, run pyth.ExecutionID, events ...pyth.WebhookEvent) *pyth.SealedWebhook {
	return &pyth.SealedWebhook{
		Webhook: pyth.Webhook{ID: pyth.WebhookID(id), User: user, URL: "https://example.org/" + id, Events: events, Execution: run, CreatedAt: start},
		Sealed:  []byte("sealed\x00" + id),
	}
}

func createWebhook(t *testing.T, s pyth.Store, w *pyth.SealedWebhook) {
	t.Helper()
	want(t, s.CreateWebhook(t.Context(), w, plenty), "")
}

// deliveriesOf returns the events of the deliveries of a webhook, newest first. The
// webhook belongs to the user ada.
func deliveriesOf(t *testing.T, s pyth.Store, id pyth.WebhookID) []string {
	t.Helper()
	all, err := s.Deliveries(t.Context(), "ada", id, "", 100)
	want(t, err, "")
	events := make([]string, 0, len(all))
	for _, d := range all {
		events = append(events, fmt.Sprint(d.Event, " ", d.State))
	}
	return events
}

func testWebhooks(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	b := newWebhook("ada", "whk_b", "", pyth.EventExecutionStarted, pyth.EventExecutionEnded)
	a := newWebhook("ada", "whk_a", "", pyth.EventExecutionEnded)
	ofRun := newWebhook("ada", "whk_r", "run_1", pyth.EventExecutionEnded)
	for _, w := range []*pyth.SealedWebhook{b, a, ofRun} {
		createWebhook(t, s, w)
	}
	all, err := s.Webhooks(ctx, "ada")
	want(t, err, "")
	same(t, []*pyth.Webhook{&a.Webhook, &b.Webhook}, all)
	want(t, s.CreateWebhook(ctx, newWebhook("ada", "whk_c", "", pyth.EventExecutionEnded), 2), pyth.CodeConflict)
	want(t, s.CreateWebhook(ctx, newWebhook("ada", "whk_d", "run_2", pyth.EventExecutionEnded), 2), "")
	want(t, s.CreateWebhook(ctx, newWebhook("bob", "whk_e", "", pyth.EventExecutionEnded), 2), "")
	for _, id := range []pyth.WebhookID{"whk_a", "absent"} {
		want(t, s.DeleteWebhook(ctx, "bob", id), pyth.CodeNotFound)
		_, err := s.Deliveries(ctx, "bob", id, "", 10)
		want(t, err, pyth.CodeNotFound)
	}
	want(t, s.DeleteWebhook(ctx, "ada", "whk_a"), "")
	want(t, s.DeleteWebhook(ctx, "ada", "whk_a"), pyth.CodeNotFound)
	all, err = s.Webhooks(ctx, "ada")
	want(t, err, "")
	same(t, []*pyth.Webhook{&b.Webhook}, all)
}

func testDeliveriesOfRecords(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	createWebhook(t, s, newWebhook("ada", "both", "", pyth.EventExecutionStarted, pyth.EventExecutionEnded))
	createWebhook(t, s, newWebhook("ada", "end", "", pyth.EventExecutionEnded))
	final := ended("ada", 0)
	running := *final
	running.State, running.EndedAt, running.Status, running.ExitCode, running.Sealed = pyth.StateRunning, time.Time{}, "", nil, nil
	queued := running
	queued.State, queued.StartedAt = pyth.StateQueued, time.Time{}
	put(t, s, &queued)
	same(t, []string{}, deliveriesOf(t, s, "both"))
	put(t, s, &running, &running)
	same(t, []string{"execution.started pending"}, deliveriesOf(t, s, "both"))
	same(t, []string{}, deliveriesOf(t, s, "end"))
	put(t, s, final, final)
	put(t, s, final)
	same(t, []string{"execution.ended pending", "execution.started pending"}, deliveriesOf(t, s, "both"))
	same(t, []string{"execution.ended pending"}, deliveriesOf(t, s, "end"))
	put(t, s, ended("bob", 1), ended("nobody", 2))
	same(t, 2, len(deliveriesOf(t, s, "both")))
	// A deleted webhook receives no deliveries.
	want(t, s.DeleteWebhook(t.Context(), "ada", "end"), "")
	put(t, s, ended("ada", 3))
	ids, err := s.UnscheduledDeliveries(t.Context(), 10)
	want(t, err, "")
	same(t, 3, len(ids))
}

func testDelivery(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	hook := newWebhook("ada", "hook", "", pyth.EventExecutionEnded)
	createWebhook(t, s, hook)
	first, second := ended("ada", 0), ended("ada", 10)
	second.EndedAt = second.EndedAt.Add(time.Second)
	put(t, s, second, first)
	page, err := s.Deliveries(ctx, "ada", "hook", "", 1)
	want(t, err, "")
	same(t, second.ID, page[0].Execution)
	page, err = s.Deliveries(ctx, "ada", "hook", page[0].ID, 10)
	want(t, err, "")
	same(t, 1, len(page))
	d, w, err := s.Delivery(ctx, page[0].ID)
	want(t, err, "")
	same(t, hook, w)
	var payload struct {
		Type, Timestamp string
		Data            struct{ ID, Status string }
	}
	if err := json.Unmarshal(d.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	same(t, "execution.ended", payload.Type)
	same(t, string(first.ID), payload.Data.ID)
	same(t, first.EndedAt, d.CreatedAt)
	ids, err := s.UnscheduledDeliveries(ctx, 10)
	want(t, err, "")
	same(t, 2, len(ids))
	same(t, d.ID, ids[0])
	want(t, s.SetScheduled(ctx, ids), "")
	none, err := s.UnscheduledDeliveries(ctx, 10)
	want(t, err, "")
	same(t, 0, len(none))

	// A failed attempt keeps the payload of the delivery.
	d.Attempts, d.LastAttemptAt, d.NextAttemptAt, d.ResponseStatus, d.Error = 1, start, start.Add(time.Minute), 500, "no"
	want(t, s.PutAttempt(ctx, d), "")
	got, _, err := s.Delivery(ctx, d.ID)
	want(t, err, "")
	same(t, d, got)
	want(t, s.ResetScheduled(ctx), "")
	ids, err = s.UnscheduledDeliveries(ctx, 1)
	want(t, err, "")
	same(t, []pyth.DeliveryID{d.ID}, ids)

	// The last attempt removes the payload of the delivery. The outcome of the last
	// attempt never changes.
	d.State, d.Attempts, d.NextAttemptAt, d.ResponseStatus, d.Error = pyth.DeliveryDelivered, 2, time.Time{}, 204, ""
	want(t, s.PutAttempt(ctx, d), "")
	late := *d
	late.State = pyth.DeliveryFailed
	want(t, s.PutAttempt(ctx, &late), "")
	got, _, err = s.Delivery(ctx, d.ID)
	want(t, err, "")
	d.Payload = nil
	same(t, d, got)
	absent := *d
	absent.ID = "absent"
	want(t, s.PutAttempt(ctx, &absent), "")
	_, _, err = s.Delivery(ctx, "absent")
	want(t, err, pyth.CodeNotFound)

	n, err := s.DeleteOldDeliveries(ctx, first.EndedAt.Add(time.Millisecond), 10)
	want(t, err, "")
	same(t, 1, n)
	same(t, []string{"execution.ended pending"}, deliveriesOf(t, s, "hook"))
}

// testDeliveriesOfQueue checks the deliveries for runs that the store itself starts and
// ends.
func testDeliveriesOfQueue(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	createWebhook(t, s, newWebhook("ada", "all", "", pyth.EventExecutionStarted, pyth.EventExecutionEnded))
	runs := make([]*pyth.QueuedExecution, 2)
	for i := range runs {
		r := ended("ada", i).ExecutionRecord
		r.State, r.StartedAt, r.EndedAt, r.Status, r.ExitCode, r.Usage, r.Async = pyth.StateQueued, time.Time{}, time.Time{}, "", nil, pyth.Usage{}, true
		runs[i] = &pyth.QueuedExecution{ExecutionRecord: r, Request: []byte("sealed")}
	}
	createWebhook(t, s, newWebhook("ada", "own", runs[0].ID, pyth.EventExecutionStarted, pyth.EventExecutionEnded))
	errs, err := s.EnqueueExecutions(ctx, runs, pyth.QueueLimits{Runs: 10, Bytes: 1000})
	want(t, err, "")
	same(t, []error{nil, nil}, errs)
	same(t, []string{}, deliveriesOf(t, s, "all"))
	want(t, s.KeepServer(ctx, "srv"), "")
	_, err = s.ClaimExecutions(ctx, "srv", []pyth.QueueShare{{User: "ada", Runs: 10}})
	want(t, err, "")
	for range 2 { // The second call changes nothing.
		started, err := s.StartExecution(ctx, "srv", runs[0].ID, start)
		want(t, err, "")
		same(t, true, started)
	}
	same(t, []string{"execution.started pending"}, deliveriesOf(t, s, "all"))
	same(t, []string{"execution.started pending"}, deliveriesOf(t, s, "own"))
	canceled, err := s.CancelExecution(ctx, "ada", runs[1].ID, start.Add(time.Hour))
	want(t, err, "")
	same(t, true, canceled)
	same(t, []string{"execution.ended pending", "execution.started pending"}, deliveriesOf(t, s, "all"))
	final := runs[0].ExecutionRecord
	final.State, final.StartedAt, final.EndedAt, final.Status = pyth.StateEnded, start, start.Add(2*time.Hour), pyth.StatusSucceeded
	put(t, s, &pyth.SealedExecution{ExecutionRecord: final})
	same(t, []string{"execution.ended pending", "execution.started pending"}, deliveriesOf(t, s, "own"))
	same(t, 3, len(deliveriesOf(t, s, "all")))
	// If a webhook belongs to a single run, the store deletes the webhook together with
	// its deliveries.
	_, err = s.DeleteOldDeliveries(ctx, start.Add(24*time.Hour), 10)
	want(t, err, "")
	_, err = s.Deliveries(ctx, "ada", "own", "", 10)
	want(t, err, pyth.CodeNotFound)
	same(t, []string{}, deliveriesOf(t, s, "all"))
}
