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

// TestRollbackRandomSystemCalls runs programs that make random system calls. After each
// program, it runs a probe, which prints the state of the interpreter. This state must
// be the same as before. If the interpreter was restored, its memory mappings and the
// content of each memory page must also be the same.
//
// The environment variable RANDOM_RUNS sets the number of programs. With RANDOM_SEED, a
// developer can repeat a test with the same programs.
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
	request := object{"code": string(must(os.ReadFile("testdata/rollback/pages.py"))(t)), "timeoutMs": 20_000}
	lookAtPages := func() (pages, string) {
		x, reason := a.runAndRecycle(t, request)
		return parsePages(x.ends(t, "succeeded").Stdout), reason
	}
	// The function "look" returns the output of the probe (a program that prints the
	// state of its interpreter). The second result is true if the server restored the
	// interpreter after each program of the probe. On a busy machine, the server can
	// remove the sandbox. After that, the probe runs in a new interpreter, which has
	// imported no modules in advance.
	look := func() (*probed, bool) {
		removed := s.interpreters(t)["removed"]
		x, r1 := a.runAndRecycle(t, probe(t))
		p := parseProbe(x.ends(t, "succeeded").Stdout)
		one, r2 := lookAtPages()
		two, r3 := lookAtPages()
		if p.pages = [2]pages{one, two}; r1 == "none" && r2 == "none" && r3 == "none" && removed == s.interpreters(t)["removed"] {
			return p, true
		}
		t.Logf("after the programs of the probe: %s, %s, %s; %q", r1, r2, r3, s.removals())
		return p, false
	}
	prepareAndLook := func() *probed {
		for {
			a.prepareInterpreter(t)
			if p, stays := look(); stays {
				return p
			}
		}
	}
	before := prepareAndLook()
	first := before.state
	reasons := make(map[string]int)
	for run := range runs {
		kind := []string{"allowed", "allowed", "all"}[random.IntN(3)]
		number := random.Uint32()
		removed := s.interpreters(t)["removed"]
		x, reason := a.runAndRecycle(t, object{"code": program, "args": []string{fmt.Sprint(number), kind}, "timeoutMs": 3_000})
		if removed != s.interpreters(t)["removed"] {
			t.Logf("after program %d (%s), %q", run, reason, s.removals())
			// Use this reason even if the server restored the interpreter before it
			// removed the sandbox.
			reason = "removed"
		}
		if reasons[reason]++; reason != "none" {
			a.prepareInterpreter(t)
		}
		after, stays := look()
		what := fmt.Sprintf("program %d (%d %s, %s, %s)", run, number, kind, reason, x.Status)
		if diff := diffLines(first, after.state); diff != "" {
			t.Errorf("after %s the state differs:\n%s", what, diff)
		}
		if !stays {
			before = prepareAndLook()
			continue
		}
		if before.maps == after.maps {
			changed := changedPages(before, after)
			for len(changed) > 0 && after.pages[0].second == after.pages[1].second {
				// Some memory pages contain the time of the run in seconds. These pages
				// change in the next second. To find them, wait until the next second and
				// look at the pages again.
				after.pages[1], _ = lookAtPages()
				changed = changedPages(before, after)
			}
			if len(changed) > 0 {
				t.Errorf("after %s these pages differ: %x in\n%s", what, changed, after.maps)
			}
		} else if reason == "none" && before.stack == after.stack {
			t.Errorf("after %s the mappings differ:\n%s", what, diffLines(before.maps, after.maps))
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

// removals returns the log lines about removed sandboxes. The server removes a sandbox
// if it cannot recycle the sandbox.
func (s *server) removals() (all []string) {
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "could not be recycled") {
			all = append(all, line)
		}
	}
	return all
}

// The type "probed" contains the output of the probe, a program that prints the state
// of its interpreter.
type probed struct {
	state, maps, stack string
	pages              [2]pages
}

// pages contains checksums of memory pages. The field "sums" maps the address of each
// page to its checksum. The field "second" is the time at which the program computed
// the checksums, in seconds.
type pages struct {
	sums   map[uint64]uint64
	second int64
}

func parseProbe(stdout string) *probed {
	p := new(probed)
	for line := range strings.Lines(stdout) {
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

func parsePages(stdout string) pages {
	p := pages{sums: make(map[uint64]uint64)}
	for line := range strings.Lines(stdout) {
		var at, sum uint64
		if n, _ := fmt.Sscanf(line, "page %x %x", &at, &sum); n == 2 {
			p.sums[at] = sum
		} else {
			_, _ = fmt.Sscanf(line, "second %d", &p.second)
		}
	}
	return p
}

// changedPages compares two probes (descriptions of the state) of the same interpreter.
// It returns the memory pages that have changed. Each probe looks at the pages in two
// runs. changedPages ignores pages that differ between these two runs, because such
// pages contain the time of the run.
func changedPages(before, after *probed) []uint64 {
	var changed []uint64
	for _, at := range slices.Sorted(maps.Keys(before.pages[0].sums)) {
		is := func(p *probed, sum uint64) bool { return p.pages[0].sums[at] == sum }
		if is(before, before.pages[1].sums[at]) && is(after, after.pages[1].sums[at]) && !is(after, before.pages[0].sums[at]) {
			changed = append(changed, at)
		}
	}
	return changed
}
