package column

import (
	"encoding/json"
	"fmt"

	pyth "github.com/pyth-on/pyth-on"
)

// ExecutionNames are the columns that Execution scans. A query must give the table
// executions the alias "e".
const ExecutionNames = "e.id, e.user_id, e.state, e.language, e.labels, coalesce(e.session_id, ''), coalesce(e.encrypted, ''), coalesce(e.key_id, '')," +
	" e.started_at, e.ended_at, coalesce(e.status, ''), coalesce(e.reason, ''), e.exit_code, coalesce(e.signal, '')," +
	" e.wall, e.cpu, e.memory_peak, e.queued, e.network_bytes, e.content, e.async = 1"

// Execution returns scan targets for ExecutionNames. The scan targets also set
// CreatedAt.
func Execution(r *pyth.ExecutionRecord) []any {
	return []any{
		&r.ID, &r.User, &r.State, &r.Language,
		labelsOf{r},
		&r.Session, &r.Encrypted, &r.Key,
		Time(&r.StartedAt), Time(&r.EndedAt), &r.Status, &r.Reason, &r.ExitCode, &r.Signal,
		&r.Usage.Wall, &r.Usage.CPU, &r.Usage.MemoryPeakBytes, &r.Usage.Queued, &r.NetworkBytes, &r.Content, &r.Async,
	}
}

// labelsOf is a scan target for the labels of a record. It also sets CreatedAt, because
// the ID of the record contains this time. Scan the ID before the labels.
type labelsOf struct{ r *pyth.ExecutionRecord }

func (d labelsOf) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("column contains labels of type %T", v)
	}
	d.r.CreatedAt = d.r.ID.CreatedAt()
	if text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), &d.r.Labels)
}

// ExecutionValues returns the values of the columns in ExecutionNames, in the same
// order. It replaces an empty text by NULL.
func ExecutionValues(r *pyth.ExecutionRecord) ([]any, error) {
	labels := "[]"
	if len(r.Labels) > 0 {
		b, err := json.Marshal(r.Labels)
		if err != nil {
			return nil, err
		}
		labels = string(b)
	}
	async := 0
	if r.Async {
		async = 1
	}
	return []any{
		r.ID, r.User, r.State, r.Language, labels, r.Session, r.Encrypted, r.Key,
		TimeValue(r.StartedAt), TimeValue(r.EndedAt), r.Status, r.Reason, r.ExitCode, r.Signal,
		int64(r.Usage.Wall), int64(r.Usage.CPU), r.Usage.MemoryPeakBytes, int64(r.Usage.Queued), r.NetworkBytes, r.Content, async,
	}, nil
}

// UsageValues returns the values of a usage counter: the user, the day, the language and
// the key, and then the counts.
func UsageValues(c *pyth.UsageCounter) []any {
	return []any{
		c.User, DayValue(c.Day), c.Language, c.Key,
		c.Executions, int64(c.CPU), c.MemoryMiBMs, c.NetworkBytes, c.GenerateTokens,
	}
}
