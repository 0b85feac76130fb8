package storetest

import (
	"sync/atomic"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func idempotent(user pyth.UserID, key, request string, at time.Time) *pyth.IdempotentRequest {
	return &pyth.IdempotentRequest{User: user, Key: hash(key), Request: hash(request), CreatedAt: at}
}

func begin(t *testing.T, s pyth.Store, r, found *pyth.IdempotentRequest) {
	t.Helper()
	got, err := s.BeginRequest(t.Context(), r, r.CreatedAt.Add(-time.Hour), 10)
	want(t, err, "")
	same(t, found, got)
}

func testIdempotentRequest(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	first := idempotent("ada", "k", "first", start)
	begin(t, s, first, nil)
	begin(t, s, idempotent("ada", "k", "second", start.Add(time.Minute)), first)
	begin(t, s, idempotent("bob", "k", "first", start), nil)
	want(t, s.EndRequest(ctx, "ada", hash("k"), []byte("answer\x00")), "")
	answered := *first
	answered.Answer = []byte("answer\x00")
	begin(t, s, first, &answered)
	// EndRequest must not replace the first answer.
	want(t, s.EndRequest(ctx, "ada", hash("k"), []byte("other")), "")
	want(t, s.EndRequest(ctx, "ada", hash("k"), nil), "")
	begin(t, s, first, &answered)
	// A request can begin again if it had no effect, or if it has expired.
	want(t, s.EndRequest(ctx, "bob", hash("k"), nil), "")
	begin(t, s, idempotent("bob", "k", "again", start), nil)
	later := idempotent("ada", "k", "later", start.Add(2*time.Hour))
	begin(t, s, later, nil)
	begin(t, s, later, later)
	n, err := s.DeleteOldRequests(ctx, start.Add(time.Hour), 10)
	want(t, err, "")
	same(t, 1, n)
	begin(t, s, idempotent("bob", "k", "new", start), nil)
	begin(t, s, later, later)
	_, err = s.BeginRequest(ctx, idempotent("nobody", "k", "r", start), start, 10)
	want(t, err, pyth.CodeNotFound)
	_, err = s.BeginRequest(ctx, idempotent("ada", "k2", "r", start), start, 1)
	want(t, err, pyth.CodeQuotaExceeded)
}

func testIdempotentRequestRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	var began atomic.Int32
	codes := race(8, func(int) error {
		found, err := s.BeginRequest(t.Context(), idempotent("ada", "k", "r", start), start.Add(-time.Hour), 10)
		if err == nil && found == nil {
			began.Add(1)
		}
		return err
	})
	same(t, map[pyth.Code]int{"": 8}, codes)
	same(t, 1, began.Load())
}
