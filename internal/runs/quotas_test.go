package runs_test

import (
	"context"
	"slices"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/runs"
)

// quotas is a runs.Quotas that records its calls. It admits runs until the field
// "err" is set.
type quotas struct {
	err   error
	calls []string
}

func (q *quotas) Admit(_ context.Context, user pyth.UserID, _ bool) error {
	q.calls = append(q.calls, "admit "+string(user))
	return q.err
}

func (q *quotas) Ended(user pyth.UserID, r *pyth.ExecutionRecord) {
	status := "refused"
	if r != nil {
		status = string(r.Status)
	}
	q.calls = append(q.calls, "ended "+string(user)+" "+status)
}

func (q *quotas) Stored(records []*pyth.ExecutionRecord) {
	for _, r := range records {
		q.calls = append(q.calls, "stored "+string(r.User)+" "+string(r.Status))
	}
}

func (q *quotas) wants(t *testing.T, calls ...string) {
	t.Helper()
	if !slices.Equal(q.calls, calls) {
		t.Errorf("got the calls %q, want %q", q.calls, calls)
	}
	q.calls = nil
}

func TestExecuteCountsRunsInQuotas(t *testing.T) {
	q := &quotas{}
	var refusal error
	h := newHarness(t, func(ctx context.Context, p *pyth.Program, e pyth.Events) (*pyth.Execution, error) {
		if refusal != nil {
			return nil, refusal
		}
		return print42(ctx, p, e)
	}, func(c *runs.Config) { c.Quotas = q })
	h.run(t, &pyth.Program{})
	q.wants(t, "admit ada", "ended ada succeeded")
	if err := h.Sync(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	q.wants(t)
	if err := h.Sync(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	q.wants(t, "stored ada succeeded")

	refusal = pyth.Errorf(pyth.CodeOverloaded, "")
	_, err := h.Execute(t.Context(), "ada", &pyth.Program{}, nil)
	wantCode(t, err, pyth.CodeOverloaded)
	q.wants(t, "admit ada", "ended ada refused")

	q.err = pyth.Errorf(pyth.CodeQuotaExceeded, "")
	_, err = h.Execute(t.Context(), "ada", &pyth.Program{}, nil)
	wantCode(t, err, pyth.CodeQuotaExceeded)
	q.wants(t, "admit ada")
	if n := len(h.list(t, pyth.ExecutionFilter{})); n != 1 {
		t.Errorf("there are %d records, want 1", n)
	}
}

func TestQuotasKeepRunsWhoseRecordIsNotStored(t *testing.T) {
	q := &quotas{}
	h := newHarness(t, print42, func(c *runs.Config) { c.Quotas = q })
	h.store.fail(pyth.Errorf(pyth.CodeUnavailable, ""))
	h.run(t, &pyth.Program{})
	h.Close()
	q.wants(t, "admit ada", "ended ada succeeded")
}
