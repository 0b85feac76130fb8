package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var rollbackFlags = []string{"--rollback-runs=1000000", "--rollback-cpu=1000h", "--sandbox-runs=1000000", "--warm=1", "--max-sandboxes=1", "--max-running=1"}

// userOfTests is an environment variable for the tests that restore interpreters. With
// the value "ordinary", the servers of these tests do not run as root.
const userOfTests = "E2E_USER"

// rollbackServer starts a server with a single sandbox. It returns the server and a new
// account. After each run, the server restores the interpreter of the sandbox.
func rollbackServer(t *testing.T) (*server, *account) {
	var s *server
	if os.Getenv(userOfTests) == "ordinary" {
		attr, data := ordinaryUser(t)
		s = startServerIn(t, data, attr, rollbackFlags...)
	} else {
		s = startServer(t, rollbackFlags...)
	}
	return s, s.register(t)
}

// interpreters returns the values of the metric pyth_on_interpreters_total for each
// reason. It also adds the key "removed": the number of sandboxes that the server has
// removed.
func (s *server) interpreters(t *testing.T) map[string]string {
	t.Helper()
	all, removed := map[string]string{}, 0.0
	for series, value := range s.metricSeries(t) {
		if name, ok := strings.CutPrefix(series, `pyth_on_interpreters_total{reason="`); ok {
			all[strings.TrimSuffix(name, `"}`)] = value
		}
		if strings.HasPrefix(series, "pyth_on_sandboxes_removed_total{") {
			removed += must(strconv.ParseFloat(value, 64))(t)
		}
	}
	all["removed"] = fmt.Sprint(removed)
	return all
}

// waitUntilRecycled waits until no program runs and no sandbox is recycled.
func (s *server) waitUntilRecycled(t *testing.T) {
	t.Helper()
	eventually(t, "the server is idle", func() bool {
		return s.metric(t, "pyth_on_executions_running")+s.metric(t, "pyth_on_sandboxes_renewing") == 0
	})
}

// runAndRecycle runs a program and waits until the server has recycled the sandbox. It
// returns the result of the run, and the reason why the interpreter was not restored.
// The reason is "none" if the interpreter was restored, and "removed" if the sandbox
// was removed.
func (a *account) runAndRecycle(t *testing.T, request object) (*execution, string) {
	t.Helper()
	// First wait until the server has finished earlier runs, because these runs still
	// change the metrics.
	a.server.waitUntilRecycled(t)
	before := a.server.interpreters(t)
	x := a.execute(t, request)
	reason := ""
	eventually(t, "the sandbox is recycled", func() bool {
		now := a.server.interpreters(t)
		if reason == "" && now["removed"] != before["removed"] {
			reason = "removed"
		}
		for name, value := range now {
			if name != "removed" && value != before[name] {
				reason = name
			}
		}
		// If a sandbox does not release its memory, the server removes the sandbox,
		// even if the interpreter was restored.
		return reason != "" && (now["removed"] != before["removed"] || a.server.metric(t, "pyth_on_sandboxes_idle") > 0)
	})
	return x, reason
}

// prepareInterpreter runs programs with imports until the server imports the same
// modules in advance. This changes the memory mappings of the interpreter, so tests
// that compare mappings must prepare the interpreter first.
func (a *account) prepareInterpreter(t *testing.T) {
	t.Helper()
	code := "import " + strings.Join(importedModules, ", ")
	for range 3 {
		if _, reason := a.runAndRecycle(t, object{"code": code, "timeoutMs": 20_000}); reason != "none" {
			t.Errorf("the interpreter was not restored: %s", reason)
		}
	}
	if a.hiddenModules(t) == 0 {
		t.Error("the interpreter has not imported modules in advance")
	}
}

// hiddenModules returns the number of modules that the interpreter has imported before
// the program starts.
func (a *account) hiddenModules(t *testing.T) int {
	t.Helper()
	x, _ := a.runAndRecycle(t, object{"code": "import _frozen_importlib as i; print(len(i._load_unlocked.__globals__['hidden']))"})
	return must(strconv.Atoi(strings.TrimSpace(x.ends(t, "succeeded").Stdout)))(t)
}

func probe(t *testing.T) object {
	t.Helper()
	return object{"code": string(must(os.ReadFile("testdata/rollback/probe.py"))(t)), "args": []string{"maps"}, "timeoutMs": 20_000}
}

// withoutMaps removes the lines about memory mappings from the text, because these
// lines differ between interpreters.
func withoutMaps(stdout string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(stdout, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "map ")
	}), "\n")
}

func diffLines(before, after string) string {
	return cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n"))
}

// spoiler is a program that changes its interpreter. The field "reason" is the expected
// result of runAndRecycle, or "any" if every result is allowed.
type spoiler struct {
	reason, name string
	request      object
}

func spoilers(t *testing.T) []spoiler {
	t.Helper()
	archive := must(txtar.ParseFile("testdata/rollback/spoilers.txtar"))(t)
	var all []spoiler
	files := []object{{"path": "machine.py", "content": string(archive.Files[0].Data)}}
	for _, file := range archive.Files[1:] {
		reason, name, _ := strings.Cut(file.Name, "/")
		all = append(all, spoiler{reason, name, object{
			"code": string(file.Data), "files": files, "stdin": strings.Repeat("left\n", 1000), "timeoutMs": 20_000,
		}})
	}
	if len(all) < 50 {
		t.Fatalf("only %d spoilers were found", len(all))
	}
	return all
}

// TestRollbackLeavesNothing runs spoilers (programs that change their interpreter).
// Before and after each spoiler, it runs a probe, which prints the state of the
// interpreter. This state must always be the same. If the interpreter was restored, the
// memory mappings must also be the same.
//
// The test can compare memory mappings only in a prepared interpreter, which has
// imported modules in advance. The preparation takes seconds of processor time, and it
// is lost if a spoiler ends the interpreter. So with -short, the test prepares an
// interpreter only for spoilers after which the interpreter can be restored.
func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	all := spoilers(t)
	first, reason := a.runAndRecycle(t, probe(t))
	if first.ends(t, "succeeded"); reason != "none" {
		t.Fatalf("the interpreter was not restored: %s", reason)
	}
	want := withoutMaps(first.Stdout)
	// The variable "prepared" is true if the interpreter has imported modules in
	// advance. The variable "before" contains the last output of the probe.
	prepared, before := false, ""
	check := func(t *testing.T, sp spoiler) {
		if comparesMaps := !testing.Short() || sp.reason == "none" || sp.reason == "any"; comparesMaps && !prepared {
			a.prepareInterpreter(t)
			x, _ := a.runAndRecycle(t, probe(t))
			before = x.Stdout
		}
		removed := s.interpreters(t)["removed"]
		x, reason := a.runAndRecycle(t, sp.request)
		if sp.reason != "any" && reason != sp.reason {
			t.Errorf("the reason is %s, want %s: %s", reason, sp.reason, x)
		}
		after, _ := a.runAndRecycle(t, probe(t))
		if diff := diffLines(want, withoutMaps(after.ends(t, "succeeded").Stdout)); diff != "" {
			t.Errorf("the state before (-) and after (+) differs:\n%s", diff)
		}
		prepared = prepared && reason == "none" && removed == s.interpreters(t)["removed"]
		if prepared && before != after.Stdout {
			t.Errorf("the mappings before (-) and after (+) differ:\n%s", diffLines(before, after.Stdout))
		}
		before = after.Stdout
	}
	// Run the spoilers that end the interpreter last. Otherwise the test would often
	// have to prepare another interpreter.
	rank := func(sp spoiler) int {
		switch sp.reason {
		case "none":
			return 0
		case "any":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(x, y spoiler) int { return rank(x) - rank(y) })
	for _, sp := range all {
		t.Run(sp.name, func(t *testing.T) { check(t, sp) })
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	t.Run("in_random_order", func(t *testing.T) {
		runs := 100
		if testing.Short() {
			runs = 40
		}
		for range runs {
			sp := all[random.IntN(len(all))]
			a.execute(t, sp.request)
			if random.IntN(4) > 0 {
				continue
			}
			after, _ := a.runAndRecycle(t, probe(t))
			if diff := diffLines(want, withoutMaps(after.ends(t, "succeeded").Stdout)); diff != "" {
				t.Fatalf("after %s, seed %d, the state differs:\n%s", sp.name, seed, diff)
			}
		}
	})
	if failed := s.metric(t, `pyth_on_interpreters_total{reason="failed"}`); failed != 0 {
		t.Errorf("%v interpreters could not be restored", failed)
	}
}

// leaveRestorableCanary is a program that leaves a string, like leaveCanary. But its
// interpreter can be restored, so the next program, which searches for the string, runs
// in the same interpreter.
const leaveRestorableCanary = `
import ctypes, mmap, os, socket, sys, threading
canary = sys.argv[1]
os.environ['LEFT'] = canary
kept = [canary.encode() * 1000 for _ in range(100)]
for place in ('.', '/tmp', '/dev/shm', '/home/sandbox', '/run/report'):
    with open(place if place == '/run/report' else place + '/left', 'w') as f: f.write(canary)
shared = mmap.mmap(os.open('/dev/shm/left', os.O_RDWR), 0)
memory = ctypes.CDLL(None).memfd_create(b'left', 0)
os.write(memory, canary.encode())
block = ctypes.create_string_buffer(canary.encode() * 100_000)
for s in socket.socketpair(): s.send(canary.encode())
def work(): local = ctypes.create_string_buffer(canary.encode() * 1000)
t = threading.Thread(target=work); t.start(); t.join()
os._exit(0)
`

// TestRollbackFindsNothingOfEarlierRuns alternately runs a program that leaves a string,
// and the program findCanary, which searches for this string. It uses leaveCanary and
// leaveRestorableCanary, as root and as an ordinary user.
func TestRollbackFindsNothingOfEarlierRuns(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, s *server) {
		a := s.register(t)
		requireNoCanary(t, a, a)
		rounds := 20
		if testing.Short() {
			rounds = 8
		}
		for i := range rounds {
			one, two := fmt.Sprintf("canary-%d-", i), fmt.Sprintf("of-%d", time.Now().UnixNano())
			x, reason := a.runAndRecycle(t, object{"code": leaveRestorableCanary, "args": []string{one + two}})
			if x.ends(t, "succeeded"); reason != "none" {
				t.Fatalf("the interpreter was not restored: %s", reason)
			}
			x, _ = a.runAndRecycle(t, object{"code": findCanary, "args": []string{one, two}})
			x.prints(t, "[]\n")
		}
	}
	t.Run("as root", func(t *testing.T) {
		s, _ := rollbackServer(t)
		check(t, s)
	})
	t.Run("as an ordinary user", func(t *testing.T) {
		attr, data := ordinaryUser(t)
		check(t, startServerIn(t, data, attr, rollbackFlags...))
	})
}

// TestRollbackKeepsUsersApart lets two users run programs alternately. After each run,
// the interpreter is restored. No user may find a string that the other user or an
// earlier run has left. All random values must differ. Values that depend on the
// interpreter, such as the hash of a string, must differ between users.
func TestRollbackKeepsUsersApart(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--rollback-runs=1000000", "--rollback-cpu=1000h", "--sandbox-runs=1000000", "--warm=1", "--max-sandboxes=3", "--max-running=1")
	accounts := []*account{s.register(t), s.register(t)}
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	random, owners, repeated := make(map[string]bool), make(map[string]int), 0
	show := func(user int) {
		x := accounts[user].run(t, randomSources).ends(t, "succeeded")
		ofRun, ofInterpreter, _ := strings.Cut(x.Stdout, "interpreter")
		for source, value := range strings.Fields(ofRun) {
			if key := fmt.Sprint(source, value); random[key] {
				t.Errorf("source %d gave %s twice", source, value)
			} else {
				random[key] = true
			}
		}
		hash := strings.Fields(ofInterpreter)[0]
		if owner, found := owners[hash]; found && owner != user {
			t.Errorf("both users got the hash %s", hash)
		} else if found {
			repeated++
		}
		owners[hash] = user
	}
	for round := range rounds {
		user := round % 2
		one, two := fmt.Sprintf("canary-%d-", round), fmt.Sprintf("of-%d", time.Now().UnixNano())
		find := object{"code": findCanary, "args": []string{one, two}}
		show(user)
		show(1 - user)
		show(user)
		accounts[user].execute(t, object{"code": leaveRestorableCanary, "args": []string{one + two}}).ends(t, "succeeded")
		accounts[1-user].execute(t, find).prints(t, "[]\n")
		accounts[user].execute(t, find).prints(t, "[]\n")
	}
	if restored := s.metric(t, `pyth_on_interpreters_total{reason="none"}`); restored < float64(2*rounds) || repeated < rounds/2 {
		t.Errorf("in %d rounds, %v interpreters were restored, and %d hashes occurred again", rounds, restored, repeated)
	}
}

// TestRollbackMemoryIsClean runs a program that leaves a string in the heap, in the
// environment and on the stack. The next program must not find this string.
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

// TestRollbackKeepsRandomness runs a program that prints random values several times in
// the same interpreter. No value may occur twice.
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

// TestRollbackKeepsNetworkRules checks that a program in a restored interpreter cannot
// use the network access of an earlier run. It also checks that a run with network
// access can use the network in a restored interpreter.
func TestRollbackKeepsNetworkRules(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	ask := "import socket\ntry: socket.create_connection(('127.0.0.1', 3128)); print('open')\nexcept OSError: print('closed')"
	for range 3 {
		for _, code := range []string{"print(42)", "import socket\ns = socket.socket()\ns.setsockopt(1, 15, 1)\ns.bind(('127.0.0.1', 4711))\nprint(42)"} {
			x, reason := a.runAndRecycle(t, object{"code": code, "network": object{"allow": []string{"example.org"}}})
			if x.prints(t, "42\n"); reason != "none" {
				t.Errorf("the interpreter was not restored: %s", reason)
			}
		}
		_, reason := a.runAndRecycle(t, object{"code": "import os, socket\ns = socket.socket()\ns.bind(('127.0.0.1', 3128))\nos._exit(0)"})
		if reason != "none" {
			t.Errorf("the interpreter was not restored: %s", reason)
		}
		x, _ := a.runAndRecycle(t, object{"code": ask, "network": object{"allow": []string{"example.org"}}})
		x.prints(t, "open\n")
		x, _ = a.runAndRecycle(t, object{"code": ask})
		x.prints(t, "closed\n")
	}
}

// TestRollbackNeedsUnseededModules uses an image that loads the module "random" before
// each program. The server must not restore interpreters of this image, because random
// values would repeat. Also, a program must not be able to make a checkpoint.
func TestRollbackNeedsUnseededModules(t *testing.T) {
	t.Parallel()
	root := unpackOnHost(t, must(plainDebian.tar())(t))
	if err := os.WriteFile(filepath.Join(root, "usr/lib/python3/dist-packages/seeds.pth"), []byte("import random\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--runtime=seeded="+root, "--warm=1", "--max-sandboxes=1", "--max-running=1")
	a := s.register(t)
	a.execute(t, object{"runtime": "seeded", "code": "print(42)"}).prints(t, "42\n") // This run replaces a warm sandbox.
	seen := map[string]bool{}
	for range 4 {
		x, reason := a.runAndRecycle(t, object{"runtime": "seeded", "code": `import os, random, sys
for fd in range(3): 
    try: os.posix_fadvise(fd, 0, 0, 0x706f); print('checkpoint')
    except OSError: pass
print(random.random())`})
		if x.ends(t, "succeeded"); reason != "off" || seen[x.Stdout] || strings.Contains(x.Stdout, "checkpoint") {
			t.Errorf("the reason is %s: %s", reason, x)
		}
		seen[x.Stdout] = true
	}
}

// TestRollbackIsLimited checks when the server replaces an interpreter. The server must
// replace it after the maximum number of runs, and after the maximum processor time.
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

// TestRollbackCanBeDisabled checks that with --rollback=off, each run gets a new
// interpreter.
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

// importProbe is a program that imports the modules in its arguments. Then it prints
// what the imports have changed.
const importProbe = `import sys
for name in sys.argv[1:]: __import__(name)
import builtins, _frozen_importlib, _frozen_importlib_external, posix
print('modules', list(sys.modules))
print('attributes', [(n, sorted(k for k in vars(m))) for n, m in list(sys.modules.items()) if n != '__main__'])
print('files', [(n, getattr(m, '__file__', None), getattr(m, '__cached__', None), repr(m.__spec__)) for n, m in list(sys.modules.items()) if n != '__main__'])
print('importers', sorted(sys.path_importer_cache), sys.meta_path, len(sys.path_hooks))
print('import system', _frozen_importlib.__name__, _frozen_importlib_external.__name__, builtins.__import__)
if 'copyreg' in sys.modules: print('copyreg', sorted(map(repr, sys.modules['copyreg'].dispatch_table)))
if 're' in sys.modules: print('patterns', len(sys.modules['re']._cache))
if 'logging' in sys.modules: print('time', sys.modules['logging']._startTime > posix.stat('main.py').st_mtime_ns - 1e9)
import atexit, gc
print('callbacks', atexit._ncallbacks(), gc.get_freeze_count(), gc.get_threshold(), gc.isenabled())
print('signals', [__import__('signal').getsignal(n) for n in (2, 13, 17)])
`

// importedModules contains modules that many programs import. A restored interpreter
// has imported some of these modules in advance.
var importedModules = strings.Fields(`json re random datetime collections itertools functools math typing string time
	statistics dataclasses enum pathlib csv io base64 hashlib decimal fractions heapq bisect copy operator textwrap
	urllib.parse contextlib traceback logging argparse tempfile shutil glob subprocess threading inspect uuid secrets
	calendar struct types numbers html pprint queue zlib abc timeit unicodedata locale difflib asyncio importlib.util
	unittest sqlite3 http.client email.message xml.etree.ElementTree ctypes ssl concurrent.futures.thread os.path
	collections.abc logging.handlers json.tool importlib importlib.metadata zoneinfo configparser ast tokenize`)

// TestRollbackHidesModules compares imports in two interpreters. One is a restored
// interpreter, which has imported modules in advance. The other is a new interpreter. A
// program must not notice a difference.
func TestRollbackHidesModules(t *testing.T) {
	t.Parallel()
	// Use other sandboxes for the new interpreters, so that the sandbox with the
	// restored interpreter remains.
	s := startServer(t, "--rollback-runs=1000000", "--rollback-cpu=1000h", "--sandbox-runs=1000000", "--warm=1", "--max-sandboxes=4", "--max-running=1")
	a := s.register(t)
	b := s.register(t)
	b.isolation = "execution"
	compare := func(t *testing.T, code string, args ...string) {
		t.Helper()
		request := object{"code": code, "args": append([]string{}, args...), "timeoutMs": 20_000}
		if n := a.hiddenModules(t); n < 50 {
			t.Errorf("the interpreter has imported %d modules", n)
		}
		x, reason := a.runAndRecycle(t, request)
		if x.ends(t, "succeeded"); reason != "none" {
			t.Fatalf("the interpreter was not restored: %s", reason)
		}
		want := b.execute(t, request).ends(t, "succeeded")
		hideAddresses := regexp.MustCompile(`0x[0-9a-f]+`)
		if diff := cmp.Diff(hideAddresses.ReplaceAllString(want.Stdout, "0x"), hideAddresses.ReplaceAllString(x.Stdout, "0x")); diff != "" {
			t.Errorf("a new interpreter (-) and a restored one (+) differ:\n%s", diff)
		}
	}
	a.prepareInterpreter(t)
	if n := a.hiddenModules(t); n < 100 {
		t.Errorf("the interpreter has imported %d modules", n)
	}
	t.Run("nothing is imported", func(t *testing.T) { compare(t, importProbe) })
	sets := [][]string{{"json", "random", "datetime", "re", "collections"}, {"asyncio", "logging", "typing"}, {"logging", "random", "threading"}, importedModules[:40], importedModules[40:]}
	if !testing.Short() {
		for _, name := range importedModules {
			sets = append(sets, []string{name})
		}
	}
	seed := uint64(1)
	if !testing.Short() {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 10 {
		shuffled := slices.Clone(importedModules)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		sets = append(sets, shuffled[:1+random.IntN(8)])
	}
	for _, names := range sets {
		t.Run(strings.Join(names[:min(len(names), 8)], ","), func(t *testing.T) { compare(t, importProbe, names...) })
	}
	t.Run("the hook leaves hidden modules for the program", func(t *testing.T) {
		// If a program contains the word atexit, the hook (Pyth-On's code in the
		// interpreter) imports the module _ast.
		x, _ := a.runAndRecycle(t, object{"code": `import sys, atexit, _frozen_importlib as i
known = dict(i._load_unlocked.__globals__['known'])
import ast, inspect, logging, dataclasses
print([n for n, m in sys.modules.items() if known.get(n) is not m])`})
		x.prints(t, "['__main__']\n")
	})
	for name, code := range map[string]string{
		"attributes of classes": "import _ast\nprint(hasattr(_ast.Tuple, 'dims'))\nimport ast\nprint(hasattr(_ast.Tuple, 'dims'), ast.Tuple.dims.fget)",
		"ast twice":             "import ast, sys\nold = sys.modules.pop('ast')\nimport ast\nprint(hasattr(old, '_dims_getter'), hasattr(ast, '_dims_getter'))",
		"ast without _ast":      "import sys, _ast, types\nnew = types.ModuleType('_ast')\nvars(new).update(vars(_ast))\nsys.modules['_ast'] = new\nimport ast\nprint(hasattr(ast, '_dims_getter'))",
		"subclasses":            "def show(c, n=0):\n    print(n * ' ', c.__name__)\n    for s in c.__subclasses__(): show(s, n + 1)\nshow(BaseException)",
		"local module": "open('re.py', 'w').write('left = 7\\ndef compile(*a): return 0\\nVERBOSE = MULTILINE = DOTALL = IGNORECASE = 0\\n')\n" +
			"import re; print(re.left)\ntry: import json; print(json.decoder.FLAGS)\nexcept Exception as e: print(repr(e))",
		"changed attribute": "import time; time.monotonic = lambda: 7\nimport queue, threading, sched\nprint(queue.time(), threading._time())",
		"replaced module":   "import sys, types\nsys.modules['bisect'] = types.SimpleNamespace(bisect=7, bisect_right=1)\ntry: import random; print(random._bisect)\nexcept Exception as e: print(repr(e))",
		"missing module":    "import sys\nsys.modules['_json'] = None\nimport json, json.scanner\nprint(json.scanner.c_make_scanner, json.loads('[1]'))",
		"import twice":      "import sys, json\nold = json\ndel sys.modules['json']\nimport json\nprint(json is old, json.loads is old.loads, json.JSONDecoder is old.JSONDecoder)",
		"reload":            "import importlib, json\nprint(importlib.reload(json) is json, json.loads('{}'))",
		"trace":             "import sys\nlines = set()\nsys.settrace(lambda f, e, a: lines.add(f.f_code.co_filename) or None)\nimport json, csv\nsys.settrace(None)\nprint(sorted(l for l in lines if 'json' in l or 'csv' in l))",
		"finder": "import sys\nclass Finder:\n    def find_spec(name, path, target=None): print('find', name)\nsys.meta_path.insert(0, Finder)\n" +
			"import json, argparse, logging",
		"fork":    "import os, random\nif os.fork() == 0: os._exit(0)\nprint(os.wait()[1])",
		"threads": "import threading, concurrent.futures, queue\nprint(threading.main_thread().name, threading.active_count(), threading.current_thread() is threading.main_thread())",
		"exception of an import": "open('broken.py', 'w').write('import json\\nraise ValueError(7)\\n')\nimport traceback\ntry: import broken\n" +
			"except ValueError: traceback.print_exc(file=__import__('sys').stdout)",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "fork" { // The interpreter cannot be restored after this program.
				x, _ := a.runAndRecycle(t, object{"code": code})
				x.prints(t, "0\n")
				a.prepareInterpreter(t)
				return
			}
			compare(t, code)
		})
	}
}
