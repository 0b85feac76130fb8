package pyth_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

func TestNewExecutionIDSortsByTime(t *testing.T) {
	at := time.Date(2026, 4, 4, 8, 23, 21, 123456789, time.UTC)
	var ids []pyth.ExecutionID
	for _, d := range []time.Duration{0, time.Microsecond, time.Millisecond, time.Second, 24 * time.Hour} {
		ids = append(ids, pyth.NewExecutionID(at.Add(d)))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("the IDs do not ascend: %v", ids)
	}
	id, err := uuid.Parse(string(ids[0]))
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 || id.String() != string(ids[0]) {
		t.Fatalf("%q is not a UUID of version 7: %v", ids[0], err)
	}
	if got := ids[0].CreatedAt(); !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Errorf("the ID contains the time %v", got)
	}
	for _, bad := range []pyth.ExecutionID{"", "x", ids[0][:35], "0196fffg-0000-7000-8000-000000000000", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"} {
		if got := bad.CreatedAt(); !got.IsZero() {
			t.Errorf("%q contains the time %v", bad, got)
		}
	}
	if seconds, nanos := id.Time().UnixTime(); time.Unix(seconds, nanos).UnixMilli() != at.UnixMilli() {
		t.Errorf("the ID contains the time %v", time.Unix(seconds, nanos))
	}
}

func TestExecutionIDBoundSeparatesTimes(t *testing.T) {
	at := time.Date(2026, 4, 4, 8, 23, 21, 123000000, time.UTC)
	bound := pyth.ExecutionIDBound(at)
	if before := pyth.NewExecutionID(at.Add(-time.Nanosecond)); before >= bound {
		t.Errorf("%s, of an earlier time, is not before %s", before, bound)
	}
	if first := pyth.NewExecutionID(at); first <= bound {
		t.Errorf("%s, of the same time, is not after %s", first, bound)
	}
	// IDs are compared in milliseconds, rounded up. So the bound for a later time in
	// the same millisecond excludes all IDs of this millisecond.
	if first := pyth.NewExecutionID(at); first >= pyth.ExecutionIDBound(at.Add(time.Nanosecond)) {
		t.Error("a bound is not rounded up")
	}
	for _, outside := range []time.Time{{}, time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if got := pyth.ExecutionIDBound(outside); len(got) != 13 {
			t.Errorf("%v: got %q", outside, got)
		}
	}
}
