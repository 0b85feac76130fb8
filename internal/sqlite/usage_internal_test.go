package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// TestMigrationCountsEarlierRuns checks that the usage includes runs that an earlier
// version of the program has stored.
func TestMigrationCountsEarlierRuns(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "db")
	db, err := connect(path, 1, "_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := migrator(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(ctx, 8); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO executions (id, user_id, state, language, labels, key_id, started_at, ended_at, wall, cpu, memory_peak, queued, network_bytes, content)
		VALUES (?, 'ada', ?, 'python', '[]', ?, ?, ?, 12000000, 9, 8388608, 0, 5, 'stored')`
	if _, err := db.ExecContext(ctx, "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ('ada', 'a@b', 'a@b', '', 1)"); err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{
		{"a", "ended", "key_1", 1, 86_400_000_000},
		{"b", "ended", "key_1", 1, 86_400_000_001},
		{"c", "ended", nil, 1, 2 * 86_400_000_000},
		{"d", "ended", nil, nil, 2 * 86_400_000_000}, // The program of this run has not started.
		{"e", "running", nil, 1, nil},
	} {
		if _, err := db.ExecContext(ctx, insert, row...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO execution_contents (execution_id, ended_at, sealed) VALUES ('b', 86400000001, x'010203'), ('e', NULL, x'01')"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	items, err := s.Usage(ctx, "ada", pyth.UsageQuery{Since: time.Unix(0, 0), Until: time.Unix(10*86400, 0), By: pyth.UsageByKey}, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []pyth.UsageItem{
		{UsageTotals: pyth.UsageTotals{Executions: 1, CPU: 9, MemoryMiBMs: 96, NetworkBytes: 5}},
		{Key: "key_1", UsageTotals: pyth.UsageTotals{Executions: 2, CPU: 18, MemoryMiBMs: 192, NetworkBytes: 10, StorageBytes: 3}},
	}
	if len(items) != 2 || items[0] != want[0] || items[1] != want[1] {
		t.Errorf("got %+v, want %+v", items, want)
	}
}

// TestUsageReadsOneRangeOfEachIndex checks the query plan. The time of a report must
// depend only on the days of the period and on the stored contents of the user.
func TestUsageReadsOneRangeOfEachIndex(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, by := range pyth.UsageOrders() {
		query, args := usageQuery("ada", pyth.UsageQuery{By: by}, 10)
		rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(step + "\n")
		}
		for _, part := range []string{
			"SEARCH usage_days USING PRIMARY KEY (user_id=? AND day>? AND day<?)",
			"SEARCH execution_contents USING COVERING INDEX execution_contents_of_user (user_id=? AND ended_at>? AND ended_at<?)",
		} {
			if !strings.Contains(plan.String(), part) {
				t.Errorf("by %s: the plan has no step %q:\n%s", by, part, plan.String())
			}
		}
	}
}
