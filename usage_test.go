package pyth_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

func TestTotalsOfARecord(t *testing.T) {
	at := time.Date(2026, 4, 4, 8, 0, 0, 0, time.UTC)
	run := func(peak int64, wall time.Duration) *pyth.ExecutionRecord {
		return &pyth.ExecutionRecord{State: pyth.StateEnded, StartedAt: at, EndedAt: at, Usage: pyth.Usage{MemoryPeakBytes: peak, Wall: wall}}
	}
	for name, c := range map[string]struct {
		record *pyth.ExecutionRecord
		want   int64
	}{
		"8 MiB for 12 ms":       {run(8<<20, 12*time.Millisecond), 96},
		"512 KiB for 1 ms":      {run(512<<10, time.Millisecond), 1},
		"511 KiB for 1 ms":      {run(511<<10, time.Millisecond), 0},
		"1 TiB for 100 hours":   {run(1<<40, 100*time.Hour), 1 << 20 * 100 * 3_600_000},
		"nothing":               {run(0, 0), 0},
		"a fraction of each ms": {run(3<<20, 500*time.Microsecond), 2},
	} {
		if got := c.record.Totals(); got.MemoryMiBMs != c.want || got.Executions != 1 {
			t.Errorf("%s: got %+v, want %d MiB·ms", name, got, c.want)
		}
	}
	unended, unstarted := run(1<<20, time.Second), run(1<<20, time.Second)
	unended.State = pyth.StateRunning
	unstarted.StartedAt = time.Time{}
	for _, r := range []*pyth.ExecutionRecord{unended, unstarted} {
		if got := r.Totals(); got != (pyth.UsageTotals{}) {
			t.Errorf("got %+v, want nothing", got)
		}
	}
}

func TestSumUsageSortsCounters(t *testing.T) {
	at := time.Date(2026, 4, 4, 23, 59, 59, 0, time.UTC)
	run := func(user pyth.UserID, end time.Time, language pyth.Language, key pyth.KeyID) *pyth.ExecutionRecord {
		return &pyth.ExecutionRecord{User: user, State: pyth.StateEnded, StartedAt: at, EndedAt: end, Language: language, Key: key}
	}
	got := pyth.SumUsage([]*pyth.ExecutionRecord{
		run("bob", at, pyth.Python, "k"), run("ada", at.Add(time.Second), pyth.Python, "k"), run("ada", at, pyth.Python, "k"),
		run("ada", at, pyth.JavaScript, "k"),
		{User: "ada", State: pyth.StateQueued},
		run("ada", at.Add(-time.Hour), pyth.Python, "k"), run("ada", at, pyth.Python, ""),
	})
	day := pyth.DayOf(at)
	counter := func(user pyth.UserID, day time.Time, language pyth.Language, key pyth.KeyID, n int64) *pyth.UsageCounter {
		return &pyth.UsageCounter{User: user, Day: day, Language: language, Key: key, UsageTotals: pyth.UsageTotals{Executions: n}}
	}
	want := []*pyth.UsageCounter{
		counter("ada", day, pyth.JavaScript, "k", 1), counter("ada", day, pyth.Python, "", 1), counter("ada", day, pyth.Python, "k", 2),
		counter("ada", day.AddDate(0, 0, 1), pyth.Python, "k", 1), counter("bob", day, pyth.Python, "k", 1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}
