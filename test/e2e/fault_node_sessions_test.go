package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestSessionTypeScriptAllowsExports runs programs with export statements in a session.
// Sessions run code as scripts. Scripts normally cannot contain export statements.
func TestSessionTypeScriptAllowsExports(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		for code, want := range map[string][]string{
			"const x = 5; export { x }; x":                                  {"5"},
			"const y = 6\nexport {}\ny":                                     {"6"},
			"1\nexport {}":                                                  nil,
			"export * from 'node:path'":                                     nil,
			"export * as everything from 'node:path';\n2":                   {"2"},
			"export { join as default } from 'node:path'; 3":                {"3"},
			"export default 4":                                              {"4"},
			"let before = 1\nexport default { a: before }":                  {"{ a: 1 }"},
			"export default function () { return 1 }":                       {"[Function (anonymous)]"},
			"export default class extends Array {}\n5":                      {"5"},
			"export default async function named() { return 6 }\nnamed()":   {"6"},
			"export const a = 1, b = a + 1;\nexport { a as c, b as 'd' };b": {"2"},
			"const text = `\nexport { text }\n`\nexport { text }\ntext":     {"'\\nexport { text }\\n'"},
			"join('a', 'b')\nimport { join } from 'node:path'\n;join('c')":  {"'c'"},
		} {
			s.runCode(t, code).ends(t, "succeeded").requireResults(t, want...)
		}
		s.runCode(t, "export { nothing } from './nowhere.mjs'").ends(t, "failed")
		for code, place := range map[string]string{
			"import fs from 'node:fs'; export { fs }; null.x":                     ":1:47",
			"import { join,\n  sep } from 'node:path'; null.x":                    ":2:32",
			"import * as path from 'node:path';\nexport default path; null.x":     ":2:27",
			"const later = 1; null.x\nimport { posix } from 'node:path'":          ":1:23",
			"import { win32 } from 'node:path'; function f() { null.x }; f()":     ":1:56",
			"import { delimiter } from 'node:path'; const e = new Error; throw e": ":1:50",
		} {
			x := s.runCode(t, code).ends(t, "failed")
			if x.Error == nil || !strings.Contains(x.Error.Traceback, place) {
				t.Errorf("%q is not at %s: %s", code, place, x)
			}
		}
		x := s.runCode(t, "import { join } from 'node:path'; export { join };\nlet 5 = 6").ends(t, "failed")
		if x.Error == nil || x.Error.Line != 2 || strings.Contains(x.Stderr, "await") {
			t.Errorf("got %+v, %s", x.Error, x)
		}
	})
	s := sharedServer(t).register(t).openSession(t, object{"language": "typescript"})
	for code, want := range map[string][]string{
		"declare global { interface Window { a: number } }\nexport {}\n1":            {"1"},
		"export type Q = string; export interface R { a: Q }\nconst q: Q = 'a'\nq":   {"'a'"},
		"enum E { A = 'e' }\nexport { E };\nexport default E.A":                      {"'e'"},
		"export enum F { A = 7 }\nexport namespace N { export const z = F.A }\nN.z":  {"7"},
		"import type { Stats } from 'node:fs';\nexport { type Stats };\n8 as number": {"8"},
	} {
		s.runCode(t, code).ends(t, "succeeded").requireResults(t, want...)
	}
}

// largeValues contains JavaScript expressions. The text of their values does not fit
// into the memory of a sandbox.
var largeValues = []string{
	"'x'.repeat(5e8)",
	"'é€'.repeat(2e8)",
	"Array.from({ length: 100 }, (_, i) => 'z'.repeat(5e6) + i)",
	"new Error('x'.repeat(1e8))",
	"Symbol('s'.repeat(5e8))",
	"new Map([['k', 'v'.repeat(5e8)], ['l', { deep: ['w'.repeat(5e8)] }]])",
	"({ [Symbol.for('nodejs.util.inspect.custom')]() { return 'y'.repeat(3e8) } })",
	"({ toJSON() { return 'y'.repeat(5e8) } })",
	"({ [Symbol.for('Jupyter.display')]() { return { 'text/html': 'y'.repeat(5e8) } } })",
	"Array.from({ length: 5e6 }, (_, i) => i)",
	"Buffer.alloc(1.4e8)",
	"Array(1e9)",
}

// TestSessionNodeSurvivesLargeValues runs programs whose values are too large for the
// memory of the session. It also runs programs with small values whose display methods
// use too much memory or time.
func TestSessionNodeSurvivesLargeValues(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "var kept = 1").ends(t, "succeeded")
		for _, code := range append([]string{
			"'x'.repeat(2e8)",
			"({ [Symbol.for('nodejs.util.inspect.custom')]() { const a = []; for (;;) a.push(Buffer.alloc(1e7, 1)); } })",
			"({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } })",
			"class Slow { [Symbol.for('Jupyter.display')]() { for (;;); } }; new Slow()",
		}, largeValues...) {
			x := s.runCode(t, code, object{"timeoutMs": 120_000}).ends(t, "succeeded")
			if x.SessionEnded || len(x.Results) != 1 {
				t.Fatalf("%s: %.300s", code, x)
			}
			s.runCode(t, "kept").requireResults(t, "1")
		}
		s.runCode(t, "for (let i = 0; i < 4; i++) display('w'.repeat(4e8)); kept").ends(t, "succeeded")
	})
}

// TestExecuteNodeSurvivesLargeValues runs programs that show the values in largeValues,
// without a session.
func TestExecuteNodeSurvivesLargeValues(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"javascript", "typescript"} {
		for _, code := range largeValues {
			x := a.execute(t, object{"language": language, "code": code, "timeoutMs": 120_000}).ends(t, "succeeded")
			if len(x.Results) != 1 {
				t.Errorf("%s: %.300s", code, x)
			}
		}
	}
}

// TestSessionNodeRunsErrorListeners runs programs that have listeners for uncaught
// errors.
func TestSessionNodeRunsErrorListeners(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"javascript", "typescript"} {
		for code, want := range map[string]struct {
			exitCode int
			stdout   string
		}{
			"process.on('uncaughtException', (e, origin) => console.log(e.message, origin)); throw new Error('x')":                                                    {0, "x uncaughtException\n"},
			"process.on('uncaughtException', (e) => console.log(e.message)); await null; throw new Error('late')":                                                     {0, "late\n"},
			"process.on('unhandledRejection', (e, p) => console.log(e.message, p instanceof Promise)); Promise.reject(new Error('r'))":                                {0, "r true\n"},
			"process.on('uncaughtException', (e, origin) => console.log(e.message, origin)); Promise.reject(new Error('u'))":                                          {0, "u unhandledRejection\n"},
			"process.setUncaughtExceptionCaptureCallback((e) => console.log('had', e.message)); throw new Error('c')":                                                 {0, "had c\n"},
			"process.on('uncaughtExceptionMonitor', (e, origin) => console.log('seen', e.message, origin)); throw new Error('m')":                                     {1, "seen m uncaughtException\n"},
			"process.on('uncaughtException', (e) => { console.log('out'); process.exit(3) }); throw new Error('x')":                                                   {3, "out\n"},
			"process.on('uncaughtException', (e) => { console.log('again'); throw e }); throw new Error('x')":                                                         {1, "again\n"},
			"process.once('uncaughtException', (e) => { process.exitCode = 5; console.log(e) }); throw 'text'":                                                        {5, "text\n"},
			"process.on('uncaughtException', (e) => console.log(e.message)); setTimeout(() => { throw new Error('t') }); await new Promise((r) => setTimeout(r, 50))": {0, "t\n"},
		} {
			s := a.openSession(t, object{"language": language})
			x := s.runCode(t, code)
			if x.ExitCode == nil || *x.ExitCode != want.exitCode || x.Stdout != want.stdout || x.SessionEnded {
				t.Errorf("%s: %s", code, x)
			}
			s.server.call(t, a, "DELETE", s.path(""), nil)
		}
	}
}

// TestSessionNodeHidesHookFrames checks stack traces. They must contain no frame of the
// hook (Pyth-On's code in the interpreter).
func TestSessionNodeHidesHookFrames(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		for _, code := range []string{
			"console.log(new Error('x').stack)",
			"function f() { throw new Error('outer', { cause: new Error('inner') }) }; f()",
			"throw new AggregateError([new Error('a'), new Error('b')], 'c')",
			"Promise.any([Promise.reject(new Error('a')), Promise.reject(new Error('b'))])",
			"const o = {}; Error.captureStackTrace(o); console.log(o.stack)",
			"Error.prepareStackTrace = (e, sites) => sites.map((s) => s.getFileName()).join(); console.log(new Error('x').stack); delete Error.prepareStackTrace",
			"Error.stackTraceLimit = 2; (() => { throw new Error('short') })()",
			"Error.stackTraceLimit = 100; console.log(new Error('long').stack); Error.stackTraceLimit = 10",
			"({ [Symbol.for('nodejs.util.inspect.custom')]() { return new Error('shown').stack } })",
			"({ [Symbol.for('nodejs.util.inspect.custom')]() { console.log(new Error('shown').stack); throw new Error('x') } })",
			"display({ [Symbol.for('Jupyter.display')]() { return { 'text/plain': new Error('shown').stack } } })",
			"Promise.reject(new Error('handled late'))",
			"require('./nowhere')",
			"console.log(require('util').inspect(module), module.id)",
			"'abc'.match(/b/); undefined",
			"[RegExp.lastMatch, RegExp.input, RegExp.leftContext]",
		} {
			x := s.runCode(t, code)
			seen := fmt.Sprint(x.Stdout, x.Stderr, x.Error, x.Results)
			for _, ours := range []string{"pyth-on", "node:inspector", "processImmediate", "<session>", "PromiseRejectionHandledWarning", "repl_result", "use strict", "[Object]"} {
				if strings.Contains(seen, ours) {
					t.Errorf("%s shows %q: %s", code, ours, seen)
				}
			}
		}
		x := s.runCode(t, "require('assert').deepStrictEqual({ a: [1, 2, { b: 3 }] }, { a: [1, 2, { b: 4 }] })").ends(t, "failed")
		if !strings.Contains(x.Stderr, "actual: { a: [ 1, 2, { b: 3 } ] }") {
			t.Error(x)
		}
		x = s.runCode(t, "display({ [Symbol.for('nodejs.util.inspect.custom')]() { for (;;); } })", object{"timeoutMs": 1000}).ends(t, "timed_out")
		if x.SessionEnded || strings.Contains(x.Stderr, "pyth-on") {
			t.Error(x)
		}
	})
	s := sharedServer(t).register(t).openSession(t, object{"language": "typescript"})
	s.runCode(t, "enum E { A }\n\nfunction where(): string { return new Error('x').stack!.split('\\n')[1].trim() }").ends(t, "succeeded")
	s.runCode(t, "console.log(where())").prints(t, "at where (<run-1>:3:35)\n")
	for _, code := range []string{"let x = ;", "const y: = 5", "class A { override b() {} }"} {
		if x := s.runCode(t, code).ends(t, "failed"); !strings.Contains(x.Stderr, "code: 'ERR_INVALID_TYPESCRIPT_SYNTAX'") {
			t.Errorf("%s: %s", code, x)
		}
	}
}

// TestExecuteNodeReportsEvalPosition checks stack traces of programs that call eval.
// The stack trace must show the line and column of this call, whether or not the
// program has a final value.
func TestExecuteNodeReportsEvalPosition(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, code := range []string{
		"eval('throw new Error(1)')",
		"const f = new Function('a', 'return a.b.c')\n\nf({})",
		"function outer() { return eval('eval(\"new Error(2)\")') }\nconsole.log(outer().stack)\nouter().name",
		"let evaluated = 1\nconsole.log(new Error('x').stack)\nevaluated",
	} {
		for _, language := range []string{"javascript", "typescript"} {
			x := sameWithoutResults(t, a, language, code)
			if seen := fmt.Sprint(x.Stdout, x.Stderr, x.Error); !strings.Contains(seen, "/work/main.") || strings.Contains(seen, "pyth-on") {
				t.Errorf("%s: %s", code, x)
			}
		}
	}
}

// TestSessionNodeChildrenInheritNoSocket checks that child processes do not inherit
// the session's control socket.
func TestSessionNodeChildrenInheritNoSocket(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		const open = "const fs = require('fs'), own = fs.readdirSync('/proc/self/fd').filter((f) => { try { return fs.fstatSync(Number(f)).isSocket() } catch { return false } })"
		s.runCode(t, open+"\nown.includes('100')").requireResults(t, "false")
		const list = "ls /proc/self/fd"
		s.runCode(t, "const { execSync, spawnSync, execFileSync } = require('child_process')").ends(t, "succeeded")
		for _, code := range []string{
			"execSync('" + list + "', { stdio: ['ignore', 'pipe', 'pipe'] }).toString()",
			"spawnSync('sh', ['-c', '" + list + "'], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout.toString()",
			"execFileSync('ls', ['/proc/self/fd'], { stdio: ['ignore', 'pipe', 'inherit'] }).toString()",
		} {
			s.runCode(t, code).requireResults(t, `'0\n1\n2\n3\n'`) // Descriptor 3 is the directory that ls lists.
		}
		s.runCode(t, "const write = (fd) => `require('fs').writeSync(${fd}, Buffer.from([0, 0, 0, 9, 48, 0, 0, 0, 0, 0, 0, 0, 0]))`").ends(t, "succeeded")
		s.runCode(t, "[...own, '100'].map((fd) => spawnSync(process.execPath, ['-e', write(fd)]).status)").ends(t, "succeeded")
		s.runCode(t, "6 * 7").requireResults(t, "42")
		s.runCode(t, "spawnSync('sh', ['-c', 'sleep 300 >/dev/null 2>&1 </dev/null &'])\n43").requireResults(t, "43")
	})
}

// TestSessionNodeDeclaresNamesInLinearTime runs programs that declare many names. If
// the time per name grew with the number of names, these runs would time out.
func TestSessionNodeDeclaresNamesInLinearTime(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		for i, code := range declarationPrograms() {
			s.runCode(t, code, object{"timeoutMs": 40_000}).ends(t, "succeeded").requireResults(t, fmt.Sprint(i))
		}
	})
}

func TestExecuteNodeDeclaresNamesInLinearTime(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, language := range []string{"javascript", "typescript"} {
		for i, code := range declarationPrograms() {
			a.execute(t, object{"language": language, "code": code, "timeoutMs": 40_000}).ends(t, "succeeded").requireResults(t, fmt.Sprint(i))
		}
	}
}

// declarationPrograms returns programs that declare as many names as possible. The
// maximum program size or the memory limits the number of names.
func declarationPrograms() []string {
	var programs []string
	for i, d := range []struct {
		format string
		count  int
	}{{"let a%d;\n", 80_000}, {"const b%d = 1;\n", 50_000}, {"var c%d;\n", 80_000}, {"class d%d {}\n", 10_000}} {
		var b strings.Builder
		for n := range d.count {
			fmt.Fprintf(&b, d.format, n)
		}
		programs = append(programs, fmt.Sprintf("%s%d", b.String(), i))
	}
	return programs
}
