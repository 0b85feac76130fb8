package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// The type "encrypted" is a fake EncryptedService that records its calls.
type encrypted struct {
	mu       sync.Mutex
	err      error
	created  bool
	stored   *pyth.EncryptedProgram
	password string
	calls    []string
}

var _ pyth.EncryptedService = (*encrypted)(nil)

func (e *encrypted) call(user pyth.UserID, format string, args ...any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, string(user)+" "+fmt.Sprintf(format, args...))
	return e.err
}

func (e *encrypted) Encrypt(_ context.Context, language pyth.Language, code, password []byte) (*pyth.EncryptedProgram, error) {
	e.password = string(password)
	return oneCode(), e.call("", "encrypt %s %s", language, code)
}

func (e *encrypted) StoreCode(_ context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram) (*pyth.StoredProgram, bool, error) {
	e.stored = c
	return oneStored(), e.created, e.call(user, "store %s", name)
}

func (e *encrypted) DeleteCode(_ context.Context, user pyth.UserID, name string) error {
	return e.call(user, "delete %s", name)
}

func (e *encrypted) Codes(_ context.Context, user pyth.UserID) ([]*pyth.StoredProgram, error) {
	return []*pyth.StoredProgram{oneStored()}, e.call(user, "list")
}

func (e *encrypted) Code(_ context.Context, user pyth.UserID, name string) (*pyth.EncryptedProgram, error) {
	return oneCode(), e.call(user, "get %s", name)
}

func (e *encrypted) NoteExecuted(user pyth.UserID, name string) {
	_ = e.call(user, "executed %s", name)
}

func (e *encrypted) Reserve(_ context.Context, user pyth.UserID) (*pyth.Reservation, error) {
	return &pyth.Reservation{ID: "res_1", PublicKey: []byte{0, 255, 62}, ExpiresAt: created}, e.call(user, "reserve")
}

func oneCode() *pyth.EncryptedProgram {
	return &pyth.EncryptedProgram{
		Language: pyth.JavaScript, Name: "report",
		KDF:   pyth.KDF{Salt: []byte("0123456789abcdef"), Time: 3, MemoryKiB: 65536, Parallelism: 4},
		Nonce: []byte("0123456789abcdef01234567"), Ciphertext: []byte{0, 255, 62},
	}
}

const oneCodeJSON = `{"version":1,"language":"javascript","name":"report",` +
	`"kdf":{"name":"argon2id","salt":"MDEyMzQ1Njc4OWFiY2RlZg==","time":3,"memoryKiB":65536,"parallelism":4},` +
	`"cipher":{"name":"xchacha20-poly1305","nonce":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"},"ciphertext":"AP8+"}`

func oneStored() *pyth.StoredProgram {
	return &pyth.StoredProgram{Name: "report", Language: pyth.Python, SizeBytes: 3, CreatedAt: created, UpdatedAt: created.Add(time.Second)}
}

const oneStoredJSON = `{"name":"report","language":"python","sizeBytes":3,"createdAt":"2026-04-04T08:23:21.123Z","updatedAt":"2026-04-04T08:23:22.123Z"}`

func newZKServer(t *testing.T) (*server, *encrypted) {
	t.Helper()
	e := new(encrypted)
	return newServer(t, func(c *api.Config) { c.ZK = e }), e
}

func (s *server) zk(method, path, body string) answer {
	s.Helper()
	return s.send(request(method, "/api/v1/zk/"+path, body))
}

func TestEncryptedProgramsStoreListDelete(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body string
		created            bool
		status             int
		want, call         string
	}{
		"stored":    {"PUT", "code/report", oneCodeJSON, true, 201, oneStoredJSON, "usr_ada store report"},
		"replaced":  {"PUT", "code/report", oneCodeJSON, false, 200, oneStoredJSON, "usr_ada store report"},
		"listed":    {"GET", "code", "", false, 200, `{"code":[` + oneStoredJSON + `]}`, "usr_ada list"},
		"got":       {"GET", "code/report", "", false, 200, oneCodeJSON, "usr_ada get report"},
		"deleted":   {"DELETE", "code/report", "", false, 204, "", "usr_ada delete report"},
		"encrypted": {"POST", "encrypt", `{"code":"1","masterPassword":"pw"}`, false, 200, oneCodeJSON, " encrypt python 1"},
		"reserved for": {
			"POST", "sandboxes", "", false, 201,
			`{"sandboxId":"res_1","publicKey":"AP8+","expiresAt":"2026-04-04T08:23:21.123Z"}`, "usr_ada reserve",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := newZKServer(t)
			e.created = c.created
			res := s.zk(c.method, c.path, c.body)
			if res.StatusCode != c.status || strings.TrimSpace(res.body) != c.want || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, %v: %s", res.StatusCode, res.Header, res.body)
			}
			if diff := cmp.Diff([]string{c.call}, e.calls); diff != "" {
				t.Error(diff)
			}
			if e.stored != nil {
				if diff := cmp.Diff(oneCode(), e.stored); diff != "" {
					t.Error(diff)
				}
			}
			e.err = pyth.Errorf(pyth.CodeOverloaded, "No capacity.")
			if res := s.zk(c.method, c.path, c.body); res.problem(t).Code != "overloaded" {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
		})
	}
}

func TestEncryptedProgramsAreNotImplementedWithoutService(t *testing.T) {
	s := newServer(t)
	if res := s.zk("GET", "code", ""); res.problem(t).Code != "not_implemented" {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestPayloadsAreChecked(t *testing.T) {
	s, e := newZKServer(t)
	for name, c := range map[string]struct{ old, replacement, at string }{
		"another version":          {`"version":1`, `"version":2`, "body.version"},
		"another language":         {"javascript", "cobol", "body.language"},
		"unknown key derivation":   {"argon2id", "argon2i", "body.kdf.name"},
		"another cipher":           {"xchacha20-poly1305", "aes-256-gcm", "body.cipher.name"},
		"too many passes":          {`"time":3`, `"time":11`, "body.kdf.time"},
		"half a pass":              {`"time":3`, `"time":2.5`, "body.kdf.time"},
		"too much memory":          {"65536", "262145", "body.kdf.memoryKiB"},
		"too little memory":        {"65536", "7", "body.kdf.memoryKiB"},
		"too many lanes":           {`"parallelism":4`, `"parallelism":17`, "body.kdf.parallelism"},
		"invalid salt":             {"MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZg", "body.kdf.salt"},
		"base64 for URLs":          {`"AP8+"`, `"AP8-"`, "body.ciphertext"},
		"base64 with a line break": {`"AP8+"`, `"AP\n8+"`, "body.ciphertext"},
		"base64 with extra bits":   {"MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZh==", "body.kdf.salt"},
		"no ciphertext":            {`"AP8+"`, `""`, "body.ciphertext"},
		"empty name in the path":   {`"report"`, `""`, "body.name"},
		"an unknown field":         {`"version":1`, `"version":1,"key":"a"`, "body.key"},
		"missing field":            {`,"ciphertext":"AP8+"`, ``, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.Replace(oneCodeJSON, c.old, c.replacement, 1)
			if body == oneCodeJSON {
				t.Fatal("the replacement had no effect")
			}
			res := s.zk("PUT", "code/report", body)
			p := res.problem(t)
			if res.StatusCode != 400 || p.Code != "invalid_request" || len(p.Errors) != 1 || p.Errors[0].Location != c.at {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
		})
	}
	if e.calls != nil {
		t.Errorf("the service received the calls %v", e.calls)
	}
}

func (s *server) ran() *pyth.Program {
	s.executions.mu.Lock()
	defer s.executions.mu.Unlock()
	return s.executions.program
}

func TestEncryptedProgramsRun(t *testing.T) {
	sealed := base64.StdEncoding.EncodeToString([]byte("sealed"))
	for name, c := range map[string]struct {
		body string
		want pyth.EncryptedJob
	}{
		"with a password": {`{"masterPassword":"p\u00e4ss\n🔑","args":["a"],"limits":{"memoryBytes":1000}}`, pyth.EncryptedJob{Password: []byte("päss\n🔑")}},
		"with a sealed password": {
			`{"sealedPassword":"` + sealed + `","sandboxId":"res_1","args":["a"],"limits":{"memoryBytes":1000}}`,
			pyth.EncryptedJob{Sealed: []byte("sealed"), Sandbox: "res_1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, e := newZKServer(t)
			var got pyth.EncryptedJob
			var kept []byte
			s.executions.run = func(_ context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
				got, kept = *p.Encrypted, p.Encrypted.Password
				got.Password = bytes.Clone(kept)
				return succeeded("42\n"), nil
			}
			res := s.zk("POST", "execute/report", c.body)
			if res.StatusCode != 200 || !strings.Contains(res.body, `"stdout":"42\n"`) {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
			c.want.Name, c.want.Code = "report", oneCode()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			p := s.ran()
			if p.Language != pyth.JavaScript || p.Code != "" || p.Args[0] != "a" || p.Limits.MemoryBytes != 1000 || !p.Results {
				t.Errorf("the execution service received %+v", p)
			}
			if !bytes.Equal(kept, make([]byte, len(kept))) {
				t.Error("the password is not wiped")
			}
			if diff := cmp.Diff([]string{"usr_ada get report", "usr_ada executed report"}, e.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEncryptedProgramsStream(t *testing.T) {
	s, _ := newZKServer(t)
	r := request("POST", "/api/v1/zk/execute/report", `{"masterPassword":"pw"}`)
	r.Header.Set("Accept", "text/event-stream")
	if res := s.send(r); res.Header.Get("Content-Type") != "text/event-stream" || !strings.Contains(res.body, "event: end") {
		t.Errorf("%v: %s", res.Header, res.body)
	}
}

func TestEncryptedProgramsNeedOnePassword(t *testing.T) {
	s, e := newZKServer(t)
	for name, c := range map[string]struct{ body, at string }{
		"nothing":              {`{}`, "body.masterPassword"},
		"an empty password":    {`{"masterPassword":""}`, "body.masterPassword"},
		"a number":             {`{"masterPassword":1234}`, "body.masterPassword"},
		"null":                 {`{"masterPassword":null}`, "body.masterPassword"},
		"both":                 {`{"masterPassword":"pw","sealedPassword":"AA==","sandboxId":"a"}`, "body.masterPassword"},
		"password and sandbox": {`{"masterPassword":"pw","sandboxId":"a"}`, "body.masterPassword"},
		"no sandbox":           {`{"sealedPassword":"AA=="}`, "body.sandboxId"},
		"sandbox only":         {`{"sandboxId":"a"}`, "body.sealedPassword"},
		"no base64":            {`{"sealedPassword":"A","sandboxId":"a"}`, "body.sealedPassword"},
		"code":                 {`{"masterPassword":"pw","code":"1"}`, "body.code"},
		"a language":           {`{"masterPassword":"pw","language":"python"}`, "body.language"},
		"too long a time":      {`{"masterPassword":"pw","timeoutMs":300001}`, "body.timeoutMs"},
		"too much memory":      {`{"masterPassword":"pw","limits":{"memoryBytes":1073741825}}`, "body.limits.memoryBytes"},
	} {
		t.Run(name, func(t *testing.T) {
			res := s.zk("POST", "execute/report", c.body)
			p := res.problem(t)
			if res.StatusCode != 400 || len(p.Errors) != 1 || p.Errors[0].Location != c.at {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
		})
	}
	if e.calls != nil || s.ran() != nil {
		t.Errorf("the service received the calls %v", e.calls)
	}
}

func TestPasswordsAreNotInErrorsOrLogs(t *testing.T) {
	const canary = "canary-of-the-password"
	s, _ := newZKServer(t)
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return nil, fmt.Errorf("internal error")
	}
	for _, path := range []string{"execute/report", "encrypt"} {
		for name, body := range map[string]string{
			"valid body":                 `{"masterPassword":"%s","code":"1"}`,
			"another field":              `{"masterPassword":"%s","unknown":1}`,
			"duplicate password":         `{"masterPassword":"%[1]s","masterPassword":"%[1]s"}`,
			"in a list":                  `{"masterPassword":["%s"]}`,
			"in an object":               `{"masterPassword":{"%s":1}}`,
			"as a field name":            `{"masterPassword":"a","%s":1}`,
			"unfinished":                 `{"masterPassword":"%s`,
			"with half a surrogate pair": `{"masterPassword":"%s\ud800"}`,
			"after an error":             `{"code":1,"masterPassword":"%s"}`,
			"at the wrong level":         `["masterPassword","%s"]`,
			"in another field":           `{"masterPassword":"pw","timeoutMs":"%s"}`,
		} {
			res := s.zk("POST", path, strings.ReplaceAll(fmt.Sprintf(body, canary), "%!(EXTRA string="+canary+")", ""))
			if name != "as a field name" && name != "in an object" && strings.Contains(res.body, canary) {
				t.Errorf("%s, %s: the answer contains the password: %s", path, name, res.body)
			}
		}
	}
	if strings.Contains(s.log.String(), canary) {
		t.Errorf("the log contains the password: %s", s.log)
	}
}

// FuzzPayload sends arbitrary encrypted programs. The fields of accepted programs
// must be within the limits.
func FuzzPayload(f *testing.F) {
	f.Add([]byte(oneCodeJSON))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`[]`))
	e := new(encrypted)
	cfg := config(newAccounts(), &executions{})
	cfg.ZK = e
	h, err := api.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e.stored = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("PUT", "/api/v1/zk/code/report", string(body)))
		switch c := e.stored; {
		case w.Code == http.StatusOK:
			if c == nil || c.KDF.Time < 1 || c.KDF.Time > 10 || c.KDF.MemoryKiB > 262144 || c.KDF.Parallelism > 16 {
				t.Fatalf("stored %+v", c)
			}
		case c != nil, w.Code >= http.StatusInternalServerError:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	})
}
