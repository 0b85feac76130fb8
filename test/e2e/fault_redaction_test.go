package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// codeRunner runs code in one language, either in a new sandbox or in a session. The
// account's secrets are environment variables of the program.
type codeRunner struct {
	name, language string
	run            func(t testing.TB, code string, more ...object) []byte
}

// codeRunners returns a list of runners. For Python and JavaScript, it contains one
// runner without a session and one with a session. For TypeScript, it contains only a
// runner without a session.
func codeRunners(t *testing.T, a *account) []codeRunner {
	var all []codeRunner
	for _, language := range []string{"python", "javascript", "typescript"} {
		all = append(all, codeRunner{language, language, func(t testing.TB, code string, more ...object) []byte {
			t.Helper()
			request := object{"language": language, "code": code}
			for _, m := range more {
				for k, v := range m {
					request[k] = v
				}
			}
			return a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil).body
		}})
		if language == "typescript" {
			continue
		}
		s := a.openSession(t, object{"language": language})
		all = append(all, codeRunner{"a session of " + language, language, func(t testing.TB, code string, more ...object) []byte {
			t.Helper()
			request := object{"code": code, "sessionId": s.ID}
			for _, m := range more {
				for k, v := range m {
					request[k] = v
				}
			}
			return a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil).body
		}})
	}
	return all
}

// visiblePart searches the answer for all parts of the value that have the given length.
// It returns the first part that it finds, or "" if it finds none.
func visiblePart(answer []byte, value string, length int) string {
	for i := 0; i+length <= len(value); i++ {
		if part := value[i : i+length]; strings.Contains(string(answer), part) {
			return part
		}
	}
	return ""
}

// TestExecuteRedactsTruncatedOutput prints a secret value near the output limit, so the
// server cuts the value at the limit. The output must not contain any part of the
// value.
func TestExecuteRedactsTruncatedOutput(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const value = "qZ7-canary.Wv3_kXp9-tail.of-the_value"
	a.storeSecret(t, "S", value)
	for _, r := range codeRunners(t, a) {
		t.Run(r.name, func(t *testing.T) {
			codes := map[string]string{}
			for _, left := range []int{7, 20, len(value) - 1} {
				if r.language == "python" {
					codes[fmt.Sprint("a message, ", left)] = fmt.Sprintf("import os\nraise ValueError('x' * (16384 - %d) + os.environ['S'])", left)
					codes[fmt.Sprint("a message in Greek, ", left)] = fmt.Sprintf("import os\nraise ValueError('χ' * (8192 - %d // 2) + os.environ['S'])", left)
					codes[fmt.Sprint("a name, ", left)] = fmt.Sprintf("import os\nraise type('N' * (256 - %d) + os.environ['S'], (Exception,), {})('x')", left)
					codes[fmt.Sprint("a trace, ", left)] = fmt.Sprintf("import os\nraise ValueError(os.environ['S'] + 'x' * (65536 - %d - 1))", left)
					codes[fmt.Sprint("a value, ", left)] = fmt.Sprintf("import os\n'x' * (100_000 - %d - 1) + os.environ['S']", left)
					codes[fmt.Sprint("a list, ", left)] = fmt.Sprintf("import os\n['x' * (100_000 - %d - 2) + os.environ['S']]", left)
				} else {
					codes[fmt.Sprint("a message, ", left)] = fmt.Sprintf("throw new Error('x'.repeat(16384 - %d) + process.env.S)", left)
					codes[fmt.Sprint("a name, ", left)] = fmt.Sprintf("const e = new Error('x'); e.name = 'N'.repeat(1024 - %d) + process.env.S; throw e", left)
					codes[fmt.Sprint("a shown name, ", left)] = fmt.Sprintf("const e2 = new Error('x'); e2.name = 'N'.repeat(256 - %d) + process.env.S; throw e2", left)
					codes[fmt.Sprint("a trace, ", left)] = fmt.Sprintf("const e3 = new Error('x'); e3.stack = process.env.S + 'x'.repeat(65536 - %d); throw e3", left)
					codes[fmt.Sprint("a value, ", left)] = fmt.Sprintf("'x'.repeat(100_000 - %d - 1) + process.env.S", left)
				}
			}
			for name, code := range codes {
				if r.name == "a session of javascript" {
					code = "{" + code + "}"
				}
				if part := visiblePart(r.run(t, code), value, 7); part != "" {
					t.Errorf("%s: %q is shown", name, part)
				}
			}
		})
	}
}

// TestSessionRedactsOldValues changes a secret during a session. The output of later
// runs must not show the old value.
func TestSessionRedactsOldValues(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for language, code := range map[string][2]string{
		"python":     {"import os\nkept = os.environ['S']", "print(kept)\nprint(kept.encode().hex())\nraise ValueError(kept)"},
		"javascript": {"globalThis.kept = process.env.S", "console.log(kept); console.log(Buffer.from(kept).toString('hex')); throw new Error(kept)"},
		"typescript": {"(globalThis as any).kept = process.env.S", "console.log(kept as string); console.log(btoa(kept)); throw new Error(kept)"},
	} {
		t.Run(language, func(t *testing.T) {
			const first, second, third = "first-value-0001", "second value 0002", "third/value/0003"
			a.storeSecret(t, "S", first)
			s := a.openSession(t, object{"language": language})
			s.runCode(t, code[0]).ends(t, "succeeded")
			for change, then := range map[string]func(){
				"a new value":   func() { a.storeSecret(t, "S", second) },
				"another value": func() { a.storeSecret(t, "S", third) },
				"no value":      func() { a.server.call(t, a, "DELETE", "/api/v1/secrets/S", nil) },
			} {
				then()
				x := a.server.call(t, a, "POST", "/api/v1/execute", object{"code": code[1], "sessionId": s.ID}).want(t, 200, nil).body
				if part := visiblePart(x, first, 7); part != "" || !strings.Contains(string(x), "[secret:S]") {
					t.Errorf("after %s: %s", change, x)
				}
			}
			// Even in a run that gets no secrets, the server must redact the value of
			// the secret.
			x := a.server.call(t, a, "POST", "/api/v1/execute", object{"code": code[1], "sessionId": s.ID, "secrets": []string{}}).want(t, 200, nil).body
			if part := visiblePart(x, first, 7); part != "" {
				t.Errorf("without secrets: %s", x)
			}
		})
	}
	// The server remembers only a limited number of old secret values for each session.
	// At this limit, it refuses runs.
	s := a.openSession(t, object{"language": "python"})
	for i := range 5 {
		a.storeSecret(t, "S", strconv.Itoa(i)+strings.Repeat("x", 60<<10))
		for k := range 14 {
			a.storeSecret(t, fmt.Sprint("S", k), strconv.Itoa(i)+strings.Repeat("y", 60<<10))
		}
		request := object{"code": "1", "sessionId": s.ID}
		if i < 4 {
			a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil)
		} else {
			a.server.call(t, a, "POST", "/api/v1/execute", request).refused(t, 409, "conflict")
		}
	}
}

// TestExecuteRedactsEveryEncoding prints secret values in all encodings that
// docs/secrets.md lists. It prints them on standard output, on standard error and in
// the error message.
func TestExecuteRedactsEveryEncoding(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	values := map[string]string{
		"TOKEN":  "qZ7canaryWv3kXp9tailofthevalue",
		"QUOTES": "it's \"quoted\"\\ and\tlong\n\x01\x7f é/ü €😀 \u0085\u00a0",
		"LONG":   strings.Repeat("0123456789abcdefg'\"!/é&<>% +", 12),
		"KEY":    "-----BEGIN KEY-----\n" + strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 5) + "-----END KEY-----\n",
	}
	for name, value := range values {
		a.storeSecret(t, name, value)
	}
	python := `
import os, sys, json, base64, html, urllib.parse, binascii
v = os.environ[%q]
b = v.encode()
forms = [v, json.dumps(v), json.dumps(v, ensure_ascii=False), json.dumps(v).replace('/', '\\/'), repr(v), ascii(v), repr([v]), repr(b), repr(bytearray(b)),
  base64.b64encode(b).decode(), base64.encodebytes(b).decode(), repr(base64.encodebytes(b)), base64.urlsafe_b64encode(b).decode(), html.escape(v),
  b.hex(), b.hex().upper(), urllib.parse.quote(v), urllib.parse.quote_plus(v), urllib.parse.quote(v, safe=''), ''.join('%%%%%%02x' %% c for c in b),
  v.encode('unicode_escape').decode(), ''.join('\\u%%04X' %% ord(c) if ord(c) < 65536 else json.dumps(c)[1:-1] for c in v), str({'k': v}), f'{v!r}{v!a}']
for before in range(3):
  text = base64.b64encode(b'x' * before + b + b'y' * 7).decode()
  forms += [text] + ['\r\n'.join(text[i:i + n] for i in range(0, len(text), n)) for n in (64, 76)]
`
	javascript := `
const v = process.env[%q]; const b = Buffer.from(v);
const forms = [v, JSON.stringify(v), JSON.stringify({ v }), b.toString('base64'), b.toString('base64url'), b.toString('hex'), encodeURIComponent(v), encodeURI(v),
  new URLSearchParams({ v }).toString(), Buffer.concat([Buffer.from('xx'), b]).toString('base64').replace(/(.{76})/g, '$1\n')];
`
	for _, r := range codeRunners(t, a) {
		for name, value := range values {
			code := fmt.Sprintf(python, name) + `
for f in forms:
    print(f, flush=True)
    print(f, file=sys.stderr)
display('\n'.join(forms), {'json': forms})
open('f', 'w').write('')
raise ValueError('\n'.join(forms))
`
			if r.language != "python" {
				code = fmt.Sprintf(javascript, name) + "for (const f of forms) { console.log(f); console.error(f); }\ndisplay(forms.join(' '), { json: forms });\nthrow new Error(forms.join('\\n'));\n"
			}
			if r.name == "a session of javascript" {
				code = "{" + code + "}"
			}
			if r.language == "typescript" {
				code = strings.Replace(code, "process.env["+strconv.Quote(name)+"]", "process.env["+strconv.Quote(name)+"]!", 1)
			}
			answer := r.run(t, code)
			var x execution
			if err := json.Unmarshal(answer, &x); err != nil {
				t.Fatal(err)
			}
			if x.ends(t, "failed"); x.Redactions < 40 {
				t.Errorf("%s, %s: %d redactions: %s", r.name, name, x.Redactions, answer)
			}
			// The output must not contain a long part of the secret value in any
			// encoding.
			for _, text := range []string{x.Stdout, x.Stderr, x.Error.Message} {
				for _, line := range strings.Split(text, "\n") {
					for _, word := range strings.Split(strings.ReplaceAll(line, "[secret:"+name+"]", " "), " ") {
						if len(word) > 12 && strings.Contains(withEncodings(value), word) {
							t.Errorf("%s, %s: %q remains in %.300q", r.name, name, word, line)
						}
					}
				}
			}
			if part := visiblePart(answer, value[:min(len(value), 18)], 9); part != "" {
				t.Errorf("%s, %s: %q is shown in %s", r.name, name, part, answer)
			}
		}
	}
}

// withEncodings returns a list of the value and some encodings of the value.
func withEncodings(value string) string {
	encoded, _ := json.Marshal(value)
	return value + fmt.Sprintf(" %x %q %s", value, value, encoded)
}

// TestExecuteRedactsSplitStreams runs a program that prints a secret value in small
// pieces. A stream of events must redact the value in the same way as a single JSON
// answer.
func TestExecuteRedactsSplitStreams(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const value = "it's \"a\" canary/with é€😀 in it"
	a.storeSecret(t, "S", value)
	code := `
import os, sys, json, base64, random
r = random.Random(int(sys.argv[1]))
v = os.environ['S']
forms = [v, repr(v), json.dumps(v), base64.encodebytes(b'x' * 60 + v.encode() * 3).decode(), v.encode().hex(), repr(v.encode())]
for i in range(60):
    data = r.choice(forms).encode() + b'\n'
    while data:
        n = r.randint(1, 9)
        os.write(r.choice((1, 1, 2)) if n < 0 else 1, data[:n])
        data = data[n:]
`
	for seed := range 3 {
		s := a.openStream(context.Background(), t, object{"code": code, "args": []string{strconv.Itoa(seed)}})
		printed, _, end := s.readAll(t)
		if end.ends(t, "succeeded"); end.Redactions < 60 {
			t.Errorf("%d redactions", end.Redactions)
		}
		rest := strings.ReplaceAll(printed["stdout"], "[secret:S]", "")
		for _, part := range []string{"canary", "63616e617279", "Y2FuYXJ", "NhbmFye", "jYW5hcn", "\\u00e9", "\\xc3"} {
			if strings.Contains(rest, part) {
				t.Errorf("%q remains in %q", part, printed["stdout"])
			}
		}
	}
}

// TestExecuteRedactsInLinearTime measures the processor time that redaction takes. This
// time must grow linearly with the length of the output.
func TestExecuteRedactsInLinearTime(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.register(t)
	processor := func() float64 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
		const ticks = 100
		user, _ := strconv.ParseFloat(f[11], 64)
		return user / ticks
	}
	a.storeSecret(t, "A", strings.Repeat("a", 63)+"b")
	a.storeSecret(t, "B", strings.Repeat("a", 62)+"cd")
	a.storeSecret(t, "C", strings.Repeat("ab", 31)+"x")
	a.storeSecret(t, "D", strings.Repeat("a", 20)+strings.Repeat("ab", 20)+"x")
	for _, text := range []string{"a", "ab", "aab"} {
		before := processor()
		code := fmt.Sprintf("import sys\nfor f in (sys.stdout, sys.stderr):\n    f.write(%q * (8_000_000 // %d))", text, len(text))
		x := a.execute(t, object{"code": code, "limits": object{"outputBytes": 8 << 20}})
		if x.ends(t, "succeeded"); x.Redactions != 0 || len(x.Stdout) < 7_999_998 {
			t.Errorf("%d redactions, %d bytes", x.Redactions, len(x.Stdout))
		}
		// Without a linear algorithm, the redaction took 4.4 s.
		if took := processor() - before; took > 2.5 {
			t.Errorf("the server needed %[2].1f s of processor time for %[1]q", text, took)
		}
	}
}

// TestExecuteRedactsFileNamesAndAllMediaTypes puts secret values into file names, and
// into rich values of all media types that contain text.
func TestExecuteRedactsFileNamesAndAllMediaTypes(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const value = "canary-0123456789+of.a_secret"
	a.storeSecret(t, "S", value)
	for _, r := range codeRunners(t, a) {
		code := `
import os
v = os.environ['S']
open(v, 'w').write('content'); open('x' + v + '.txt', 'w').write('2'); os.makedirs(v + 'd'); open(v + 'd/f', 'w').write('3')
os.symlink('/etc/passwd', 'link-' + v)
class B:
    def __init__(self, media): self.media = media
    def _repr_mimebundle_(self, **kwargs): return {self.media: v, 'text/plain': ''}
for m in ('application/yaml', 'application/sql', 'application/xml', 'image/svg+xml', 'text/csv', 'application/vnd.x+json', 'application/atom+xml',
          'application/javascript', 'application/toml', 'application/x-unknown', 'message/http', 'image/png', 'application/graphql'):
    display(B(m) if 'json' not in m else type('J', (), {'_repr_mimebundle_': lambda self, **k: {m: {'k': v}}})())
`
		if r.language != "python" {
			code = `
const fs = require('fs'); const v = process.env.S` + map[bool]string{true: "!"}[r.language == "typescript"] + `;
fs.writeFileSync(v, 'content'); fs.writeFileSync('x' + v + '.txt', '2'); fs.mkdirSync(v + 'd'); fs.writeFileSync(v + 'd/f', '3');
fs.symlinkSync('/etc/passwd', 'link-' + v);
for (const m of ['application/yaml', 'application/sql', 'application/xml', 'image/svg+xml', 'text/csv', 'application/x-unknown', 'image/png'])
  display({ [Symbol.for('Jupyter.display')]() { return { [m]: v, 'text/plain': '' }; } });
`
		}
		answer := r.run(t, code, object{"outputFiles": []string{"**"}})
		var x execution
		if err := json.Unmarshal(answer, &x); err != nil {
			t.Fatal(err)
		}
		x.ends(t, "succeeded")
		if part := visiblePart(answer, value, 8); part != "" {
			t.Errorf("%s: %q is shown: %s", r.name, part, answer)
		}
		if string(x.fileContent(t, "[secret:S]")) != "content" || string(x.fileContent(t, "x[secret:S].txt")) != "2" || string(x.fileContent(t, "[secret:S]d/f")) != "3" || x.skipReason("link-[secret:S]") == "" {
			t.Errorf("%s: unexpected file names: %+v, %+v", r.name, x.Files, x.FilesSkipped)
		}
		if len(x.Results) < 7 || x.Redactions < 11 {
			t.Errorf("%s: %d results, %d redactions", r.name, len(x.Results), x.Redactions)
		}
	}
}

// TestSessionWithholdsDeletedSecrets deletes a secret that a session has used. Later
// runs of the session must not get the secret. The server must still redact its value
// in their output.
func TestSessionWithholdsDeletedSecrets(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	const value, other = "named-value-0001", "other-value-0002"
	a.storeSecret(t, "NAMED", value)
	a.storeSecret(t, "OTHER", other)
	s := a.openSession(t, object{"secrets": []string{"NAMED", "OTHER"}})
	s.runCode(t, "import os\nkept = os.environ['NAMED']").prints(t, "")
	a.server.call(t, a, "DELETE", "/api/v1/secrets/NAMED", nil).want(t, 204, nil)
	const code = "print(kept, os.environ.get('NAMED'), os.environ.get('OTHER'))"
	s.runCode(t, code).prints(t, "[secret:NAMED] None [secret:OTHER]\n")
	s.runCode(t, code, object{"secrets": []string{}}).prints(t, "[secret:NAMED] None None\n")
	s.runCode(t, code, object{"secrets": []string{"OTHER"}}).prints(t, "[secret:NAMED] None [secret:OTHER]\n")
	s.server.call(t, a, "POST", "/api/v1/execute", object{"code": code, "sessionId": s.ID, "secrets": []string{"NAMED"}}).refused(t, 400, "invalid_request")
}
