package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// javaScriptRequest returns a request that runs the code with Node. It also adds the
// fields in the parameter "more" to the request.
func javaScriptRequest(code string, more object) object {
	request := object{"language": "javascript", "code": code}
	for name, value := range more {
		request[name] = value
	}
	return request
}

// fillDiskProgramNode returns a Node program that writes to the file at path until a
// write fails.
func fillDiskProgramNode(path string) string {
	return fmt.Sprintf(`
const fs = require('fs');
const f = fs.openSync(%q, 'w');
let n = 0;
try {
	for (;;) n += fs.writeSync(f, Buffer.alloc(65536));
} catch (e) {
	console.log(e.code, n <= 8 << 20);
}`, path)
}

var javaScriptAttacks = []attack{
	programAttack("001_a_program_in_node_that_starts_others_without_end_gets_EAGAIN", javaScriptRequest(`
const {spawn} = require('child_process');
let n = 0;
(function next() {
	const child = spawn('sleep', ['300']);
	child.on('error', (e) => { console.log(e.code, n > 0 && n < 42); process.exit(); });
	child.on('spawn', () => { n++; next(); });
})();`, object{"limits": object{"processes": 32}}), checkStdout("EAGAIN true\n")),
	exclusive(programAttack("002_a_bomb_of_workers_in_node_is_bounded", javaScriptRequest(`
const {Worker} = require('worker_threads');
const more = () => new Worker('setInterval(() => {}, 1000)', {eval: true}).on('error', () => {}).on('online', more);
more();`, object{"timeoutMs": 1200}), func(t *testing.T, x *execution) {
		if x.Status != "out_of_memory" && x.Status != "failed" && x.Status != "timed_out" {
			t.Error(x)
		}
	})),
	programAttack("003_more_memory_than_the_limit_is_out_of_memory_in_node", javaScriptRequest(
		`const b = Buffer.alloc((64 << 20) + 1, 1); setTimeout(() => console.log('alive', b.length), 20_000);`,
		object{"limits": object{"memoryBytes": 64 * mib}}), checkStatus("out_of_memory")),
	programAttack("003_less_memory_than_the_limit_is_granted_in_node", javaScriptRequest(
		`const b = Buffer.alloc(40 << 20, 1); console.log('alive');`,
		object{"limits": object{"memoryBytes": 64 * mib}}), checkStdout("alive\n")),
	programAttack("007_the_disk_is_bounded_in_node", javaScriptRequest(fillDiskProgramNode("/tmp/f"), object{"limits": object{"diskBytes": 8 * mib}}), checkStdout("ENOSPC true\n")),
	exclusive(programAttack("013_endless_output_of_node_is_cut", javaScriptRequest(`for (;;) require('fs').writeSync(1, 'x'.repeat(65536));`, nil), func(t *testing.T, x *execution) {
		x.ends(t, "output_limit")
		if len(x.Stdout) != mib || !x.StdoutTruncated {
			t.Errorf("%d bytes of output", len(x.Stdout))
		}
	})),
	programAttack("017_a_loop_in_node_ends_in_time", javaScriptRequest(`for (;;);`, object{"timeoutMs": 300}), checkStatus("timed_out")),
	programAttack("018_waiting_in_node_ends_in_time", javaScriptRequest(`Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`, object{"timeoutMs": 500}), checkStatus("timed_out")),
	programAttack("021_a_regular_expression_in_node_ends_in_time", javaScriptRequest(`/^(a+)+$/.test('a'.repeat(50) + 'b');`, object{"timeoutMs": 300}), checkStatus("timed_out")),
	exclusive(programAttack("022_a_heap_bomb_is_out_of_memory", javaScriptRequest(`const a = []; for (;;) a.push({x: a.length});`, object{"timeoutMs": 60_000}), checkStatus("out_of_memory"))),
	exclusive(programAttack("022_a_bomb_of_strings_is_out_of_memory", javaScriptRequest(`const a = []; for (;;) a.push('x'.repeat(1e6) + a.length + Math.random());`, object{"timeoutMs": 60_000}), checkStatus("out_of_memory"))),
	exclusive(programAttack("022_a_bomb_of_buffers_is_out_of_memory", javaScriptRequest(`const a = []; for (;;) a.push(new Uint8Array(new ArrayBuffer(1 << 20)).fill(1));`, object{"timeoutMs": 60_000}), checkStatus("out_of_memory"))),
	exclusive(programAttack("022_a_bomb_in_a_worker_is_out_of_memory", javaScriptRequest(
		`new (require('worker_threads').Worker)('const a = []; for (;;) a.push({x: a.length});', {eval: true});`, object{"timeoutMs": 60_000}), checkStatus("out_of_memory"))),
	exclusive(programAttack("022_a_bomb_with_much_memory_is_out_of_memory", javaScriptRequest(
		`const a = []; for (;;) a.push({x: a.length});`, object{"timeoutMs": 60_000, "limits": object{"memoryBytes": 768 * mib}}), checkStatus("out_of_memory"))),
	exclusive(programAttack("022_garbage_is_none", javaScriptRequest(`
const live = new Map();
for (let i = 0; i < 2e6; i++) live.set(i % 200000, {i, a: [i, i + 1], s: 'x' + i});
console.log(live.size);`, nil), checkStdout("200000\n"))),
	programAttack("024_node_ended_by_SIGSEGV_is_a_failure", javaScriptRequest(`process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);`, nil), func(t *testing.T, x *execution) {
		if x.ends(t, "failed"); x.Signal != "SIGSEGV" {
			t.Error(x)
		}
	}),
	programAttack("028_a_daemon_of_node_does_not_hold_up_the_answer", javaScriptRequest(`
require('child_process').spawn('sleep', ['300'], {detached: true, stdio: 'inherit'}).unref();
console.log('done');`, nil), checkStdout("done\n")),
	programAttack("031_what_a_child_of_node_writes_later_is_not_returned", javaScriptRequest(`
require('child_process').spawn('sh', ['-c', 'i=0; while :; do i=$((i+1)); echo x > late$i; done'], {detached: true, stdio: 'ignore'}).unref();
require('fs').writeFileSync('own', 'mine');`, object{"outputFiles": []string{"own"}}), func(t *testing.T, x *execution) {
		x.ends(t, "succeeded")
		if len(x.Files) != 1 || string(x.fileContent(t, "own")) != "mine" {
			t.Error(x)
		}
	}),
	{"036_exit_codes_of_node_are_exact", func(t *testing.T, _ *server, a *account) {
		codes := []int{0, 1, 2, 13, 127, 128, 137, 255}
		if a.needsShortAttacks() {
			codes = []int{0, 13, 255}
		}
		for _, code := range codes {
			for _, way := range []string{"process.exit(%d)", "process.exitCode = %d", "process.on('exit', () => { process.exitCode = %d; })"} {
				x := a.execute(t, javaScriptRequest(fmt.Sprintf(way, code), nil))
				if x.ExitCode == nil || *x.ExitCode != code || x.Signal != "" {
					t.Errorf(way+": %v", code, x)
				}
			}
		}
	}},
	programAttack("040_the_hook_of_node_has_nothing_of_the_agents", javaScriptRequest(`
const fs = require('fs');
for (const p of fs.readdirSync('/proc').filter((p) => /^\d+$/.test(p) && p !== String(process.pid)))
	for (const f of ['environ', 'cmdline']) try { console.log(p, fs.readFileSync('/proc/' + p + '/' + f, 'utf8')); } catch (e) { if (!['EACCES', 'EPERM'].includes(e.code)) console.log(e.code); }`, nil),
		func(t *testing.T, x *execution) {
			if x.ends(t, "succeeded"); strings.Contains(x.Stdout, "PYTH") || strings.Contains(x.Stdout, "guest") {
				t.Error(x)
			}
		}),
	programAttack("043_the_environment_of_node_is_what_was_given", javaScriptRequest(
		`console.log(JSON.stringify(process.env)); console.log(require('child_process').execFileSync('env').toString());`, object{"env": object{"A": "1"}}),
		checkStdout(`{"PATH":"/usr/local/bin:/usr/bin:/bin","HOME":"/home/sandbox","LANG":"C.UTF-8","A":"1"}`+"\nPATH=/usr/local/bin:/usr/bin:/bin\nHOME=/home/sandbox\nLANG=C.UTF-8\nA=1\n\n")),
	programAttack("044_no_descriptor_is_inherited_by_node", javaScriptRequest(`
const fs = require('fs');
const odd = fs.readdirSync('/proc/self/fd').map((n) => { try { return fs.readlinkSync('/proc/self/fd/' + n); } catch { return ''; } })
	.filter((to) => !/^(|pipe:.*|anon_inode:.*|\/dev\/null|\/proc\/.*|eventfd.*|epoll.*)$/.test(to) && !to.includes('event'));
console.log(odd);
console.log(require('child_process').execFileSync('ls', ['/proc/self/fd']).toString().split('\n').length <= 5);`, nil), checkStdout("[]\ntrue\n")),
	{"057_what_a_program_in_node_leaves_the_next_never_finds", func(t *testing.T, _ *server, a *account) {
		const leave = `
const fs = require('fs');
for (const d of ['.', '/tmp', '/dev/shm', '/home/sandbox']) fs.writeFileSync(d + '/left', 'LEFT');
process.env.LEFT = 'LEFT'; globalThis.LEFT = 'LEFT'; require('module')._cache.LEFT = {};
require('child_process').spawn('sleep', ['300'], {detached: true, stdio: 'ignore'}).unref();`
		const find = `
const fs = require('fs');
const found = ['.', '/tmp', '/dev/shm', '/home/sandbox'].filter((d) => fs.existsSync(d + '/left'));
if (process.env.LEFT || globalThis.LEFT || require('module')._cache.LEFT) found.push('memory');
const others = fs.readdirSync('/proc').filter((p) => /^\d+$/.test(p) && p !== '1' && p !== String(process.pid));
console.log(found, others);`
		for range 3 {
			a.execute(t, javaScriptRequest(leave, nil)).ends(t, "succeeded")
			a.execute(t, javaScriptRequest(find, nil)).prints(t, "[] []\n")
		}
	}},
	{"057_what_node_leaves_in_a_session_is_found_only_there", func(t *testing.T, s *server, _ *account) {
		const leave = `
for (const d of ['.', '/tmp', '/dev/shm']) require('fs').writeFileSync(d + '/left', 'LEFT');
process.env.LEFT = 'LEFT'; globalThis.LEFT = 'LEFT';`
		const find = `console.log(['.', '/tmp', '/dev/shm'].filter((d) => require('fs').existsSync(d + '/left')).length, process.env.LEFT, globalThis.LEFT);`
		a := s.register(t)
		one, other := a.openSession(t, object{"language": "javascript"}), a.openSession(t, object{"language": "javascript"})
		one.runCode(t, leave).ends(t, "succeeded")
		for range 3 {
			other.runCode(t, find).prints(t, "0 undefined undefined\n")
			a.execute(t, javaScriptRequest(find, nil)).prints(t, "0 undefined undefined\n")
			one.runCode(t, find).prints(t, "3 LEFT LEFT\n")
		}
		for _, session := range []*session{one, other} {
			s.call(t, a, "DELETE", session.path(""), nil).want(t, 204, nil)
		}
	}},
	{"058_no_two_runs_of_node_share_randomness", func(t *testing.T, _ *server, a *account) {
		seen := make(map[string]bool)
		for range 5 {
			x := a.execute(t, javaScriptRequest(`console.log(Math.random(), crypto.randomUUID());`, nil)).ends(t, "succeeded")
			if seen[x.Stdout] {
				t.Error(x)
			}
			seen[x.Stdout] = true
		}
	}},
	programAttack("060_the_report_of_node_cannot_change_how_it_ended", javaScriptRequest(
		`require('fs').writeFileSync('/run/report', 'Forged\0message\0trace\0001'); console.log('fine');`, nil), func(t *testing.T, x *execution) {
		if x.prints(t, "fine\n"); x.Error != nil {
			t.Error(x)
		}
	}),
}
