package storetest

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func statsOf(t *testing.T, s pyth.Store) *pyth.StoreStats {
	t.Helper()
	stats, err := s.Stats(t.Context())
	want(t, err, "")
	return stats
}

func testStats(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	empty := statsOf(t, s)
	if empty.DatabaseBytes < 4096 {
		t.Errorf("the database has %d bytes", empty.DatabaseBytes)
	}
	same(t, &pyth.StoreStats{DatabaseBytes: empty.DatabaseBytes}, empty)

	create(t, s, "ada")
	create(t, s, "bob")
	createWebhook(t, s, newWebhook("ada", "hook", "", pyth.EventExecutionEnded))
	put(t, s, ended("ada", 0), ended("ada", 1))
	ids, err := s.UnscheduledDeliveries(ctx, 1)
	want(t, err, "")
	d, _, err := s.Delivery(ctx, ids[0])
	want(t, err, "")
	d.State = pyth.DeliveryDelivered
	want(t, s.PutAttempt(ctx, d), "")
	enqueue(t, s, queued("bob", 7), queued("ada", 5), queued("ada", 6))
	want(t, s.PutPackageList(ctx, "ada", packageList(1, "layer", "a", "b")), "")
	want(t, s.PutPackageList(ctx, "bob", packageList(1, "layer", "a", "b")), "")
	got := statsOf(t, s)
	got.DatabaseBytes = 0
	same(t, &pyth.StoreStats{
		Users: 2, Packages: 4, Queued: 3, OldestQueued: queued("ada", 5).ID.CreatedAt().Truncate(time.Millisecond), PendingDeliveries: 1,
	}, got)
}
