package idempotency_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/idempotency"
	"github.com/pyth-on/pyth-on/internal/sqlite/sqlitetest"
)

func TestService(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "db")
	store, v := sqlitetest.Open(t, path, "ada", "bob")
	now := time.Now()
	s, err := idempotency.New(ctx, idempotency.Config{Store: store, Vault: v, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(user pyth.UserID, request byte, answer *pyth.StoredAnswer, code pyth.Code) {
		t.Helper()
		got, err := s.BeginRequest(ctx, user, "canary-key", [32]byte{request})
		if pyth.ErrorCode(err) != code {
			t.Errorf("got %v, want code %q", err, code)
		}
		if diff := cmp.Diff(answer, got); diff != "" {
			t.Error(diff)
		}
	}
	end := func(answer *pyth.StoredAnswer) {
		t.Helper()
		if err := s.EndRequest(ctx, "ada", "canary-key", answer); err != nil {
			t.Fatal(err)
		}
	}
	begin("ada", 1, nil, "")
	begin("ada", 1, nil, pyth.CodeInProgress)
	begin("ada", 2, nil, pyth.CodeIdempotencyConflict)
	end(nil)
	begin("ada", 2, nil, "")
	answer := &pyth.StoredAnswer{Status: 201, Header: http.Header{"Location": {"/x"}}, Body: []byte(`{"key": "canary-answer"}`)}
	end(answer)
	begin("ada", 2, answer, "")
	begin("ada", 1, nil, pyth.CodeIdempotencyConflict)
	begin("bob", 1, nil, "")
	for _, name := range []string{path, path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("canary")) {
			t.Errorf("%s contains a key or an answer in clear", name)
		}
	}
	now = now.Add(25 * time.Hour)
	if err := s.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	begin("ada", 3, nil, "")
	end(&pyth.StoredAnswer{Status: 200, Body: make([]byte, idempotency.MaxAnswerBytes+1)})
	begin("ada", 3, nil, pyth.CodeConflict)
}
