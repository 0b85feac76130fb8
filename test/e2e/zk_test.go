package e2e_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

// encryptedProgram is a program in plain text and the parameters for its encryption.
type encryptedProgram struct {
	language, name, code, password string
	kdf                            lockbox.KDF
}

// fastKDF contains cheap parameters for the key derivation, so that the derivation
// takes almost no time.
var fastKDF = lockbox.KDF{Salt: []byte("sixteen bytes of"), Time: 1, MemoryKiB: 64, Parallelism: 1}

// payload encrypts the program as a client does. It returns the request body.
func (l encryptedProgram) payload(t testing.TB) object {
	t.Helper()
	if l.language == "" {
		l.language = "python"
	}
	if l.kdf.Salt == nil {
		l.kdf = fastKDF
	}
	box := lockbox.Box{Language: l.language, Name: l.name, KDF: l.kdf, Nonce: []byte("a nonce of 24 bytes here")}
	ciphertext := must(box.Seal([]byte(l.code), []byte(l.password)))(t)
	encode := base64.StdEncoding.EncodeToString
	p := object{
		"version": 1, "language": l.language,
		"kdf": object{
			"name": "argon2id", "salt": encode(box.KDF.Salt), "time": l.kdf.Time, "memoryKiB": l.kdf.MemoryKiB, "parallelism": l.kdf.Parallelism,
		},
		"cipher":     object{"name": "xchacha20-poly1305", "nonce": encode(box.Nonce)},
		"ciphertext": encode(ciphertext),
	}
	if l.name != "" {
		p["name"] = l.name
	}
	return p
}

func (a *account) storeEncrypted(t testing.TB, name string, l encryptedProgram) {
	t.Helper()
	if x := a.server.call(t, a, "PUT", "/api/v1/zk/code/"+name, l.payload(t)); x.status != 200 && x.status != 201 {
		t.Fatalf("%d: %s", x.status, x.body)
	}
}

func (a *account) executeEncrypted(t testing.TB, name string, request object) *execution {
	t.Helper()
	x := new(execution)
	a.server.call(t, a, "POST", "/api/v1/zk/execute/"+name, withTimeout(a.withIsolation(request))).want(t, 200, x)
	return x
}

func (x *execution) requireDecryptionError(t testing.TB) {
	t.Helper()
	if x.Status != "failed" || x.ExitCode != nil || x.Signal != "" || x.Error == nil || x.Error.Name != "DecryptionError" ||
		x.Error.Traceback != "" || x.Stdout+x.Stderr != "" {
		t.Errorf("the error is not a DecryptionError: %s, %+v", x, x.Error)
	}
}

// sealPassword reserves a sandbox and encrypts (seals) the password for this sandbox.
// It returns the request fields for a run with the sealed password.
func (a *account) sealPassword(t testing.TB, password string) object {
	t.Helper()
	var r struct{ SandboxID, PublicKey string }
	a.server.call(t, a, "POST", "/api/v1/zk/sandboxes", nil).want(t, 201, &r)
	public := must(base64.StdEncoding.DecodeString(r.PublicKey))(t)
	sealed := must(lockbox.SealPassword(public, []byte(password), r.SandboxID))(t)
	return object{"sandboxId": r.SandboxID, "sealedPassword": base64.StdEncoding.EncodeToString(sealed)}
}

func TestEncryptedProgramsRun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := s.register(t), s.register(t)

	t.Run("programs run in every language with both kinds of password", func(t *testing.T) {
		for language, code := range map[string]string{
			"python":     "import sys\nprint(__file__, *sys.argv[1:], input())",
			"javascript": "console.log(__filename, ...process.argv.slice(2), require('fs').readFileSync(0, 'utf8'))",
			"typescript": "const f: string = __filename\nconsole.log(f, ...process.argv.slice(2), require('fs').readFileSync(0, 'utf8'))",
		} {
			file := map[string]string{"python": "/work/main.py", "javascript": "/work/main.js", "typescript": "/work/main.ts"}[language]
			a.storeEncrypted(t, language, encryptedProgram{language: language, name: language, code: code, password: "pässwörd 🔑"})
			request := object{"args": []string{"a", "b"}, "stdin": "in"}
			for _, opens := range []object{{"masterPassword": "pässwörd 🔑"}, a.sealPassword(t, "pässwörd 🔑")} {
				maps.Copy(opens, request)
				a.executeEncrypted(t, language, opens).prints(t, file+" a b in\n")
			}
		}
	})

	t.Run("a program that the server encrypted runs", func(t *testing.T) {
		p := object{}
		x := s.call(t, a, "POST", "/api/v1/zk/encrypt", object{"code": "print(6 * 7)\n43", "masterPassword": "pw"})
		x.want(t, 200, &p)
		if x.header.Get("Cache-Control") != "no-store" {
			t.Errorf("the answer allows caching: %v", x.header)
		}
		s.call(t, a, "PUT", "/api/v1/zk/code/helped", p).want(t, 201, nil)
		got := a.executeEncrypted(t, "helped", object{"masterPassword": "pw"}).prints(t, "42\n")
		if len(got.Results) != 1 || got.Results[0]["text/plain"] != "43" {
			t.Errorf("results: %v", got.Results)
		}
		if got.Usage.MemoryPeakBytes < 64<<20 {
			t.Errorf("the memory peak does not include the key derivation: %s", got)
		}
	})

	t.Run("a wrong password fails the run", func(t *testing.T) {
		a.storeEncrypted(t, "wrong", encryptedProgram{code: "print(1)", password: "right"})
		a.executeEncrypted(t, "wrong", object{"masterPassword": "left"}).requireDecryptionError(t)
		a.executeEncrypted(t, "wrong", a.sealPassword(t, "left")).requireDecryptionError(t)
		a.executeEncrypted(t, "wrong", object{"masterPassword": "right"}).prints(t, "1\n")
	})

	t.Run("a sandbox serves one run of its user", func(t *testing.T) {
		a.storeEncrypted(t, "once", encryptedProgram{code: "print(1)", password: "pw"})
		b.storeEncrypted(t, "once", encryptedProgram{code: "print(1)", password: "pw"})
		opens := a.sealPassword(t, "pw")
		s.call(t, b, "POST", "/api/v1/zk/execute/once", opens).refused(t, 404, "not_found")
		a.executeEncrypted(t, "once", opens).prints(t, "1\n")
		s.call(t, a, "POST", "/api/v1/zk/execute/once", opens).refused(t, 404, "not_found")
		// A password that a client has sealed for one sandbox must not work in another
		// sandbox.
		other := a.sealPassword(t, "pw")
		opens["sandboxId"] = other["sandboxId"]
		a.executeEncrypted(t, "once", opens).requireDecryptionError(t)
	})

	t.Run("programs of others are not found", func(t *testing.T) {
		a.storeEncrypted(t, "mine", encryptedProgram{code: "1", password: "pw"})
		for _, c := range []struct{ method, path string }{
			{"GET", "/api/v1/zk/code/mine"}, {"DELETE", "/api/v1/zk/code/mine"}, {"POST", "/api/v1/zk/execute/mine"},
		} {
			var body any
			if c.method == "POST" {
				body = object{"masterPassword": "pw"}
			}
			s.call(t, b, c.method, c.path, body).refused(t, 404, "not_found")
		}
		var list struct{ Code []object }
		s.call(t, a, "GET", "/api/v1/zk/code", nil).want(t, 200, &list)
		if len(list.Code) == 0 {
			t.Error("the list is empty")
		}
		s.call(t, a, "DELETE", "/api/v1/zk/code/mine", nil).want(t, 204, nil)
		s.call(t, a, "GET", "/api/v1/zk/code/mine", nil).refused(t, 404, "not_found")
	})

	t.Run("key derivation counts towards the memory limit", func(t *testing.T) {
		kdf := fastKDF
		kdf.MemoryKiB = 256 << 10
		a.storeEncrypted(t, "large", encryptedProgram{code: "print(1)", password: "pw", kdf: kdf})
		p := s.call(t, a, "POST", "/api/v1/zk/execute/large", object{"masterPassword": "pw"}).refused(t, 400, "invalid_request")
		if len(p.Errors) != 1 || p.Errors[0].Location != "body.limits.memoryBytes" || !strings.Contains(p.Errors[0].Message, "301,989,888 bytes") {
			t.Errorf("got %+v", p.Errors)
		}
		a.executeEncrypted(t, "large", object{"masterPassword": "pw", "limits": object{"memoryBytes": 301989888}}).prints(t, "1\n")
	})

	t.Run("key derivation counts towards the timeout", func(t *testing.T) {
		kdf := fastKDF
		kdf.MemoryKiB, kdf.Time = 256<<10, 10
		a.storeEncrypted(t, "slow", encryptedProgram{code: "print(1)", password: "pw", kdf: kdf})
		x := a.executeEncrypted(t, "slow", object{"masterPassword": "pw", "timeoutMs": 300, "limits": object{"memoryBytes": 512 << 20}})
		x.ends(t, "timed_out")
		a.run(t, "print(1)").prints(t, "1\n")
	})

	t.Run("the run streams", func(t *testing.T) {
		a.storeEncrypted(t, "streams", encryptedProgram{code: "print(1)", password: "pw"})
		x := s.callWithHeader(t, a.streamHeader(), "POST", "/api/v1/zk/execute/streams", object{"masterPassword": "pw"})
		if x.status != 200 || !strings.Contains(string(x.body), "event: stdout\ndata: {\"text\":\"1\\n\"}") {
			t.Errorf("%d: %s", x.status, x.body)
		}
	})

	t.Run("the program runs in a session", func(t *testing.T) {
		var session struct{ ID string }
		s.call(t, a, "POST", "/api/v1/sessions", object{}).want(t, 201, &session)
		a.storeEncrypted(t, "sets", encryptedProgram{code: "x = 41\nprint('set')", password: "pw"})
		a.executeEncrypted(t, "sets", object{"masterPassword": "wrong", "sessionId": session.ID}).requireDecryptionError(t)
		a.executeEncrypted(t, "sets", object{"masterPassword": "pw", "sessionId": session.ID}).prints(t, "set\n")
		a.execute(t, object{"code": "print(x + 1)", "sessionId": session.ID}).prints(t, "42\n")
		a.executeEncrypted(t, "sets", object{"masterPassword": "wrong", "sessionId": session.ID}).requireDecryptionError(t)
		a.execute(t, object{"code": "print(x)", "sessionId": session.ID}).prints(t, "41\n")
	})

	t.Run("its execution is recorded", func(t *testing.T) {
		a.storeEncrypted(t, "noted", encryptedProgram{code: "1", password: "pw"})
		a.executeEncrypted(t, "noted", object{"masterPassword": "pw"}).ends(t, "succeeded")
		eventually(t, "lastExecutedAt is set", func() bool {
			var list struct {
				Code []struct{ Name, LastExecutedAt string }
			}
			s.call(t, a, "GET", "/api/v1/zk/code", nil).want(t, 200, &list)
			for _, c := range list.Code {
				if c.Name == "noted" {
					return c.LastExecutedAt != ""
				}
			}
			return false
		})
	})
}

// exampleClients returns the example clients by language. The command "check" checks
// the test vectors, and the command "run" starts the client.
func exampleClients(t *testing.T) map[string]struct{ check, run []string } {
	t.Helper()
	dir := must(filepath.Abs("../../examples/zk"))(t)
	vectors := must(filepath.Abs("../../docs/zero-knowledge-vectors.json"))(t)
	// Copy the JavaScript client to a new directory, because npm installs packages into
	// the directory of the client.
	javaScript := t.TempDir()
	for _, file := range must(filepath.Glob(filepath.Join(dir, "javascript", "*.js*")))(t) {
		if err := os.WriteFile(filepath.Join(javaScript, filepath.Base(file)), must(os.ReadFile(file))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = javaScript
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	client := filepath.Join(t.TempDir(), "client")
	if out, err := exec.Command("go", "build", "-o", client, filepath.Join(dir, "go")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	python := func(file string, args ...string) []string {
		return append([]string{"python3", filepath.Join(dir, "python", file)}, args...)
	}
	node := func(file string, args ...string) []string {
		return append([]string{nodeBinary(t), filepath.Join(javaScript, file)}, args...)
	}
	return map[string]struct{ check, run []string }{
		"python":     {python("check.py", vectors), python("run.py")},
		"javascript": {node("check.js", vectors), node("run.js")},
		// For Go there is no command "check", because the Go tests of the client check
		// the test vectors.
		"go": {nil, []string{client}},
	}
}

func TestEncryptedProgramsRunWithExampleClients(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	program := filepath.Join(t.TempDir(), "program.py")
	if err := os.WriteFile(program, []byte("print('hällo')\nraise SystemExit(7)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, example := range exampleClients(t) {
		t.Run(name, func(t *testing.T) {
			if example.check != nil {
				out, err := exec.Command(example.check[0], example.check[1:]...).CombinedOutput()
				if err != nil || string(out) != "ok\n" {
					t.Errorf("%v: %s", err, out)
				}
			}
			// Use cheap parameters for the key derivation, because some example clients
			// are slow.
			args := append(slices.Clone(example.run[1:]), "--memory-kib", "64", "--time", "1", "from-"+name, program)
			cmd := exec.Command(example.run[0], args...)
			cmd.Env = append(os.Environ(), "PYTH_ON_URL="+s.URL, "PYTH_ON_API_KEY="+a.APIKey, "PYTHONDONTWRITEBYTECODE=1")
			cmd.Stdin = strings.NewReader("pässwörd\n")
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 7 || string(out) != "hällo\n" {
				t.Errorf("%v: %s", err, out)
			}
			// The program is bound to its name. So the server must refuse to store it
			// under another name.
			p := object{}
			s.call(t, a, "GET", "/api/v1/zk/code/from-"+name, nil).want(t, 200, &p)
			e := s.call(t, a, "PUT", "/api/v1/zk/code/another", p).refused(t, 400, "invalid_request")
			if len(e.Errors) != 1 || e.Errors[0].Location != "body.name" {
				t.Errorf("got %+v", e.Errors)
			}
		})
	}
}
