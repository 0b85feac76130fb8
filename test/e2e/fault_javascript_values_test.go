package e2e_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameWithoutResults runs a Node program twice, with and without rich results. Both
// runs must be equal, except for the rich results. It returns the run with rich
// results.
func sameWithoutResults(t testing.TB, a *account, language, code string) *execution {
	t.Helper()
	request := object{"language": language, "code": code, "timeoutMs": 60_000}
	with := a.execute(t, request)
	request["results"] = false
	without := a.execute(t, request)
	end := func(x *execution) object {
		code := -1
		if x.ExitCode != nil {
			code = *x.ExitCode
		}
		return object{
			"status": x.Status, "exitCode": code, "signal": x.Signal,
			"stdout": x.Stdout, "stderr": withoutPID(x.Stderr), "error": x.Error,
		}
	}
	if diff := cmp.Diff(end(without), end(with)); diff != "" {
		t.Errorf("%.200q differs without (-) and with (+) results:\n%s", code, diff)
	}
	return with
}

// TestExecuteJavaScriptShowsHostileValues runs programs that show values with hostile
// getters and methods. These values must not change the program's output or exit code.
func TestExecuteJavaScriptShowsHostileValues(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for code, want := range map[string]string{
		"const h = Proxy.revocable([], {}); h.revoke(); [h.proxy]":                                                 "[ <Revoked Proxy> ]",
		"new Proxy({}, { getPrototypeOf() { throw 1; }, ownKeys() { throw 2; }, has() { throw 3; } })":             "{}",
		"[new Proxy({}, { get() { console.log('trap'); } })]":                                                      "[ {} ]",
		"({ [require('util').inspect.custom]() { process.exit(3); } , a: 1 }).a":                                   "1",
		"({ [require('util').inspect.custom]() { console.log('printed'); process.exitCode = 4; return 'own'; } })": "own",
		"({ toJSON() { throw 5; } })":                            "{ toJSON: [Function: toJSON] }",
		"({ get a() { console.log('getter'); return 1; } })":     "{ a: [Getter] }",
		"({ [Symbol.for('Jupyter.display')]() { throw 1; } }).x": "",
		"Object.preventExtensions(globalThis); 5":                "5",
		"JSON = null; Object.defineProperty = null; Buffer = null; String.prototype.split = null; Array.prototype.map = null; [1]": "[ 1 ]",
		"'use strict'; Object.freeze(Object.prototype); Object.freeze(globalThis); ({ a: 1 })":                                     "{ a: 1 }",
		"Error.prepareStackTrace = () => { console.log('asked'); return ''; }; new RangeError('x')":                                "[RangeError: x]",
		"-0":                       "-0",
		"10n ** 200000n":           "[BigInt with more than 100,000 digits]",
		"new Array(1e9)":           "[ <1000000000 empty items> ]",
		"const c = {}; c.c = c; c": "<ref *1> { c: [Circular *1] }",
	} {
		x := sameWithoutResults(t, a, "javascript", code).ends(t, "succeeded")
		if want != "" {
			x.requireResults(t, want)
		}
	}
	for name, code := range map[string]string{
		"a string":             "'x'.repeat(2e7)",
		"an object":            "const o = {}; for (let i = 0; i < 3e5; i++) o['k' + i] = i; o",
		"nested arrays":        "Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => Array(200).fill('text')))",
		"a map":                "new Map(Array.from({ length: 1e5 }, (_, i) => [i, { i }]))",
		"a chain":              "let d = {}; for (let i = 0; i < 1e5; i++) d = { d }; d",
		"a wrapped string":     "new String('x'.repeat(2e7))",
		"bytes":                "Buffer.alloc(5e7)",
		"lines":                strings.Repeat("x = 1\n", 120_000) + "x",
		"an array of the heap": "Array.from({ length: 5e6 }, (_, i) => i)",
	} {
		x := sameWithoutResults(t, a, "javascript", code).ends(t, "succeeded")
		if text, _ := x.Results[0]["text/plain"].(string); text == "" || len(text) > 100_100 {
			t.Errorf("%s is shown in %d bytes", name, len(text))
		}
	}
	for _, code := range []string{
		"[Promise.reject(new TypeError('in an array'))]",
		"\tPromise.reject(new Error('after a tab'))",
		"import 'fs';\nPromise.reject(new Error('in a module'));",
		"const e = new Error('twice'); Promise.reject(e); e",
		"class E extends Error {}\nPromise.reject(Object.assign(new E('with a code'), { code: 1 }))",
	} {
		if x := sameWithoutResults(t, a, "javascript", code).ends(t, "failed"); !strings.Contains(x.Stderr, "/work/main.js:") {
			t.Errorf("%q: %s", code, x)
		}
	}
}

// TestExecuteJavaScriptSourceIsUnchanged checks that Pyth-On's code in the interpreter
// does not change the source of programs. The programs of the test would notice a
// change.
func TestExecuteJavaScriptSourceIsUnchanged(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, code := range []string{
		"let x = null\nx.y\nx ? 1 : 2",
		"let x = null;x.y;x && 2",
		"x ? y : z",
		"function f() { return null.x; }\n\n// before\nf() || 1 // after",
		"setTimeout(() => { throw new Error('later'); });\n7 > 6 ? 1 : 2",
		"import 'fs'; null.x; 5",
		"import 'fs';\nawait import('./none.mjs');",
		"import('./none.mjs')",
		"#!/usr/bin/env node\nthrow new Error('x')\n5",
		"console.log(new Error('shown').stack); 5",
		"console.log((() => 1).toString(), Object.keys(require.cache), module.children.length, process._preload_modules)\nmodule.id",
		"console.log(Object.getOwnPropertyNames(globalThis).filter((n) => n !== 'display').length, process.sourceMapsEnabled)\n5",
		"const { stack } = new Error('of a page separator\u2028'); console.log(stack)\n6",
		"console.log(process.mainModule === module, require.main === module, arguments.length)\r\n5",
		"//# sourceURL=named.js\nnull.x; 5",
	} {
		x := sameWithoutResults(t, a, "javascript", code)
		if strings.Contains(x.Stderr+x.Stdout, "pyth") {
			t.Errorf("%q shows a part of the hook: %s", code, x)
		}
	}
	x := a.execute(t, javaScriptRequest("const x = null\nx.y\nx > 1 ? 2 : 3", nil)).ends(t, "failed")
	if !strings.HasPrefix(x.Stderr, "/work/main.js:2\nx.y\n  ^\n\nTypeError") {
		t.Error(x)
	}
}

// TestExecuteJavaScriptReturnsLastValue checks which value of a program becomes the
// result of the run.
func TestExecuteJavaScriptReturnsLastValue(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for code, want := range map[string][]string{
		"let a = 1\na, a + 1, [a]":         {"[ 1 ]"},
		"1 + 1;  // note":                  {"2"},
		"1 + 1;; /* a */ ;":                {"2"},
		"let a = 1\n++a":                   {"2"},
		"let x = [[7]], y = x\n[0].length": {},
		"`a\n;${`b`}\n`":                   {`'a\n;b\n'`},
		"let s = 8, b = 2, g = { test: () => 4 }\ns = s\n/b/g.test(s)": {"1"},
		"let s = 'a/b';\n/b/g.test(s)":                                 {"true"},
		"{ a: 1 }":                                                     {},
		"({ a: 1 })":                                                   {"{ a: 1 }"},
		"async () => {}":                                               {"[AsyncFunction (anonymous)]"},
		"(class C {})":                                                 {"[class C]"},
		"label: 5":                                                     {},
		"'use strict'":                                                 {},
		"const v = await 5;\nv > 4 ? 'big' : 'small'":      {"'big'"},
		"import 'fs'\nawait 6 /* after */ // and":          {"6"},
		"export default 5":                                 {},
		"let x = 2\r\nx > 1 ? 'a' : 'b'\r\n":               {"'a'"},
		"let x = 2\u2028x + 1":                             {"3"},
		"let x = 2\rx === 2":                               {"true"},
		"#!/usr/bin/env node\n3, 4":                        {"4"},
		"<!-- a comment\n7\n--> another":                   {"7"},
		"let a=1;a&&2":                                     {"2"},
		"if (1) {} 5 || 6":                                 {"5"},
		"let o = {}; o.p = 3":                              {"3"},
		"const display = 4; display":                       {"4"},
		"function f() { return this === undefined; }\nf()": {"false"},
		"display('once'); undefined":                       {"'once'"},
		"display(1); process.exitCode = 0; process.exit()": {"1"},
		"new Proxy(() => {}, { get: () => () => 1 })":      {"[Function (anonymous)]"},
		"const every = new Proxy({}, { get: (t, n) => n, has: () => true }); every":        {"{}"},
		"new (class { constructor() { return new Proxy(this, { get: () => ({}) }); } })()": {"{}"},
	} {
		x := a.execute(t, javaScriptRequest(code, nil)).ends(t, "succeeded")
		x.requireResults(t, want...)
		if len(x.Results) == 1 && strings.Contains(code, "Proxy") && len(x.Results[0]) != 1 {
			t.Errorf("%q has more than one representation: %v", code, x.Results)
		}
	}
	x := a.execute(t, javaScriptRequest("display('kept'); null.x", nil)).ends(t, "failed")
	x.requireResults(t, "'kept'")
	x = a.execute(t, javaScriptRequest("process.emitWarning('odd'); display(1); setTimeout(() => process.exit(3)); 2", nil)).ends(t, "failed")
	x.requireResults(t, "1", "2")
}

func TestExecuteJavaScriptAcceptsAnyFileName(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, name := range []string{".main.js", "results.cjs", "scan.cjs", "node_modules/util/index.js", "hook.cjs", "tsconfig.json", "display.js"} {
		const code = "const text = require('fs').readFileSync(process.argv[2], 'utf8'); text > 'z' ? 1 : text"
		x := a.execute(t, javaScriptRequest(code, object{"args": []string{name}, "files": []object{{"path": name, "content": "mine"}}})).ends(t, "succeeded")
		x.requireResults(t, "'mine'")
	}
	files := []object{{"path": "package.json", "content": `{"type": "module"}`}}
	a.execute(t, javaScriptRequest("const x = import.meta.url\nx > 'z' ? 1 : x", object{"files": files})).ends(t, "succeeded").requireResults(t, "'file:///work/main.js'")
	files = []object{{"path": "package.json", "content": `{"type": "commonjs"}`}}
	a.execute(t, javaScriptRequest("module.id, __filename", object{"files": files})).ends(t, "succeeded").requireResults(t, "'/work/main.js'")
}

// TestExecuteJavaScriptRunsLargeSources runs programs with many lines, long lines or
// many variables.
func TestExecuteJavaScriptRunsLargeSources(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range map[string]string{
		"blank lines": "1;" + strings.Repeat("\n", 1_000_000) + "6 * 7",
		"semicolons":  strings.Repeat(";", 1_000_000) + "6 * 7",
		"comments":    strings.Repeat("/* ; */", 140_000) + "6 * 7" + strings.Repeat("// ;\n", 1000),
		"one line":    "[" + strings.Repeat("1,", 500_000) + "].length, 42",
		"statements":  strings.Repeat("x=1;", 250_000) + "42",
		"a string":    "'" + strings.Repeat("a;", 500_000) + "'.length - 999958",
	} {
		x := a.execute(t, javaScriptRequest(code, object{"timeoutMs": 60_000})).ends(t, "succeeded")
		if len(x.Results) != 1 || x.Results[0]["text/plain"] != "42" {
			t.Errorf("%s: %v", name, x.Results)
		}
	}
}
