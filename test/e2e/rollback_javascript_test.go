package e2e_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// javascript returns a request that runs the code with Node.
func javascript(code string, args ...string) object {
	return object{"language": "javascript", "code": code, "args": append([]string{}, args...), "timeoutMs": 30_000}
}

// TestRollbackOfNodeLeavesNothing runs spoilers (programs that change their
// interpreter). After each spoiler, it runs a probe, which prints the state of the
// interpreter. This state must always be the same. The probe does not print memory
// mappings, because V8 maps memory at random addresses. The kernel already compares the
// mappings when it restores an interpreter.
func TestRollbackOfNodeLeavesNothing(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	probe := javascript(string(must(os.ReadFile("testdata/rollback/probe.js"))(t)))
	archive := must(txtar.ParseFile("testdata/rollback/spoilers_javascript.txtar"))(t)
	if len(archive.Files) < 40 {
		t.Fatalf("only %d spoilers were found", len(archive.Files))
	}
	a.runAndRecycle(t, javascript("0")) // This run replaces an interpreter of Python.
	first, _ := a.runAndRecycle(t, probe)
	want := first.ends(t, "succeeded").Stdout
	for _, file := range archive.Files {
		wantReason, name, _ := strings.Cut(file.Name, "/")
		t.Run(name, func(t *testing.T) {
			x, reason := a.runAndRecycle(t, javascript(string(file.Data)))
			if wantReason != "any" && reason != wantReason {
				t.Errorf("the reason is %s, want %s: %s", reason, wantReason, x)
			}
			after, _ := a.runAndRecycle(t, probe)
			if diff := diffLines(want, after.ends(t, "succeeded").Stdout); diff != "" {
				t.Errorf("the state before (-) and after (+) differs:\n%s", diff)
			}
		})
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		file := archive.Files[random.IntN(len(archive.Files))]
		a.execute(t, javascript(string(file.Data)))
		if random.IntN(4) > 0 {
			continue
		}
		after, _ := a.runAndRecycle(t, probe)
		if diff := diffLines(want, after.ends(t, "succeeded").Stdout); diff != "" {
			t.Fatalf("after %s, seed %d, the state differs:\n%s", file.Name, seed, diff)
		}
	}
	if failed := s.metric(t, `pyth_on_interpreters_total{reason="failed"}`); failed != 0 {
		t.Errorf("%v interpreters could not be restored", failed)
	}
}

// TestRollbackOfNodeBehavesAsOnHost runs a spoiler (a program that changes its
// interpreter) before each program. Both run in the same interpreter. The program must
// behave as on the host.
func TestRollbackOfNodeBehavesAsOnHost(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	spoilers := must(txtar.ParseFile("testdata/rollback/spoilers_javascript.txtar"))(t).Files
	programs := must(filepath.Glob("testdata/javascript/*.txtar"))(t)
	l := nodeOnHost(t, language{name: "javascript", file: "main.js"})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	if testing.Short() {
		random.Shuffle(len(programs), func(i, j int) { programs[i], programs[j] = programs[j], programs[i] })
		programs = programs[:50]
	}
	for _, path := range programs {
		spoiler := spoilers[random.IntN(len(spoilers))]
		a.execute(t, javascript(string(spoiler.Data)))
		p := parseProgram(t, path, l)
		if diff := cmp.Diff(p.runOnHost(t), p.runInSandbox(t, a, random.IntN(2) == 0 && !p.seesResults)); diff != "" {
			t.Errorf("after %s, %s differs outside (-) and inside (+):\n%s", spoiler.Name, path, diff)
		}
	}
	restored, failed := s.metric(t, `pyth_on_interpreters_total{reason="none"}`), s.metric(t, `pyth_on_interpreters_total{reason="failed"}`)
	if t.Logf("%v of %d interpreters were restored", restored, 2*len(programs)); restored < float64(len(programs)/2) || failed != 0 {
		t.Errorf("%v interpreters could not be restored", failed)
	}
}

// TestRollbackOfNodeKeepsRandomness runs a program that prints random values several
// times in the same interpreter. No value may occur twice.
func TestRollbackOfNodeKeepsRandomness(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	a.runAndRecycle(t, javascript("0"))
	seen := map[string]bool{}
	for range 10 {
		x, reason := a.runAndRecycle(t, javascript(`
const c = require('crypto'), vm = require('vm'), fs = require('fs');
const { d } = c.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const values = [Math.random(), Math.random(), vm.runInNewContext('Math.random()'), vm.runInNewContext('Math.random()'),
  c.randomUUID(), crypto.randomUUID(), c.randomBytes(8).toString('hex'), d, fs.mkdtempSync('/tmp/x'),
  crypto.getRandomValues(new Uint8Array(8)).join(), c.randomInt(2 ** 47), c.generatePrimeSync(64, { bigint: true }).toString()];
console.log(JSON.stringify(values.map(String)));`))
		if x.ends(t, "succeeded"); reason != "none" {
			t.Fatalf("the interpreter was not restored: %s", reason)
		}
		var values []string
		if err := json.Unmarshal([]byte(x.Stdout), &values); err != nil {
			t.Fatal(err)
		}
		for _, value := range values {
			if seen[value] {
				t.Errorf("%s occurs twice", value)
			}
			seen[value] = true
		}
	}
}

// TestRollbackOfNodeGivesMemoryBack runs a program that uses much memory. When Node is
// restored, the host must get this memory back. Node can be restored only if the
// program uses no more than the default memory limit.
func TestRollbackOfNodeGivesMemoryBack(t *testing.T) {
	t.Parallel()
	s, a := rollbackServer(t)
	for range 5 {
		a.runAndRecycle(t, javascript("console.log(42)"))
	}
	before := s.sandboxMemory(t)
	request := javascript("globalThis.large = Buffer.alloc(440 << 20, 1);")
	request["limits"] = object{"memoryBytes": 512 * mib}
	x, reason := a.runAndRecycle(t, request)
	if x.ends(t, "succeeded"); reason != "none" {
		t.Fatalf("the interpreter was not restored: %s", reason)
	}
	if x.Usage.MemoryPeakBytes < 440*mib {
		t.Errorf("the program used only %d bytes", x.Usage.MemoryPeakBytes)
	}
	eventually(t, "the memory is given back", func() bool { return s.sandboxMemory(t) < before+12*mib })
	a.execute(t, javascript("console.log(42)")).prints(t, "42\n")
}

// TestRollbackOfNodeMemoryIsClean runs a program that leaves a string in the heap, in
// buffers, in compiled code and in the environment. The next program must not find this
// string.
func TestRollbackOfNodeMemoryIsClean(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	a.runAndRecycle(t, javascript("0"))
	for range 3 {
		leave := javascript(`
const text = process.argv[2];
globalThis.kept = Array.from({ length: 1000 }, (_, i) => text.repeat(20) + i);
globalThis.buffers = [Buffer.from(text.repeat(1e5)), new Uint8Array(new SharedArrayBuffer(1 << 20)).fill(7)];
globalThis.code = Array.from({ length: 100 }, (_, i) => new Function('return "' + text.repeat(30) + i + '"'));
for (const f of code) f();
for (let i = 0; i < 1000; i++) require('fs').writeFileSync('/tmp/left', text.repeat(100));
(function deep(n) { const kept = text + n; return n === 0 ? kept : deep(n - 1) + kept; })(3000);
process.exit(0);`, "needle"+"-in-memory")
		leave["env"] = object{"LEFT": "needle" + "-in-memory"}
		x, reason := a.runAndRecycle(t, leave)
		if x.ends(t, "succeeded"); reason != "none" {
			t.Fatalf("the interpreter was not restored: %s", reason)
		}
		x, _ = a.runAndRecycle(t, javascript(`
const fs = require('fs');
const [text, found] = [Buffer.from('needle-' + 'in-memory'), []];
const memory = fs.openSync('/proc/self/mem', 'r');
const buffer = Buffer.alloc(1 << 20);
for (const line of fs.readFileSync('/proc/self/maps', 'utf8').split('\n')) {
  const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
  if (from === undefined || line.includes('[v')) continue;
  const [start, end] = [parseInt(from, 16), parseInt(to, 16)];
  let count = 0;
  // Large mappings are mostly reserved. Search their beginnings.
  for (let at = start; at < Math.min(end, start + (64 << 20)); at += buffer.length) {
    let n = 0;
    try { n = fs.readSync(memory, buffer, 0, Math.min(buffer.length, end - at), at); } catch {}
    for (let i = buffer.indexOf(text); i >= 0 && i < n; i = buffer.indexOf(text, i + 1)) count++;
    buffer.fill(0);
  }
  if (count > 3) found.push([line, count]);
}
console.log(JSON.stringify(found));`))
		x.prints(t, "[]\n")
	}
}

// javascriptSoakPrograms contains programs that use different parts of Node.
var javascriptSoakPrograms = []string{
	"console.log(42)",
	"const { createHash } = require('crypto'); createHash('sha256').update('x'); console.log(42)",
	"const b = Buffer.alloc(5 << 20, 1); setTimeout(() => console.log(b.length > 0 ? 42 : 0), 1)",
	"const fs = require('fs'); for (let n = 0; n < 20; n++) fs.writeFileSync(`f${n}`, 'x'.repeat(1e4)); fs.readFile('f1', () => console.log(42))",
	"let s = 0; for (let i = 0; i < 1e6; i++) s += [i].length; console.log(s && 42)",
	"require('zlib').gzip('x'.repeat(1e5), () => console.log(42))",
	"globalThis.kept = Array.from({ length: 1e5 }, (_, i) => ({ i })); console.log(42); process.exit(0)",
}

// TestRollbackOfNodeSoak runs many programs in one interpreter. The memory of the
// sandbox must not grow. The environment variable SOAK_RUNS sets the number of
// programs.
func TestRollbackOfNodeSoak(t *testing.T) {
	t.Parallel()
	runs := 600
	if testing.Short() {
		runs = 250
	}
	if s := os.Getenv("SOAK_RUNS"); s != "" {
		runs = must(strconv.Atoi(s))(t)
	}
	s, a := rollbackServer(t)
	a.runAndRecycle(t, javascript("0"))
	before := s.interpreters(t)
	early := int64(0)
	for run := range runs {
		x := a.execute(t, javascript(javascriptSoakPrograms[run%len(javascriptSoakPrograms)]))
		if x.ends(t, "succeeded"); x.Stdout != "42\n" {
			t.Fatalf("run %d printed %q", run, x.Stdout)
		}
		if run == 150 {
			early = s.sandboxMemory(t)
		}
	}
	late := s.sandboxMemory(t)
	t.Logf("%d runs; %.1f MiB after 150, %.1f MiB at the end", runs, float64(early)/mib, float64(late)/mib)
	if late > early+16*mib {
		t.Error("the memory has grown")
	}
	a.runAndRecycle(t, javascript("0"))
	for reason, count := range s.interpreters(t) {
		if reason != "none" && count != before[reason] {
			t.Errorf("%s interpreters were replaced for the reason %s", count, reason)
		}
	}
}

// TestRollbackOfNodeMeasuresEachRun checks the memory that the server reports for a
// program. The value must not depend on earlier programs in the same interpreter. It
// must not include the memory of the checkpoint.
func TestRollbackOfNodeMeasuresEachRun(t *testing.T) {
	t.Parallel()
	_, a := rollbackServer(t)
	const interpreter = 10 // The reported memory includes the memory of the interpreter, in MiB.
	allocate := func(when string, size int) {
		t.Helper()
		x := a.execute(t, javascript(fmt.Sprintf("const b = Buffer.alloc(%d << 20, 1); console.log(b.length)", size)))
		used := float64(x.ends(t, "succeeded").Usage.MemoryPeakBytes) / mib
		if want := float64(size + interpreter); math.Abs(used-want) > want/20 {
			t.Errorf("%s, a program with %d MiB used %.1f MiB", when, size, used)
		}
	}
	allocate("in the first run", 200)
	for range 5 {
		allocate("in one of the first runs", 100)
	}
	for run := range 100 {
		a.execute(t, javascript(javascriptSoakPrograms[run%len(javascriptSoakPrograms)])).ends(t, "succeeded")
	}
	for _, size := range []int{50, 100, 200} {
		allocate("after 100 runs", size)
	}
}
