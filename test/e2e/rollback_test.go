package e2e_test

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// rollbackServer starts a server with a single sandbox and returns it with a new
// account. The server restores the sandbox's interpreter after each run.
func rollbackServer(t *testing.T) (*server, *account) {
	s := startServer(t, "--rollback-runs=1000000", "--rollback-cpu=1h", "--warm=1", "--max-sandboxes=1", "--max-running=1")
	return s, s.register(t)
}

// interpreters returns the values of the metric pyth_on_interpreters_total by
// reason.
func (s *server) interpreters(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	name := regexp.MustCompile(`^pyth_on_interpreters_total\{reason="(.*)"\}$`)
	for series, value := range s.metricSeries(t) {
		if m := name.FindStringSubmatch(series); m != nil {
			all[m[1]] = value
		}
	}
	return all
}

// runAndRecycle runs a program and waits until its sandbox is recycled. It returns
// the execution and the reason why the interpreter was not restored. The reason is
// "none" if it was restored.
func (a *account) runAndRecycle(t *testing.T, request object) (*execution, string) {
	t.Helper()
	before := a.server.interpreters(t)
	x := a.execute(t, request)
	reason := ""
	eventually(t, "the sandbox is recycled", func() bool {
		for name, value := range a.server.interpreters(t) {
			if value != before[name] {
				reason = name
			}
		}
		return reason != ""
	})
	return x, reason
}

func probe(t *testing.T) object {
	t.Helper()
	return object{"code": string(must(os.ReadFile("testdata/rollback/probe.py"))(t)), "args": []string{"maps"}, "timeoutMs": 20_000}
}

// withoutMaps removes the lines about memory mappings, since they differ between
// interpreters.
func withoutMaps(stdout string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(stdout, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "map ")
	}), "\n")
}

// spoiler is a program that changes its interpreter. reason is the expected result
// of runAndRecycle, or "any" if every reason is allowed.
type spoiler struct{ reason, name, code string }

func spoilers(t *testing.T) []spoiler {
	t.Helper()
	archive := must(txtar.ParseFile("testdata/rollback/spoilers.txtar"))(t)
	var all []spoiler
	for _, file := range archive.Files {
		reason, name, _ := strings.Cut(file.Name, "/")
		all = append(all, spoiler{reason, name, string(file.Data)})
	}
	if len(all) < 50 {
		t.Fatalf("only %d spoilers were found", len(all))
	}
	return all
}

// TestRollbackLeavesNothing runs the probe before and after each spoiler. The probe
// must print the same state each time. If the interpreter was restored, the memory
// mappings must also be the same.
func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	all := spoilers(t)
	first, reason := a.runAndRecycle(t, probe(t))
	if first.ends(t, "succeeded"); reason != "none" {
		t.Fatalf("the interpreter was not restored: %s", reason)
	}
	want := withoutMaps(first.Stdout)
	check := func(t *testing.T, sp spoiler) {
		before, _ := a.runAndRecycle(t, probe(t))
		x, reason := a.runAndRecycle(t, object{"code": sp.code, "stdin": strings.Repeat("left\n", 1000), "timeoutMs": 20_000})
		if sp.reason != "any" && reason != sp.reason {
			t.Errorf("the reason is %s, want %s: %s", reason, sp.reason, x)
		}
		after, _ := a.runAndRecycle(t, probe(t))
		if diff := cmp.Diff(want, withoutMaps(after.ends(t, "succeeded").Stdout)); diff != "" {
			t.Errorf("the state before (-) and after (+) differs:\n%s", diff)
		}
		if reason == "none" && before.Stdout != after.Stdout {
			t.Errorf("the mappings before (-) and after (+) differ:\n%s", cmp.Diff(before.Stdout, after.Stdout))
		}
	}
	for _, sp := range all {
		t.Run(sp.name, func(t *testing.T) { check(t, sp) })
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	t.Run("in_random_order", func(t *testing.T) {
		for range 100 {
			sp := all[random.IntN(len(all))]
			a.execute(t, object{"code": sp.code, "timeoutMs": 20_000})
			if random.IntN(4) > 0 {
				continue
			}
			after, _ := a.runAndRecycle(t, probe(t))
			if diff := cmp.Diff(want, withoutMaps(after.ends(t, "succeeded").Stdout)); diff != "" {
				t.Fatalf("after %s, seed %d, the state differs:\n%s", sp.name, seed, diff)
			}
		}
	})
	if failed := s.metric(t, `pyth_on_interpreters_total{reason="failed"}`); failed != 0 {
		t.Errorf("%v interpreters could not be restored", failed)
	}
}

// TestRollbackFindsNothingOfEarlierRuns runs leaveCanary and findCanary in turn in
// the same interpreter.
func TestRollbackFindsNothingOfEarlierRuns(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	requireNoCanary(t, a, a)
}

// TestRollbackMemoryIsClean leaves a text in the heap, in the environment and on the
// stack. The next run must not find it.
func TestRollbackMemoryIsClean(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	for range 5 {
		x, reason := a.runAndRecycle(t, object{"code": `
import ctypes, os, sys
text = sys.argv[1].encode()
kept = [text * 50 for _ in range(1000)]
block = ctypes.create_string_buffer(text * 10_000)
start, end = next(l for l in open('/proc/self/maps') if '[stack]' in l).split()[0].split('-')
for at in range(int(start, 16), int(start, 16) + (7 << 20), 4096): ctypes.memmove(at, text, len(text))
os._exit(0)`, "args": []string{"needle" + "-in-memory"}, "env": object{"LEFT": "needle" + "-in-memory"}})
		if x.ends(t, "succeeded"); reason != "none" {
			t.Fatalf("the interpreter was not restored: %s", reason)
		}
		a.run(t, `
import ctypes
text, found = b'needle-' + b'in-memory', []
for line in open('/proc/self/maps'):
    place, rights = line.split()[:2]
    if 'r' in rights and '[v' not in line:
        start, end = (int(x, 16) for x in place.split('-'))
        content = ctypes.string_at(start, end - start)
        if content.count(text) > 20: found.append(line)
print(found)`).prints(t, "[]\n")
	}
}

// TestRollbackKeepsRandomness prints random values in several runs of the same
// interpreter. No value may occur twice.
func TestRollbackKeepsRandomness(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	seen := map[string]bool{}
	for range 10 {
		x, reason := a.runAndRecycle(t, object{"code": `import os, random, secrets, ssl, tempfile, uuid
print(uuid.uuid4(), random.random(), os.urandom(8).hex(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), next(tempfile._get_candidate_names()))`})
		if x.ends(t, "succeeded"); reason != "none" {
			t.Fatalf("the interpreter was not restored: %s", reason)
		}
		for _, value := range strings.Fields(x.Stdout) {
			if seen[value] {
				t.Errorf("%s occurs twice", value)
			}
			seen[value] = true
		}
	}
}

// TestRollbackIsLimited checks that the server replaces an interpreter after the
// maximum number of runs or the maximum processor time.
func TestRollbackIsLimited(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--rollback-runs=3", "--rollback-cpu=2s", "--warm=1", "--max-sandboxes=1", "--max-running=1")
	a := s.register(t)
	for _, want := range []string{"none", "none", "limit", "none", "none", "limit"} {
		if _, reason := a.runAndRecycle(t, object{"code": "print(42)"}); reason != want {
			t.Errorf("the reason is %s, want %s", reason, want)
		}
	}
	spin := object{"code": "import time\nwhile time.process_time() < 3: pass", "timeoutMs": 60_000}
	if _, reason := a.runAndRecycle(t, spin); reason != "limit" {
		t.Errorf("the reason after much processor time is %s", reason)
	}
}

// TestRollbackCanBeDisabled checks that each run has a new interpreter with
// --rollback=off.
func TestRollbackCanBeDisabled(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--rollback=off", "--warm=1", "--max-sandboxes=1", "--max-running=1")
	a := s.register(t)
	seen := map[string]bool{}
	for range 3 {
		if hash := a.run(t, "print(hash('x'))").ends(t, "succeeded").Stdout; seen[hash] {
			t.Errorf("two runs computed the same hash: %s", hash)
		} else {
			seen[hash] = true
		}
	}
	for reason, count := range s.interpreters(t) {
		if count != "0" {
			t.Errorf("%s interpreters were replaced for the reason %s", count, reason)
		}
	}
}
