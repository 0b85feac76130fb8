package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// TestAuditPagesUseIndexRanges checks the query plans. Each query must read only one
// range of an index and must not sort. Then the time of a query depends only on the
// number of entries in the page.
func TestAuditPagesUseIndexRanges(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for filter, index := range map[pyth.AuditFilter]string{
		{}:                          "audit_of_user (user_id=? AND at>? AND at<?)",
		{Outcome: pyth.AuditDenied}: "audit_by_outcome (user_id=? AND outcome=? AND at>? AND at<?)",
		{Action: "x", Outcome: "y"}: "audit_by_action (user_id=? AND action=? AND outcome=? AND at>? AND at<?)",
		{Since: time.Unix(1, 0)}:    "audit_of_user (user_id=? AND at>? AND at<?)",
		{Until: time.Unix(1, 0)}:    "audit_of_user (user_id=? AND at>? AND at<?)",
	} {
		query, args := auditPageQuery("ada", filter, pyth.AuditPosition{Timestamp: time.Unix(1, 0), Sequence: 1}, 50)
		rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(plan, "; "); got != "SEARCH audit USING INDEX "+index {
			t.Errorf("%+v: %s", filter, got)
		}
	}
}
