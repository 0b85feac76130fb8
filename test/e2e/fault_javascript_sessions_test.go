package e2e_test

import (
	"strings"
	"testing"
)

// TestSessionNodeEvaluatesObjectLiterals runs code that begins with a brace. As in
// Node's console, such code can be an object literal.
func TestSessionNodeEvaluatesObjectLiterals(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "{ a: [1], 'b': 2 }").requireResults(t, "{ a: [ 1 ], b: 2 }")
		s.runCode(t, "{ n: { m: 5 } }.n.m").requireResults(t, "5")
		s.runCode(t, "{}").requireResults(t, "{}")
		s.runCode(t, "{ let inner = 1; console.log(inner) }").prints(t, "1\n").requireResults(t)
		s.runCode(t, "{ a: 1 };").requireResults(t)
		s.runCode(t, "let a = 1\na, a + 2").requireResults(t, "3")
		s.runCode(t, "const display = 6; display").requireResults(t, "6")
		x := s.runCode(t, "{ a: null.b }").ends(t, "failed")
		if x.Error == nil || !strings.HasSuffix(strings.TrimSpace(x.Stderr), ":1:11") {
			t.Errorf("the error is not at line 1, column 11: %s", x)
		}
	})
}

// TestSessionNodeSurvivesDamagedGlobals runs programs that damage global JavaScript
// objects. The session must continue to work.
func TestSessionNodeSurvivesDamagedGlobals(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "var kept = 1").ends(t, "succeeded")
		for _, code := range []string{
			"throw null",
			"throw new Proxy(new Error('x'), { get() { throw 1; }, getPrototypeOf() { throw 2; } })",
			"throw Object.defineProperty(new Error('x'), 'stack', { get() { throw 1; } })",
			"Error.prepareStackTrace = () => { throw 1; }; throw new Error('x')",
			"process.stderr.destroy(); process.stdout.destroy(); throw new Error('x')",
			"throw { [require('util').inspect.custom]() { throw 1; } }",
		} {
			if x := s.runCode(t, code).ends(t, "failed"); x.SessionEnded || x.Error == nil {
				t.Errorf("%s: %s", code, x)
			}
		}
		for _, code := range []string{
			"process.emit = () => { throw 5; }",
			"require('events').prototype.emit = null",
			"Array.prototype.map = Array.prototype.slice = Array.prototype[Symbol.iterator] = null",
			"String.prototype.split = String.prototype.slice = null; RegExp.prototype.test = null",
			"setImmediate = Buffer = Map = Atomics = JSON = null; Promise.prototype.then = null",
			"process.exit = process.reallyExit = process._fatalException = null",
			"Object.freeze(process); Object.freeze(globalThis); Object.freeze(Object.prototype)",
		} {
			if x := s.runCode(t, code, object{"results": false}).ends(t, "succeeded"); x.SessionEnded {
				t.Errorf("%s: %s", code, x)
			}
			if x := s.runCode(t, "if (kept !== 1) throw 1", object{"timeoutMs": 20_000}); x.Status != "succeeded" {
				t.Fatalf("after %s: %s", code, x)
			}
		}
	})
}

func TestSessionInterruptsNodeChildren(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "javascript"})
	s.runCode(t, "let kept = 1; const { execSync, spawnSync, spawn, exec } = require('child_process')").ends(t, "succeeded")
	s.runCode(t, "const server = spawn('sleep', ['300'])").ends(t, "succeeded")
	for _, code := range []string{
		"execSync('sleep 60')",
		"spawnSync('sh', ['-c', 'sleep 50; echo x'])",
		"spawnSync('sh', ['-c', `trap '' INT; while :; do sleep 1; done`])",
		"await new Promise((done) => exec('sleep 60', done))",
		"execSync('node -e \"setInterval(() => {}, 1000)\"')",
	} {
		x := s.runCode(t, code, object{"timeoutMs": 1000})
		if x.Status != "timed_out" || x.SessionEnded || strings.Contains(x.Stderr, "pyth") {
			t.Fatalf("%s: %s", code, x)
		}
		s.runCode(t, "kept").requireResults(t, "1")
	}
	const sleeps = "require('fs').readdirSync('/proc').filter((p) => /^\\d+$/.test(p)).map((p) => { try { return require('fs').readFileSync(`/proc/${p}/cmdline`, 'latin1') } catch { return '' } }).filter((c) => c.startsWith('sleep')).length"
	s.runCode(t, "for (let i = 0; i < 100 && "+sleeps+" > 1; i++) await new Promise((done) => setTimeout(done, 50)); console.log("+sleeps+", server.exitCode)").prints(t, "1 null\n")
}

func TestSessionNodeOpensInputByName(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		for _, name := range []string{"'/dev/stdin'", "0", "'/proc/self/fd/0'"} {
			s.runCode(t, "console.log(require('fs').readFileSync("+name+", 'utf8'))", object{"stdin": "a\nb"}).prints(t, "a\nb\n")
			s.runCode(t, "console.log(require('fs').readFileSync("+name+", 'utf8'))").prints(t, "\n")
		}
	})
}

func TestSessionNodeShowsHostileValues(t *testing.T) {
	forEachNodeLanguage(t, func(t *testing.T, s *session) {
		s.runCode(t, "const h = Proxy.revocable({}, {}); h.revoke(); h.proxy").ends(t, "succeeded").requireResults(t, "<Revoked Proxy>")
		s.runCode(t, "new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })").ends(t, "succeeded").requireResults(t, "{}")
		s.runCode(t, "({ [require('util').inspect.custom]() { process.exit(3) } }) && 5").ends(t, "succeeded").requireResults(t, "5")
		if x := s.runCode(t, "({ [require('util').inspect.custom]() { process.exit(3) } })").ends(t, "succeeded"); len(x.Results) != 1 {
			t.Error(x)
		}
		s.runCode(t, "({ get a() { console.log('getter') } })").prints(t, "").requireResults(t, "{ a: [Getter] }")
		s.runCode(t, "Object.freeze(globalThis), 7").ends(t, "succeeded").requireResults(t, "7")
	})
}
