package log

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// eraseBatch is the maximum number of erased entries that one audit entry lists. Even if
// no two numbers are adjacent, the ranges of their numbers fit into the details of this
// audit entry.
const eraseBatch = 2000

// erasedEntries is the name of a detail in entries with the action audit.erased. The
// value is a list of ranges of sequence numbers, for example "3-5,8".
const erasedEntries = "entries"

// Erase removes the content of all entries of the user, and returns the number of these
// entries. It keeps their hashes and times, so that Proof still works for the entries of
// other users. Before Erase removes the content, it writes an audit entry with the ranges
// of the erased entries. Without this audit entry, Verify reports the missing content as
// damage.
func (l *Log) Erase(ctx context.Context, user pyth.UserID) (int, error) {
	for erased := 0; ; {
		sequences, err := l.store.AuditSequences(ctx, user, eraseBatch)
		if err != nil || len(sequences) == 0 {
			return erased, err
		}
		event := &pyth.AuditEvent{
			Action: pyth.ActionAuditErased, Outcome: pyth.AuditSuccess,
			Details: map[string]any{erasedEntries: formatSpans(spansOf(sequences))},
		}
		if err := l.Record(ctx, event); err != nil {
			return erased, err
		}
		if err := l.store.EraseAudit(ctx, user, sequences); err != nil {
			return erased, err
		}
		erased += len(sequences)
	}
}

// spansOf converts ascending sequence numbers to ranges.
func spansOf(sequences []int64) (all []span) {
	for _, n := range sequences {
		if last := len(all) - 1; last >= 0 && all[last].to == n {
			all[last].to++
			continue
		}
		all = append(all, span{n, n + 1})
	}
	return all
}

// formatSpans writes the ranges as a list of strings. Each string is at most as long as
// an audit entry allows.
func formatSpans(spans []span) (texts []string) {
	var text strings.Builder
	for _, s := range spans {
		part := strconv.FormatInt(s.from, 10)
		if s.to > s.from+1 {
			part += fmt.Sprint("-", s.to-1)
		}
		if text.Len() > 0 && text.Len()+1+len(part) > maxText {
			texts = append(texts, text.String())
			text.Reset()
		}
		if text.Len() > 0 {
			text.WriteByte(',')
		}
		text.WriteString(part)
	}
	return append(texts, text.String())
}

// parseSpans reads ranges from the details of an entry. It ignores malformed ranges.
// Verify then reports the entries in these ranges as damaged.
func parseSpans(detail any) (all []span) {
	texts, _ := detail.([]any)
	for _, t := range texts {
		text, _ := t.(string)
		for part := range strings.SplitSeq(text, ",") {
			first, last, isRange := strings.Cut(part, "-")
			if !isRange {
				last = first
			}
			from, err1 := strconv.ParseInt(first, 10, 64)
			to, err2 := strconv.ParseInt(last, 10, 64)
			if err1 == nil && err2 == nil && from <= to {
				all = append(all, span{from, to + 1})
			}
		}
	}
	return all
}
