package e2e_test

import (
	"strings"
	"testing"
)

// forEachNodeLanguage runs two subtests. It calls the given function with a JavaScript
// session and with a TypeScript session.
func forEachNodeLanguage(t *testing.T, do func(t *testing.T, s *session)) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"javascript", "typescript"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			do(t, a.openSession(t, object{"language": language}))
		})
	}
}

func TestSessionNodeKeepsState(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "let x = [1]; const y = 2; var z = 3; class C { n() { return x.length; } }\nfunction f(n) { return n + x.length; }").prints(t, "")
		s.runCode(t, "x.push(2); console.log(f(40), y, z, new C().n())").prints(t, "42 2 3 2\n")
		s.runCode(t, "let x = 'again'; const y = { a: x }; class C {}\nfunction f() { return x; }").prints(t, "")
		s.runCode(t, "console.log(f(), y, new C())").prints(t, "again { a: 'again' } C {}\n")
		s.runCode(t, "const v = await new Promise((done) => setTimeout(done, 1, 7)); for (const i of [1, 2]) await i").prints(t, "")
		s.runCode(t, "console.log(v)").prints(t, "7\n")
		s.runCode(t, "const fs = require('fs'); fs.mkdirSync('d'); process.chdir('d'); fs.writeFileSync('f', 'content')").prints(t, "")
		s.runCode(t, "console.log(fs.readFileSync('f', 'utf8'), process.cwd())").prints(t, "content /work/d\n")
		s.runCode(t, "let ticks = 0; const timer = setInterval(() => ticks++, 1)").prints(t, "")
		s.runCode(t, "const before = ticks; await new Promise((done) => setTimeout(done, 100)); clearInterval(timer); console.log(ticks > before)").prints(t, "true\n")
		s.runCode(t, "const others = setInterval(async () => { await null; await Promise.resolve(); }, 0)").prints(t, "")
		for range 20 {
			s.runCode(t, "let own = await Promise.resolve('own'); own").requireResults(t, "'own'")
		}
		s.runCode(t, "clearInterval(others)").ends(t, "succeeded")
		// Even if the program does not use await, the run must not end before its
		// asynchronous work is done.
		s.runCode(t, "async function main() { await new Promise((done) => setTimeout(done, 20)); console.log('done'); }\nmain()").prints(t, "done\n")
		s.account.execute(t, object{"language": s.Language, "code": "console.log(typeof x)"}).prints(t, "undefined\n")
	})
}

func TestSessionNodeImports(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, `require('fs').writeFileSync('own.mjs', 'export default 1; export const two = 2; export const url = import.meta.url;');
require('fs').writeFileSync('old.cjs', 'exports.three = 3;');`).prints(t, "")
		s.runCode(t, `import one, { two as deux, url } from './own.mjs';
import * as all from "./own.mjs"; import path, * as paths from 'node:path'
import { three } from './old.cjs'
import {
  readFileSync, // two lines
  existsSync as exists,
} from 'node:fs';
import 'node:os';
console.log(one, deux, url, all.two, path.sep, paths.sep, three, typeof readFileSync, exists('own.mjs'));
throw new Error('line 10');`).ends(t, "failed").requireError(t, "Error", "line 10", 10)
		s.runCode(t, "console.log(deux, typeof readFileSync); ({ two: deux } = await import('./own.mjs'))").ends(t, "failed").requireError(t, "TypeError", "Assignment to constant variable.", 1)
		s.runCode(t, "export const four = 4;\nexport function five() { return 5; }\nconsole.log(four, five(), (await import('./own.mjs')).two, require('./old.cjs').three)").prints(t, "4 5 2 3\n")
		s.runCode(t, "console.log(`\nimport x from 'y'\n`, typeof (await new Function('return import(\"fs\")')()).readFileSync)").prints(t, "\nimport x from 'y'\n function\n")
		if x := s.runCode(t, "import { x } from './none.mjs'").ends(t, "failed"); x.Error == nil || !strings.Contains(x.Error.Message, "none.mjs") {
			t.Errorf("got %s", x)
		}
	})
}

func TestSessionNodeGivesEachRunItsInput(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		given := object{"args": []string{"é", "b"}, "stdin": "one\ntwo\n", "env": object{"A": "1", "K": "given"}}
		s.runCode(t, "process.env.K = 'kept'").ends(t, "succeeded")
		const show = "console.log(process.argv.slice(2), require('fs').readFileSync(0, 'utf8'), process.env.A, process.env.K)"
		s.runCode(t, show, given).prints(t, "[ 'é', 'b' ] one\ntwo\n 1 given\n")
		s.runCode(t, show+"; process.env.B = '2'").prints(t, "[]  undefined kept\n")
		s.runCode(t, "for await (const line of require('readline').createInterface({ input: process.stdin })) console.log(line, process.env.B)", given).prints(t, "one 2\ntwo 2\n")
		s.runCode(t, "console.log(require('child_process').execSync('cat', { stdio: ['inherit', 'pipe'] }).toString())", given).prints(t, "one\ntwo\n\n")
		s.runCode(t, "process.env.A = 'mine'", given).ends(t, "succeeded")
		s.runCode(t, "console.log(process.env.A)").prints(t, "mine\n")
	})
}

func TestSessionNodeReturnsValues(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "let x = { a: [1] }").requireResults(t)
		s.runCode(t, "x").requireResults(t, "{ a: [ 1 ] }")
		s.runCode(t, "display('first'); x.a.length").requireResults(t, "'first'", "1")
		s.runCode(t, "await 5").requireResults(t, "5")
		s.runCode(t, "Promise.resolve('kept')").requireResults(t, "'kept'")
		s.runCode(t, "for (let i = 0; i < 3; i++) x.a.push(i)").requireResults(t)
		s.runCode(t, "console.log(1)").requireResults(t)
		s.runCode(t, "10n ** 20n").requireResults(t, "100000000000000000000n")
		s.runCode(t, "display(1)\nx", object{"results": false}).requireResults(t)
		s.runCode(t, "display(x.a.length)").requireResults(t, "4")
	})
}

func (x *execution) requireResults(t testing.TB, want ...string) {
	t.Helper()
	var got []string
	for _, r := range x.Results {
		text, _ := r["text/plain"].(string)
		got = append(got, text)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q: %s", got, want, x)
	}
}

// requireError checks the error of a run. The stack trace must not contain frames of
// hook.cjs, which is Pyth-On's code in the interpreter.
func (x *execution) requireError(t testing.TB, name, message string, line int) {
	t.Helper()
	if x.Error == nil || x.Error.Name != name || x.Error.Message != message || x.Error.Line != line {
		t.Errorf("got %+v: %s", x.Error, x)
	} else if strings.Contains(x.Error.Traceback+x.Stderr, "pyth-on") {
		t.Errorf("frames of Pyth-On's code: %s", x)
	}
}

func TestSessionNodeReportsErrors(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "function f() {\n  throw new RangeError('no')\n}").prints(t, "")
		x := s.runCode(t, "console.log('before')\n\nf()").ends(t, "failed")
		x.requireError(t, "RangeError", "no", 3)
		const trace = "RangeError: no\n    at f (<run-1>:2:9)\n    at <run-2>:3:1"
		if *x.ExitCode != 1 || x.Stdout != "before\n" || x.Stderr != "Uncaught "+trace+"\n" || x.Error.Traceback != trace {
			t.Errorf("got %s, %+v", x, x.Error)
		}
		s.runCode(t, "await 1\nawait Promise.reject(new TypeError('later'))").ends(t, "failed").requireError(t, "TypeError", "later", 2)
		s.runCode(t, "\nPromise.reject(new Error('nobody heard')); 5").ends(t, "failed").requireError(t, "Error", "nobody heard", 2)
		s.runCode(t, "setTimeout(() => {\n  throw new Error('in a timer') })\nawait new Promise(() => {})").ends(t, "failed").requireError(t, "Error", "in a timer", 2)
		s.runCode(t, "throw 'text'").ends(t, "failed").requireError(t, "string", "text", 0)
		s.runCode(t, "throw null").ends(t, "failed").requireError(t, "null", "null", 0)
		s.runCode(t, "process.on('uncaughtException', (e) => { console.log(e.message); done(); }); setTimeout(() => { throw new Error('heard') })\nlet done; await new Promise((d) => { done = d; })").prints(t, "heard\n")
		s.runCode(t, "process.removeAllListeners('uncaughtException')").ends(t, "succeeded")
		s.runCode(t, "throw new Proxy(new Error('x'), { get() { throw new Error('y'); } })").ends(t, "failed")
		s.runCode(t, "console.log('alive')").prints(t, "alive\n")
	})
}

func TestSessionNodeReportsSyntaxErrors(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		for code, line := range map[string]int{"1 +": 1, "let a = 1;\nlet b = ;": 2, "const same = 1;\n\nconst same = 2": 3} {
			x := s.runCode(t, code).ends(t, "failed")
			if x.Error == nil || x.Error.Name != "SyntaxError" || x.Error.Line != line || !strings.Contains(x.Stderr, "SyntaxError") {
				t.Errorf("%q: %s, %+v", code, x, x.Error)
			}
		}
	})
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{"language": "typescript"})
	s.runCode(t, "interface Point { x: number }\nlet p: Point = { x: 1 }\nfunction id<T>(v: T): T { return v }\nconsole.log(id<number>(p.x)!)").prints(t, "1\n")
	s.runCode(t, "let n: number = 1\nenum E { A = }").ends(t, "failed").requireError(t, "SyntaxError", "Expression expected", 2)
	a.openSession(t, object{"language": "javascript"}).runCode(t, "interface Point { x: number }").ends(t, "failed").requireError(t, "SyntaxError", "Unexpected identifier 'Point'", 1)
}

func TestSessionNodeExitEndsRun(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "let x = 42").prints(t, "")
		for code, want := range map[string]int{
			"process.exit(3); x = 0": 3,
			"try { process.exit(4); } catch { x = 0; } finally { x = 0; }":          4,
			"await 1; process.exit(5)":                                              5,
			"setTimeout(() => process.exit(6)); await new Promise(() => {})":        6,
			"process.exitCode = 7":                                                  7,
			"process.exitCode = 8; process.exit()":                                  8,
			"process.exit(256 + 9)":                                                 9,
			"process.nextTick(() => process.exit(10)); await new Promise(() => {})": 10,
		} {
			if x := s.runCode(t, code).ends(t, "failed"); *x.ExitCode != want || x.Error != nil || x.SessionEnded {
				t.Errorf("%s: %s, %+v", code, x, x.Error)
			}
		}
		s.runCode(t, "console.log('y'.repeat(200_000).length); process.exit(); console.log('never')").prints(t, "200000\n")
		s.runCode(t, "process.exit('bad')").ends(t, "failed").requireError(t, "TypeError", `The "code" argument must be of type number. Received type string ('bad')`, 1)
		s.runCode(t, "console.log(x)").prints(t, "42\n")
	})
}

// TestSessionNodeInterruptsBusyCallback starts an endless loop after a run has ended.
// While the loop runs, the next run cannot begin. The server must still be able to
// interrupt the next run.
func TestSessionNodeInterruptsBusyCallback(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "javascript"})
	s.runCode(t, "let x = 42; setImmediate(() => setImmediate(() => { for (;;); }))").prints(t, "")
	if x := s.runCode(t, "await new Promise(() => {})", object{"timeoutMs": 500}); x.Status != "timed_out" || x.SessionEnded {
		t.Error(x)
	}
	s.runCode(t, "console.log(x)").prints(t, "42\n")
}

// TestSessionNodeInterruptsListener registers a listener that runs forever after each
// error. An interrupt reports an error and so calls the listener.
func TestSessionNodeInterruptsListener(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "javascript"})
	s.runCode(t, "let x = 42; process.on('uncaughtExceptionMonitor', () => { for (;;); })").prints(t, "")
	for range 3 {
		if x := s.runCode(t, "for (;;);", object{"timeoutMs": 500}); x.Status != "timed_out" || x.SessionEnded {
			t.Error(x)
		}
	}
	s.runCode(t, "console.log(x)").prints(t, "42\n")
}

// TestSessionNodeRestartsForMoreMemory opens a session whose memory limit is higher
// than the limit of the warm Node process. So the server must restart Node.
func TestSessionNodeRestartsForMoreMemory(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "javascript", "limits": object{"memoryBytes": 768 * mib}})
	s.runCode(t, "let b = Buffer.alloc(600 << 20, 1)").prints(t, "")
	s.runCode(t, "console.log(b.length >> 20, process.execArgv, process.env.NODE_OPTIONS)").prints(t, "600 [] undefined\n")
}

func TestSessionNodeReachesListedHosts(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--egress-allow-range=127.0.0.0/8").register(t)
	web := startEchoServer(t)
	s := a.openSession(t, object{"language": "javascript", "network": object{"allow": []string{hostPort(t, web)}}})
	for range 3 {
		s.runCode(t, "const r = await fetch(process.argv[2] + '/a'); console.log(r.status, await r.text())", object{
			"args": []string{web.URL}, "env": object{"NO_PROXY": "", "no_proxy": ""},
		}).prints(t, "200 hello GET /a\n")
	}
	s.runCode(t, "console.log(await fetch('http://169.254.169.254/').catch((e) => e.cause.cause.message))").prints(t, "Proxy response (403) !== 200 when HTTP Tunneling\n")
}

// TestSessionNodeInterruptWorksAtAnyPoint interrupts runs immediately after they have
// printed output. At this time, Node switches between tasks.
func TestSessionNodeInterruptWorksAtAnyPoint(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "let x = 42").prints(t, "")
		for _, code := range []string{
			"console.log('begun'); await new Promise(() => {})",
			"setImmediate(() => {}); setImmediate(() => { console.log('begun'); for (;;); }); await new Promise(() => {})",
			"process.nextTick(() => { console.log('begun'); for (;;); }); await new Promise(() => {})",
			"console.log('begun'); for (;;) await 1",
			"setImmediate(async () => { console.log('begun'); for (;;) await 1; }); setImmediate(() => {}); await new Promise(() => {})",
		} {
			for range 20 {
				stream := s.openStream(t.Context(), t, object{"sessionId": s.ID, "code": code})
				for e, ok := stream.next(t); e.name != "stdout"; e, ok = stream.next(t) {
					if !ok {
						t.Fatal("the stream ended")
					}
				}
				s.server.call(t, s.account, "POST", s.path("/interrupt"), nil).want(t, 204, nil)
				if printed, _, end := stream.readAll(t); end.Status != "canceled" || end.SessionEnded {
					t.Fatalf("%s: the session ended: %v: %s %v", code, end.SessionEnded, end, printed)
				}
				s.runCode(t, "console.log(x)").prints(t, "42\n")
			}
		}
	})
}
