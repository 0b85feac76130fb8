package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRollbackRandomSystemCalls runs programs that make random system calls. After
// each program the probe must print the same state as before. If the interpreter was
// restored, its mappings and its memory must also be the same.
//
// The environment variable RANDOM_RUNS sets the number of programs, and RANDOM_SEED
// repeats a test.
func TestRollbackRandomSystemCalls(t *testing.T) {
	t.Parallel()
	runs, seed := 60, uint64(time.Now().UnixNano())
	if testing.Short() {
		runs = 15
	}
	if s := os.Getenv("RANDOM_RUNS"); s != "" {
		runs = must(strconv.Atoi(s))(t)
	}
	if s := os.Getenv("RANDOM_SEED"); s != "" {
		seed = must(strconv.ParseUint(s, 10, 64))(t)
	}
	t.Logf("RANDOM_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	program := string(must(os.ReadFile("testdata/rollback/random_calls.py"))(t))
	s, a := rollbackServer(t)
	request := probe(t)
	request["args"] = []string{"maps", "pages"}
	look := func() *probed {
		x, _ := a.runAndRecycle(t, request)
		return parseProbe(x.ends(t, "succeeded").Stdout)
	}
	a.prepareInterpreter(t)
	before := [2]*probed{look(), look()}
	first := before[0].state
	reasons := make(map[string]int)
	for run := range runs {
		kind := []string{"allowed", "allowed", "all"}[random.IntN(3)]
		number := random.Uint32()
		x, reason := a.runAndRecycle(t, object{"code": program, "args": []string{fmt.Sprint(number), kind}, "timeoutMs": 3_000})
		if reasons[reason]++; reason != "none" {
			a.prepareInterpreter(t)
		}
		after := [2]*probed{look(), look()}
		what := fmt.Sprintf("program %d (%d %s, %s, %s)", run, number, kind, reason, x.Status)
		if diff := diffLines(first, after[0].state); diff != "" {
			t.Errorf("after %s the state differs:\n%s", what, diff)
		}
		if before[0].maps == after[0].maps {
			changed := changedPages(before, after)
			if len(changed) > 0 {
				// Some pages contain times in seconds. Probe again after more than a
				// second, to find the pages that change by themselves.
				time.Sleep(1100 * time.Millisecond)
				changed = changedPages(before, [2]*probed{after[0], look()})
			}
			// Numbers of inodes count up. When they get another size, a page changes.
			if len(changed) > 2 {
				t.Errorf("after %s these pages differ: %x in\n%s", what, changed, after[0].maps)
			}
		} else if reason == "none" && before[0].stack == after[0].stack {
			t.Errorf("after %s the mappings differ:\n%s", what, diffLines(before[0].maps, after[0].maps))
		}
		before = after
	}
	t.Logf("%d programs: %v", runs, reasons)
	if failed := s.metric(t, `pyth_on_interpreters_total{reason="failed"}`); failed != 0 {
		t.Errorf("%v interpreters could not be restored", failed)
	}
	if reasons["none"] < runs/10 {
		t.Error("too few interpreters were restored")
	}
	a.run(t, "print(42)").prints(t, "42\n")
}

// probed is the output of the probe.
type probed struct {
	state, maps, stack string
	// pages maps addresses of pages to checksums.
	pages map[uint64]uint64
}

func parseProbe(stdout string) *probed {
	p := &probed{pages: make(map[uint64]uint64)}
	for line := range strings.Lines(stdout) {
		var at, sum uint64
		if n, _ := fmt.Sscanf(line, "page %x %x", &at, &sum); n == 2 {
			p.pages[at] = sum
			continue
		}
		if !strings.HasPrefix(line, "map ") {
			p.state += line
			continue
		}
		p.maps += line
		if strings.Contains(line, "[stack]") {
			p.stack = line
		}
	}
	return p
}

// changedPages returns the pages that have changed between two pairs of probes of
// the same interpreter. It ignores pages that differ between the two probes of a
// pair. Such pages contain times, for example.
func changedPages(before, after [2]*probed) []uint64 {
	var changed []uint64
	for _, at := range slices.Sorted(maps.Keys(before[0].pages)) {
		is := func(p *probed, sum uint64) bool { return p.pages[at] == sum }
		if is(before[0], before[1].pages[at]) && is(after[0], after[1].pages[at]) && !is(after[0], before[0].pages[at]) {
			changed = append(changed, at)
		}
	}
	return changed
}
