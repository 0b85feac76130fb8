package usage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/usage"
)

type source []pyth.Quota

func (s source) Quotas(context.Context, pyth.UserID) ([]pyth.Quota, error) {
	if s == nil {
		return nil, errors.New("broken")
	}
	return s, nil
}

func date(month time.Month, day int) time.Time {
	return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC)
}

func TestUsageCoversWholeDays(t *testing.T) {
	st := &store{}
	s := usage.New(usage.Config{
		Store: st, Clock: func() time.Time { return noon }, Sync: func(context.Context, pyth.UserID) error { return nil },
	})
	for name, c := range map[string]struct {
		since, until         time.Time
		wantSince, wantUntil time.Time
	}{
		"no period":        {time.Time{}, time.Time{}, date(3, 6), date(4, 5)},
		"times of days":    {date(3, 1).Add(time.Hour), date(3, 3).Add(time.Nanosecond), date(3, 1), date(3, 4)},
		"midnights":        {date(3, 1), date(3, 3), date(3, 1), date(3, 3)},
		"only until":       {time.Time{}, date(2, 1), date(1, 2), date(2, 1)},
		"another zone":     {time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 7200)), date(3, 3), date(2, 28), date(3, 3)},
		"the longest":      {date(4, 5).AddDate(0, 0, -366), time.Time{}, date(4, 5).AddDate(0, 0, -366), date(4, 5)},
		"today":            {noon, time.Time{}, date(4, 4), date(4, 5)},
		"one day too much": {date(4, 5).AddDate(0, 0, -367), time.Time{}, time.Time{}, time.Time{}},
		"the wrong order":  {date(3, 3), date(3, 1), time.Time{}, time.Time{}},
		"an empty period":  {date(3, 3), date(3, 3), time.Time{}, time.Time{}},
		"the future":       {date(5, 1), time.Time{}, time.Time{}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Usage(t.Context(), "ada", pyth.UsageQuery{Since: c.since, Until: c.until})
			if c.wantSince.IsZero() {
				if pyth.ErrorCode(err) != pyth.CodeInvalid {
					t.Fatalf("got %v, want %s", err, pyth.CodeInvalid)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := pyth.UsageQuery{Since: c.wantSince, Until: c.wantUntil, By: pyth.UsageByDay}
			if diff := cmp.Diff(want, got.UsageQuery); diff != "" || st.query != got.UsageQuery {
				t.Errorf("want (-), got (+):\n%s\nThe store got %v", diff, st.query)
			}
		})
	}
}

func TestUsageReportsItemsTotalAndQuotas(t *testing.T) {
	st := &store{items: []pyth.UsageItem{
		{Key: "a", UsageTotals: pyth.UsageTotals{Executions: 1, CPU: 2, MemoryMiBMs: 3, NetworkBytes: 4, StorageBytes: 5, GenerateTokens: 6}},
		{Key: "b", UsageTotals: pyth.UsageTotals{Executions: 10, CPU: 20, MemoryMiBMs: 30, NetworkBytes: 40, StorageBytes: 50, GenerateTokens: 60}},
	}}
	synced := pyth.UserID("")
	config := usage.Config{
		Store: st, Clock: func() time.Time { return noon }, Sources: []pyth.QuotaSource{source{{Name: "a", Limit: 1}}, source{}, source{{Name: "b", Used: 2}, {Name: "c", ResetsAt: noon}}},
		Sync: func(_ context.Context, user pyth.UserID) error {
			synced = user
			return nil
		},
	}
	got, err := usage.New(config).Usage(t.Context(), "ada", pyth.UsageQuery{By: pyth.UsageByKey})
	if err != nil {
		t.Fatal(err)
	}
	want := &pyth.UsageReport{
		UsageQuery: pyth.UsageQuery{Since: date(3, 6), Until: date(4, 5), By: pyth.UsageByKey}, Items: st.items,
		Total:  pyth.UsageTotals{Executions: 11, CPU: 22, MemoryMiBMs: 33, NetworkBytes: 44, StorageBytes: 55, GenerateTokens: 66},
		Quotas: []pyth.Quota{{Name: "a", Limit: 1}, {Name: "b", Used: 2}, {Name: "c", ResetsAt: noon}},
	}
	if diff := cmp.Diff(want, got); diff != "" || synced != "ada" {
		t.Errorf("want (-), got (+):\n%s\nThe records of %q were stored", diff, synced)
	}
	config.Sources = []pyth.QuotaSource{source(nil)}
	if got, err := usage.New(config).Usage(t.Context(), "ada", pyth.UsageQuery{}); err == nil {
		t.Errorf("got %v although a source of quotas failed", got)
	}
}

func TestLimiterQuotas(t *testing.T) {
	l := newLimiter(t, 100, 90*time.Second)
	l.store.day["ada"] = pyth.UsageTotals{Executions: 7, CPU: 1500 * time.Microsecond}
	got, err := l.Quotas(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	want := []pyth.Quota{
		{Name: pyth.QuotaExecutionsPerDay, Limit: 100, Used: 7, ResetsAt: date(4, 5)},
		{Name: pyth.QuotaCPUPerDay, Limit: 90_000, Used: 1, ResetsAt: date(4, 5)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if got, err := newLimiter(t, 0, time.Second).Quotas(t.Context(), "ada"); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
