package storetest

import (
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// day returns the beginning of a day. This day is n days after the day of the variable
// "start".
func day(n int) time.Time { return pyth.DayOf(start).AddDate(0, 0, n) }

// wholeUsage selects all usage of the tests.
func wholeUsage(by pyth.UsageOrder) pyth.UsageQuery {
	return pyth.UsageQuery{Since: day(-10), Until: day(10), By: by}
}

func usage(t *testing.T, s pyth.Store, user pyth.UserID, q pyth.UsageQuery) []pyth.UsageItem {
	t.Helper()
	items, err := s.Usage(t.Context(), user, q, 100)
	want(t, err, "")
	return items
}

// The function "used" returns the total usage of n runs. Each run has a record from the
// function "ended". In this record, the run used 8 MiB of memory during 998.5 ms.
func used(n int64) pyth.UsageTotals {
	return pyth.UsageTotals{Executions: n, CPU: time.Duration(n) * 7, MemoryMiBMs: n * 7988}
}

func testUsageCountsOnce(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	same(t, 0, len(usage(t, s, "ada", wholeUsage(pyth.UsageByDay))))
	final := ended("ada", 0)
	final.Sealed = nil
	running := *final
	running.State, running.EndedAt, running.Status, running.ExitCode, running.Usage = pyth.StateRunning, time.Time{}, "", nil, pyth.Usage{}
	put(t, s, &running)
	same(t, 0, len(usage(t, s, "ada", wholeUsage(pyth.UsageByDay))))
	// One call may contain several versions of a record. The store does not change the
	// record of an ended run, so it counts the run only once.
	put(t, s, &running, final, final)
	put(t, s, final)
	// A run that no sandbox has received has no usage.
	canceled := ended("ada", 1)
	canceled.StartedAt, canceled.Status, canceled.Usage, canceled.Sealed = time.Time{}, pyth.StatusCanceled, pyth.Usage{}, nil
	nobody := ended("nobody", 2)
	put(t, s, canceled, nobody)
	expected := []pyth.UsageItem{{Day: day(0), UsageTotals: used(1)}}
	same(t, expected, usage(t, s, "ada", wholeUsage(pyth.UsageByDay)))
	same(t, 0, len(usage(t, s, "nobody", wholeUsage(pyth.UsageByDay))))
	// The deletion of the record must not change the counters.
	want(t, s.DeleteExecution(ctx, "ada", final.ID), "")
	same(t, expected, usage(t, s, "ada", wholeUsage(pyth.UsageByDay)))
	got, err := s.DayUsage(ctx, []pyth.UserID{"ada", "nobody"}, final.EndedAt)
	want(t, err, "")
	same(t, map[pyth.UserID]pyth.UsageTotals{"ada": used(1)}, got)
	got, err = s.DayUsage(ctx, []pyth.UserID{"ada"}, day(1))
	want(t, err, "")
	same(t, 0, len(got))
	got, err = s.DayUsage(ctx, nil, day(0))
	want(t, err, "")
	same(t, 0, len(got))
}

func testUsageGroups(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	var all []*pyth.SealedExecution
	add := func(user pyth.UserID, d int, language pyth.Language, key pyth.KeyID) {
		r := ended(user, len(all))
		r.EndedAt, r.Language, r.Key, r.Sealed = day(d).Add(24*time.Hour-time.Microsecond), language, key, nil
		r.NetworkBytes = 1 << uint(len(all))
		all = append(all, r)
	}
	add("ada", 0, pyth.Python, "key_1")
	add("ada", 1, pyth.Python, "")
	add("ada", 1, pyth.JavaScript, "key_1")
	add("ada", 3, pyth.Python, "key_2")
	add("bob", 1, pyth.Python, "key_3")
	put(t, s, all...)
	item := func(n, bytes int64) (i pyth.UsageItem) {
		i.UsageTotals = used(n)
		i.NetworkBytes = bytes
		return i
	}
	ofDay := func(d int, n, bytes int64) pyth.UsageItem {
		i := item(n, bytes)
		i.Day = day(d)
		return i
	}
	ofKey := func(key pyth.KeyID, n, bytes int64) pyth.UsageItem {
		i := item(n, bytes)
		i.Key = key
		return i
	}
	python, javascript := item(3, 11), item(1, 4)
	python.Language, javascript.Language = pyth.Python, pyth.JavaScript
	same(t, []pyth.UsageItem{ofDay(0, 1, 1), ofDay(1, 2, 6), ofDay(3, 1, 8)}, usage(t, s, "ada", wholeUsage(pyth.UsageByDay)))
	same(t, []pyth.UsageItem{ofDay(1, 2, 6)}, usage(t, s, "ada", pyth.UsageQuery{Since: day(1), Until: day(3), By: pyth.UsageByDay}))
	same(t, []pyth.UsageItem{javascript, python}, usage(t, s, "ada", wholeUsage(pyth.UsageByLanguage)))
	same(t, []pyth.UsageItem{ofKey("", 1, 2), ofKey("key_1", 2, 5), ofKey("key_2", 1, 8)}, usage(t, s, "ada", wholeUsage(pyth.UsageByKey)))
	same(t, []pyth.UsageItem{ofDay(1, 1, 16)}, usage(t, s, "bob", wholeUsage(pyth.UsageByDay)))
	// The limit on the number of groups must keep the keys with the most runs.
	items, err := s.Usage(t.Context(), "ada", wholeUsage(pyth.UsageByKey), 1)
	want(t, err, "")
	same(t, []pyth.UsageItem{ofKey("key_1", 2, 5)}, items)
}

func testUsageStorage(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	first, second := ended("ada", 0), ended("ada", 1)
	first.Key, second.Language = "key_1", pyth.JavaScript
	size := int64(len(first.Sealed))
	running := *first
	running.State, running.EndedAt, running.Sealed = pyth.StateRunning, time.Time{}, []byte("program")
	put(t, s, &running)
	put(t, s, first, second)
	storage := func(by pyth.UsageOrder) map[string]int64 {
		t.Helper()
		all := map[string]int64{}
		for _, i := range usage(t, s, "ada", wholeUsage(by)) {
			name := string(i.Language) + string(i.Key)
			if by == pyth.UsageByDay {
				name = i.Day.Format(time.DateOnly)
			}
			all[name] = i.StorageBytes
		}
		return all
	}
	today := day(0).Format(time.DateOnly)
	same(t, map[string]int64{today: 2 * size}, storage(pyth.UsageByDay))
	same(t, map[string]int64{"python": size, "javascript": size}, storage(pyth.UsageByLanguage))
	same(t, map[string]int64{"key_1": size, "": size}, storage(pyth.UsageByKey))
	want(t, s.DeleteExecution(ctx, "ada", first.ID), "")
	same(t, map[string]int64{today: size}, storage(pyth.UsageByDay))
	n, err := s.ExpireExecutionContents(ctx, day(1), 10)
	want(t, err, "")
	same(t, 1, n)
	same(t, map[string]int64{today: 0}, storage(pyth.UsageByDay))
}

func testUsageRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a, b := ended("ada", i), ended("bob", i)
			b.Language = pyth.JavaScript
			if i%2 == 0 {
				a, b = b, a
			}
			want(t, s.PutExecutions(t.Context(), []*pyth.SealedExecution{a, b}), "")
		})
	}
	wg.Wait()
	for _, user := range []pyth.UserID{"ada", "bob"} {
		items := usage(t, s, user, wholeUsage(pyth.UsageByDay))
		same(t, 1, len(items))
		same(t, int64(8), items[0].Executions)
	}
}

func testUsageTokens(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	want(t, s.AddGenerateTokens(ctx, "ada", start, pyth.Python, "key_1", 100), "")
	want(t, s.AddGenerateTokens(ctx, "ada", start.Add(time.Second), pyth.Python, "key_1", 20), "")
	want(t, s.AddGenerateTokens(ctx, "nobody", start, pyth.Python, "key_1", 20), "")
	same(t, []pyth.UsageItem{{Key: "key_1", UsageTotals: pyth.UsageTotals{GenerateTokens: 120}}}, usage(t, s, "ada", wholeUsage(pyth.UsageByKey)))

	taken, err := s.TokensTaken(ctx, "ada", start)
	want(t, err, "")
	same(t, int64(0), taken)
	_, err = s.TakeTokens(ctx, "ada", start, 1, 70, 100)
	want(t, err, "")
	want(t, s.ReturnTokens(ctx, "ada", start, 20), "")
	taken, err = s.TokensTaken(ctx, "ada", start)
	want(t, err, "")
	same(t, int64(50), taken)
	taken, err = s.TokensTaken(ctx, "ada", day(1))
	want(t, err, "")
	same(t, int64(0), taken)
}
