package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

type session struct {
	*account
	ID, Language string
	Executions   int
}

// openSession opens a session and closes it at the end of the test. An open session
// could slow down later tests, because its threads and timers continue to run.
func (a *account) openSession(t testing.TB, request object) *session {
	t.Helper()
	s := &session{account: a}
	server := a.server
	server.call(t, a, "POST", "/api/v1/sessions", request).want(t, 201, s)
	t.Cleanup(func() {
		// Ignore errors, because the session or the server may already have ended.
		_, _ = server.tryCall(context.Background(), http.Header{"X-Api-Key": {a.APIKey}}, "DELETE", s.path(""), nil)
	})
	return s
}

func (s *session) runCode(t testing.TB, code string, more ...object) *execution {
	t.Helper()
	request := object{"code": code, "sessionId": s.ID}
	for _, m := range more {
		for k, v := range m {
			request[k] = v
		}
	}
	return s.execute(t, request)
}

// untilTimeout calls the function "run" with a time-out in milliseconds. The program
// must reach this time-out. On a busy machine, the time-out can end a program that has
// just begun. So untilTimeout doubles the time and calls "run" again, until the
// function "begun" returns true.
func untilTimeout(milliseconds int, run func(milliseconds int) *execution, begun func(x *execution) bool) *execution {
	const most = 30_000
	for {
		x := run(milliseconds)
		if milliseconds *= 2; begun(x) || milliseconds > most || x.SessionEnded {
			return x
		}
	}
}

// runUntilTimeout runs code that never ends by itself. It repeats the run with longer
// time-outs, as untilTimeout describes.
func (s *session) runUntilTimeout(t testing.TB, code string, milliseconds int, begun func(x *execution) bool) *execution {
	t.Helper()
	return untilTimeout(milliseconds, func(milliseconds int) *execution {
		return s.runCode(t, code, object{"timeoutMs": milliseconds})
	}, begun)
}

func (s *session) path(rest string) string { return "/api/v1/sessions/" + s.ID + rest }

func (s *session) requireClosed(t testing.TB) {
	t.Helper()
	s.server.call(t, s.account, "GET", s.path(""), nil).refused(t, 404, "not_found")
	s.server.call(t, s.account, "POST", "/api/v1/execute", object{"code": "1", "sessionId": s.ID}).refused(t, 404, "not_found")
}

func TestSessionKeepsState(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	s.runCode(t, "import json, os\nx = [1]\ndef f(n):\n    return n + len(x)").prints(t, "")
	s.runCode(t, "x.append(2)\nprint(f(40), json.dumps(x))").prints(t, "42 [1, 2]\n")
	s.runCode(t, "os.makedirs('d'); os.chdir('d'); open('f', 'w').write('content'); None").prints(t, "")
	s.runCode(t, "print(open('f').read(), os.getcwd(), os.listdir('/work'))").prints(t, "content /work/d ['d']\n")
	s.runCode(t, "import sys\nprint(sys.argv, sys.stdin.read(), os.environ['A'], input.__name__)",
		object{"args": []string{"é"}, "stdin": "in", "env": object{"A": "1"}}).prints(t, "['main.py', 'é'] in 1 input\n")
	s.runCode(t, "print(sys.argv, repr(sys.stdin.read()), os.environ.get('A'))\nos.environ['B'] = '2'").prints(t, "['main.py'] '' None\n")
	s.runCode(t, "print(os.environ['B'])\ninput()").ends(t, "failed")
	if x := s.runCode(t, "x"); len(x.Results) != 1 || x.Results[0]["text/plain"] != "[1, 2]" {
		t.Errorf("got %v", x.Results)
	}
	if x := s.runCode(t, "display(1)\nx", object{"results": false}); len(x.Results) != 0 {
		t.Errorf("got %v", x.Results)
	}
	if s.server.call(t, a, "GET", s.path(""), nil).want(t, 200, s); s.Executions != 9 {
		t.Errorf("%d executions, want 9", s.Executions)
	}
	a.run(t, "print('x' in globals())").prints(t, "False\n")
	s.server.call(t, a, "DELETE", s.path(""), nil).want(t, 204, nil)
	s.requireClosed(t)
}

func TestSessionReportsErrorsLikeInterpreter(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	s.runCode(t, "def f():\n    raise ValueError('no')").prints(t, "")
	x := s.runCode(t, "print('before')\n\nf()").ends(t, "failed")
	const want = `Traceback (most recent call last):
  File "<run 2>", line 3, in <module>
    f()
    ~^^
  File "<run 1>", line 2, in f
    raise ValueError('no')
ValueError: no
`
	if *x.ExitCode != 1 || x.Stdout != "before\n" || x.Stderr != want || x.Error == nil || x.Error.Name != "ValueError" || x.Error.Line != 3 || x.Error.Traceback != want {
		t.Errorf("got %s, %+v", x, x.Error)
	}
	if x := s.runCode(t, "1 +").ends(t, "failed"); x.Error == nil || x.Error.Name != "SyntaxError" || x.Error.Line != 1 {
		t.Errorf("got %s, %+v", x, x.Error)
	}
	if x := s.runCode(t, "import sys\nsys.exit(3)").ends(t, "failed"); *x.ExitCode != 3 || x.Error != nil {
		t.Errorf("got %s, %+v", x, x.Error)
	}
	s.runCode(t, "sys.exit()").prints(t, "")
	if x := s.runCode(t, "sys.exit('message')").ends(t, "failed"); *x.ExitCode != 1 || x.Stderr != "message\n" {
		t.Error(x)
	}
	s.runCode(t, "print('alive')").prints(t, "alive\n")
}

func TestSessionReportsEnd(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, c := range map[string]struct{ language, code, status, signal string }{
		"crash":                         {"python", "import ctypes; ctypes.string_at(0)", "failed", "SIGSEGV"},
		"immediate exit":                {"python", "import os; os._exit(7)", "failed", ""},
		"kill":                          {"python", "import os; os.kill(os.getpid(), 9)", "killed", "SIGKILL"},
		"too much memory":               {"python", "x = bytearray(1 << 30)\nfor i in range(0, 1 << 30, 4096): x[i] = 1", "out_of_memory", "SIGKILL"},
		"ignored timeout":               {"python", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", "timed_out", "SIGKILL"},
		"closed control socket":         {"python", "import os; os.closerange(3, 2000)", "failed", ""},
		"crash of Node":                 {"javascript", "process.kill(process.pid, 'SIGSEGV'); for (;;);", "failed", "SIGSEGV"},
		"abort of Node":                 {"javascript", "process.abort()", "failed", "SIGABRT"},
		"immediate exit of Node":        {"javascript", "process.reallyExit(7)", "failed", ""},
		"kill of Node":                  {"javascript", "process.kill(process.pid, 'SIGKILL'); for (;;);", "killed", "SIGKILL"},
		"too much memory in Node":       {"javascript", "const b = []; for (;;) b.push(Buffer.alloc(1 << 20, 1))", "out_of_memory", "SIGKILL"},
		"closed control socket of Node": {"javascript", "for (let f = 3; f < 200; f++) try { require('fs').closeSync(f) } catch {}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": c.language})
			timeout := 60_000
			if c.status == "timed_out" || c.status == "" {
				timeout = 3000
			}
			x := s.runCode(t, c.code, object{"timeoutMs": timeout})
			if c.status != "" && (x.Status != c.status || x.Signal != c.signal) {
				t.Errorf("got %s", x)
			}
			if !x.SessionEnded {
				// The first run may end before the server notices the end of the
				// session. In this case, the next run must report the end of the session.
				if x = s.runCode(t, "1"); !x.SessionEnded {
					t.Errorf("no run reported the end of the session: %s", x)
				}
			}
			s.requireClosed(t)
		})
	}
}

func TestSessionInterruptKeepsSession(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, c := range map[string]struct {
		begin, show string
		busy        []string
		wait, flood string
	}{
		"python": {
			begin: "import time\nx = 42", show: "print(x)",
			busy:  []string{"print('begun')\nwhile True: pass"},
			wait:  "print('begun', flush=True)\ntime.sleep(60)",
			flood: "while True: print('x' * 100)",
		},
		"javascript": {
			begin: "let x = 42", show: "console.log(x)",
			busy: []string{
				"console.log('begun'); while (true);",
				"console.log('begun'); await 1; while (true);",
				"console.log('begun'); await new Promise(() => { setTimeout(() => { for (;;); }); })",
				"console.log('begun'); for (;;) await 1",
				"console.log('begun'); await new Promise(() => { setImmediate(function again() { setImmediate(again); }); })",
				"console.log('begun'); /^(a+)+$/.test('a'.repeat(50) + 'b')",
				"console.log('begun'); process.on('SIGINT', () => {}); for (;;);",
				"console.log('begun'); Error.stackTraceLimit = 0; Error.prepareStackTrace = () => { for (;;); }; for (;;);",
			},
			wait:  "console.log('begun'); await new Promise(() => {})",
			flood: "for (;;) console.log('x'.repeat(100))",
		},
		"typescript": {
			begin: "let x: number = 42", show: "console.log(x as number)",
			busy:  []string{"console.log('begun'); while (true as boolean);"},
			wait:  "console.log('begun'); await new Promise<void>(() => {})",
			flood: "for (;;) console.log('x'.repeat(100) as string)",
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			s.runCode(t, c.begin).prints(t, "")
			begun := func(ctx context.Context) *stream {
				stream := a.openStream(ctx, t, object{"sessionId": s.ID, "code": c.wait})
				for e, ok := stream.next(t); e.name != "stdout"; e, ok = stream.next(t) {
					if !ok {
						t.Fatal("the stream ended")
					}
				}
				return stream
			}
			for _, code := range c.busy {
				t.Run("by its time-out", func(t *testing.T) {
					x := s.runUntilTimeout(t, code, 500, func(x *execution) bool { return x.Stdout != "" })
					if x.Status != "timed_out" || x.Signal != "SIGINT" || x.Stdout != "begun\n" || x.SessionEnded {
						t.Errorf("%s: %s", code, x)
					}
				})
			}
			t.Run("on request", func(t *testing.T) {
				stream := begun(t.Context())
				started := time.Now()
				s.server.call(t, a, "POST", s.path("/interrupt"), nil).want(t, 204, nil)
				t.Logf("interrupted in %v", time.Since(started))
				if _, _, end := stream.readAll(t); end.Status != "canceled" || end.SessionEnded {
					t.Error(end)
				}
			})
			t.Run("by a client that disconnects", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				begun(ctx)
				cancel()
			})
			t.Run("by too much output", func(t *testing.T) {
				if x := s.runCode(t, c.flood, object{"limits": object{"outputBytes": 1000}}); x.Status != "output_limit" || x.SessionEnded {
					t.Error(x)
				}
			})
			s.runCode(t, c.show).prints(t, "42\n")
		})
	}
}

func TestSessionRunsInOrder(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	stream := a.openStream(t.Context(), t, object{"sessionId": s.ID, "code": "import time\nlog = []\nprint('begun', flush=True)\ntime.sleep(0.5)"})
	if e, ok := stream.next(t); !ok || e.name != "start" {
		t.Fatalf("got %v", e)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { s.runCode(t, fmt.Sprintf("log.append(%d)", i)).ends(t, "succeeded") })
	}
	wg.Wait()
	s.runCode(t, "print(len(log), len(set(log)))").prints(t, "8 8\n")
}

func TestSessionsArePrivate(t *testing.T) {
	t.Parallel()
	server := sharedServer(t)
	a, b := server.register(t), server.register(t)
	s := a.openSession(t, object{})
	for _, c := range []struct{ method, path string }{
		{"GET", ""}, {"DELETE", ""}, {"POST", "/interrupt"}, {"GET", "/files"}, {"GET", "/files/f"}, {"PUT", "/files/f"}, {"DELETE", "/files/f"},
	} {
		server.call(t, b, c.method, s.path(c.path), nil).refused(t, 404, "not_found")
	}
	server.call(t, b, "POST", "/api/v1/execute", object{"code": "1", "sessionId": s.ID}).refused(t, 404, "not_found")
	var list struct{ Sessions []session }
	if server.call(t, b, "GET", "/api/v1/sessions", nil).want(t, 200, &list); len(list.Sessions) != 0 {
		t.Errorf("got %v", list)
	}
	if server.call(t, a, "GET", "/api/v1/sessions", nil).want(t, 200, &list); len(list.Sessions) != 1 || list.Sessions[0].ID != s.ID {
		t.Errorf("got %v", list)
	}
}

func TestSessionEndsWhenIdle(t *testing.T) {
	t.Parallel()
	a := startServer(t, "--warm=0").register(t)
	s := a.openSession(t, object{"idleTimeoutMs": 1000})
	eventually(t, "the session is closed", func() bool { return a.server.metric(t, "pyth_on_sessions_waiting") == 0 })
	s.requireClosed(t)
}

func TestSessionFiles(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{"limits": object{"diskBytes": 8 << 20}})
	file := func(method, name string, body any) *answer {
		t.Helper()
		header := http.Header{"X-Api-Key": {a.APIKey}, "Content-Type": {"application/octet-stream"}}
		return s.server.callWithHeader(t, header, method, s.path("/files/"+name), body)
	}
	large := strings.Repeat("0123456789abcdef", 3<<16)
	file("PUT", "d/in.txt", "content").want(t, 201, nil)
	file("PUT", "d/in.txt", "changed").want(t, 200, nil)
	file("PUT", "large.bin", large).want(t, 201, nil)
	file("PUT", "empty", "").want(t, 201, nil)
	s.runCode(t, "import os\nprint(open('d/in.txt').read(), os.path.getsize('large.bin'))\nopen('d/out.txt', 'a').write('from the program')\nos.chmod('d/in.txt', 0o600); open('d/in.txt', 'a').write('!'); None").
		prints(t, fmt.Sprintf("changed %d\n", len(large)))
	if got := file("GET", "d/out.txt", nil).want(t, 200, nil); string(got.body) != "from the program" {
		t.Errorf("got %q", got.body)
	}
	if got := file("GET", "large.bin", nil).want(t, 200, nil); string(got.body) != large || got.header.Get("Content-Length") != fmt.Sprint(len(large)) {
		t.Errorf("%d bytes, %v", len(got.body), got.header)
	}
	var list struct {
		Files []struct {
			Path      string
			SizeBytes int
		}
	}
	s.server.call(t, a, "GET", s.path("/files"), nil).want(t, 200, &list)
	if len(list.Files) != 4 {
		t.Errorf("got %v", list)
	}
	file("DELETE", "d/out.txt", nil).want(t, 204, nil)
	file("DELETE", "d/out.txt", nil).refused(t, 404, "not_found")
	file("GET", "d/out.txt", nil).refused(t, 404, "not_found")
	file("GET", "d", nil).refused(t, 409, "conflict")
	file("PUT", "d", "x").refused(t, 409, "conflict")

	t.Run("a full disk keeps existing files", func(t *testing.T) {
		file("PUT", "large.bin", bytes.NewReader(make([]byte, 9<<20))).refused(t, 413, "too_large")
		if got := file("GET", "large.bin", nil).want(t, 200, nil); string(got.body) != large {
			t.Errorf("%d bytes", len(got.body))
		}
		s.runCode(t, "print(os.listdir('.'))").ends(t, "succeeded")
	})
	t.Run("links are not followed", func(t *testing.T) {
		s.runCode(t, "os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'dir'); os.mkfifo('fifo'); None").ends(t, "succeeded")
		for _, name := range []string{"link", "dir/passwd", "fifo"} {
			if got := file("GET", name, nil); got.status != 404 && got.status != 409 {
				t.Errorf("%s: status %d: %s", name, got.status, got.body)
			}
		}
		file("PUT", "link", "mine").want(t, 200, nil)
		s.runCode(t, "print(os.path.islink('link'), open('link').read())").prints(t, "False mine\n")
	})
	for _, name := range []string{"%2e%2e/x", "a/%2e%2e/%2e%2e/x", "a%00b", "a//b", "%2fetc%2fpasswd", strings.Repeat("n", 300)} {
		if got := file("PUT", name, "x"); got.status != 400 && got.status != 404 {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
	}
}

// TestSessionLeaksNothing compares the number of open descriptors and the memory after
// 50 runs and after 1000 runs. It ignores the first runs, because an interpreter opens
// some descriptors and reserves memory only at their first use.
func TestSessionLeaksNothing(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	// Threads of Node may open a file for a moment. So the program lists the descriptors
	// several times and prints only the descriptors that are in each list. Each list also
	// contains the descriptor with which readdirSync reads the directory. This descriptor
	// is closed at once, so existsSync removes it from the list.
	const nodeCount = `for (let i = 0; i < 5; i++) {
	const now = readdirSync('/proc/self/fd').filter((fd) => existsSync('/proc/self/fd/' + fd));
	open = i === 0 ? now : open.filter((fd) => now.includes(fd));
}
console.log(open.length, readdirSync('/proc').filter((p) => /^\d+$/.test(p)).length, open.map((fd) => fd + ' ' + readlinkSync('/proc/self/fd/' + fd)));`
	for language, c := range map[string]struct{ begin, step, count string }{
		"python": {
			"import os\nn = 0", "n += 1\nprint(n)",
			"open_files = [fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)]\n" +
				"print(len(open_files), len([p for p in os.listdir('/proc') if p.isdigit()]), [fd + ' ' + os.readlink('/proc/self/fd/' + fd) for fd in open_files])",
		},
		"javascript": {
			"var n = 0, open; const { existsSync, readdirSync, readlinkSync } = require('fs');",
			"let big = new Array(10_000).fill(++n); class C { m() { return big; } }\nconst { sep } = await import('node:path');\nconsole.log(n, big.length)",
			nodeCount,
		},
		"typescript": {
			"var n: number = 0, open: string[]; import { existsSync, readdirSync, readlinkSync } from 'node:fs';",
			"let big: number[] = [++n]; interface Of<T> { t: T }\nconsole.log(n, big);",
			nodeCount,
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := a.openSession(t, object{"language": language})
			s.runCode(t, c.begin).prints(t, "")
			count := func() (descriptors, processes int, output string) {
				output = s.runCode(t, c.count).ends(t, "succeeded").Stdout
				if _, err := fmt.Sscan(output, &descriptors, &processes); err != nil {
					t.Fatalf("%v: %s", err, output)
				}
				return descriptors, processes, output
			}
			run := func(from, to int) (memory int64) {
				for i := from; i <= to; i++ {
					x := s.runCode(t, c.step).ends(t, "succeeded")
					if n, _, _ := strings.Cut(strings.TrimSpace(x.Stdout), " "); n != fmt.Sprint(i) {
						t.Fatalf("run %d: %s", i, x)
					}
					memory = x.Usage.MemoryPeakBytes
				}
				return memory
			}
			memory := run(1, 50)
			descriptors, processes, list := count()
			memoryAtEnd := run(51, 1000)
			descriptorsAtEnd, processesAtEnd, listAtEnd := count()
			// A leak in every run would add 950 descriptors. A leak in every hundredth
			// run would add 9 descriptors.
			if descriptorsAtEnd > descriptors+3 {
				t.Errorf("the session leaks descriptors. After 50 runs: %s. At the end: %s", list, listAtEnd)
			}
			if processesAtEnd > processes || processesAtEnd > 3 {
				t.Errorf("there were %d processes after 50 runs and %d at the end", processes, processesAtEnd)
			}
			t.Logf("%d MiB after 50 runs, %d MiB after all", memory/mib, memoryAtEnd/mib)
			// Node's heap for new objects can grow by 24 MiB without a leak. If each
			// JavaScript run leaked its array, the heap would grow by 76 MiB.
			if memoryAtEnd > memory+48*mib {
				t.Errorf("the session had %d MiB at first and %d MiB at the end", memory/mib, memoryAtEnd/mib)
			}
		})
	}
}

// TestSessionsRunConcurrently keeps 200 sessions open at the same time. With -short, it
// keeps only 40 sessions open. Each session must keep its own variables.
func TestSessionsRunConcurrently(t *testing.T) {
	t.Parallel()
	users := 10
	if testing.Short() {
		users = 2
	}
	server := startServer(t, fmt.Sprint("--max-sandboxes=", 30*users), fmt.Sprint("--max-sessions=", 20*users))
	var sessions []*session
	for range users {
		a := server.register(t)
		for range 20 {
			sessions = append(sessions, a.openSession(t, object{}))
		}
	}
	for i, s := range sessions {
		s.runCode(t, fmt.Sprintf("x = %d", i)).prints(t, "")
	}
	for i, s := range sessions {
		s.runCode(t, "print(x)").prints(t, fmt.Sprintf("%d\n", i))
	}
	server.call(t, server.register(t), "POST", "/api/v1/sessions", object{}).refused(t, 503, "overloaded")
	server.call(t, sessions[0].account, "POST", "/api/v1/sessions", object{}).refused(t, 429, "quota_exceeded")
}
