package e2b_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b"
)

// Keys of the two users of the fake gate.
const (
	adaKey = "e2b_ada"
	bobKey = "e2b_bob"
)

// fakeGate accepts adaKey, a second key of the same user, and bobKey. It denies the
// scopes in "denied".
type fakeGate struct {
	mu      sync.Mutex
	revoked map[string]bool
	denied  map[pyth.Scope]bool
}

func (g *fakeGate) Admit(_ context.Context, key string, _ pyth.Action, scopes ...pyth.Scope) (*pyth.Principal, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	user, ok := map[string]pyth.UserID{adaKey: "ada", bobKey: "bob", adaKey + "2": "ada"}[key]
	if !ok || g.revoked[key] {
		return nil, pyth.Errorf(pyth.CodeUnauthenticated, "wrong key")
	}
	for _, s := range scopes {
		if g.denied[s] {
			return nil, pyth.Errorf(pyth.CodeMissingScope, "no scope %s", s)
		}
	}
	return &pyth.Principal{User: pyth.User{ID: user}, Credential: pyth.CredentialAPIKey, Scopes: pyth.DefaultScopes()}, nil
}

func (*fakeGate) ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, func(), error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, nil, pyth.Errorf(pyth.CodeTooLarge, "too large")
	}
	return data, func() {}, nil
}

func (*fakeGate) Upload(_ http.ResponseWriter, r *http.Request) (io.Reader, error) {
	return r.Body, nil
}
func (*fakeGate) Download(w http.ResponseWriter) io.Writer { return w }

func (*fakeGate) Explain(_ context.Context, err error) (int, http.Header, string) {
	status := map[pyth.Code]int{
		pyth.CodeUnauthenticated: 401, pyth.CodeMissingScope: 403, pyth.CodeNotFound: 404, pyth.CodeTooLarge: 413, pyth.CodeOverloaded: 503,
	}[pyth.ErrorCode(err)]
	if e, ok := errors.AsType[*pyth.Error](err); ok && status != 0 {
		return status, http.Header{}, e.Message
	}
	return 500, http.Header{}, "internal"
}

// fakeSessions keeps sessions and their files in memory.
type fakeSessions struct {
	mu      sync.Mutex
	opened  int
	all     map[pyth.SessionID]*fakeSession
	request *pyth.SessionRequest
	closed  chan pyth.SessionID
	// The directory "root" contains the files of the only session. If it is "", all files
	// are in memory.
	root string
}

type fakeSession struct {
	user  pyth.UserID
	files map[string]string
}

func (s *fakeSessions) find(user pyth.UserID, id pyth.SessionID) (*fakeSession, error) {
	if x := s.all[id]; x != nil && x.user == user {
		return x, nil
	}
	return nil, pyth.Errorf(pyth.CodeNotFound, "no session")
}

func (s *fakeSessions) OpenSession(_ context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(r.Network, "invalid") {
		return nil, pyth.Errorf(pyth.CodeOverloaded, "no capacity")
	}
	s.opened++
	s.request = r
	id := pyth.SessionID(fmt.Sprintf("session-%03d", s.opened))
	s.all[id] = &fakeSession{user: user, files: map[string]string{}}
	return &pyth.Session{ID: id, Language: r.Language}, nil
}

func (s *fakeSessions) Session(_ context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(user, id)
	return &pyth.Session{ID: id}, err
}

func (s *fakeSessions) CloseSession(_ context.Context, user pyth.UserID, id pyth.SessionID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(user, id); err != nil {
		return err
	}
	delete(s.all, id)
	s.closed <- id
	return nil
}

func (s *fakeSessions) WriteFile(_ context.Context, user pyth.UserID, id pyth.SessionID, path string, content io.Reader) (bool, error) {
	data, err := io.ReadAll(content)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(user, id)
	if err != nil {
		return false, err
	}
	if len(data) > 1<<20 {
		return false, pyth.Errorf(pyth.CodeTooLarge, "the disk is full")
	}
	if s.root != "" {
		name := filepath.Join(s.root, path)
		return true, errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600))
	}
	x.files[path] = string(data)
	return true, nil
}

func (s *fakeSessions) ReadFile(_ context.Context, user pyth.UserID, id pyth.SessionID, path string, to func(int64, io.Reader) error) error {
	s.mu.Lock()
	x, err := s.find(user, id)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	content, ok := x.files[path]
	if !ok {
		return pyth.Errorf(pyth.CodeNotFound, "no file")
	}
	return to(int64(len(content)), strings.NewReader(content))
}

// fakeExecutions runs each program with the function "run".
type fakeExecutions struct {
	mu       sync.Mutex
	programs []*pyth.Program
	run      func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error)
}

func (x *fakeExecutions) Execute(ctx context.Context, _ pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	x.mu.Lock()
	x.programs = append(x.programs, p)
	run := x.run
	x.mu.Unlock()
	if events != nil {
		if err := events.Started("exe_1"); err != nil {
			return nil, err
		}
	}
	if run == nil {
		return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusSucceeded}}, nil
	}
	return run(ctx, p, events)
}

// harness is a server with fake services.
type harness struct {
	t          *testing.T
	gate       *fakeGate
	sessions   *fakeSessions
	executions *fakeExecutions
	server     *httptest.Server
}

func newHarness(t *testing.T, configure ...func(*e2b.Config)) *harness {
	t.Helper()
	h := &harness{
		t: t, gate: &fakeGate{revoked: map[string]bool{}, denied: map[pyth.Scope]bool{}},
		sessions:   &fakeSessions{all: map[pyth.SessionID]*fakeSession{}, closed: make(chan pyth.SessionID, 100)},
		executions: &fakeExecutions{},
	}
	config := e2b.Config{
		Gate: h.gate, Sessions: h.sessions, Executions: h.executions, Expired: h.sessions, MaxTimeout: time.Minute,
		Languages: []pyth.LanguageInfo{
			{Name: pyth.Python, Version: "3.14", Runtimes: []pyth.RuntimeInfo{{Name: "science"}}}, {Name: pyth.JavaScript, Version: "24"},
		},
		Limits: pyth.Limits{MemoryBytes: 256 << 20, DiskBytes: 100 << 20}, Network: []string{"default.example.org"},
	}
	for _, f := range configure {
		f(&config)
	}
	service := e2b.New(config)
	h.server = httptest.NewServer(service)
	t.Cleanup(service.Close)
	t.Cleanup(h.server.Close)
	return h
}

// answer is a response with its whole body.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with the given headers, in pairs of names and values.
func (h *harness) send(method, path, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Content-Type" {
			r.Header.Set(headers[i], headers[i+1])
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := h.server.Client().Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(data)}
}

// want fails the test if the response has another status, or lacks the text.
func (a answer) want(t *testing.T, status int, text string) answer {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Fatalf("status %d, body %s; want %d and %q", a.status, a.body, status, text)
	}
	return a
}

// decode decodes the body.
func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.NewDecoder(bytes.NewReader([]byte(a.body))).Decode(v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
}

// box is a sandbox as its client knows it.
type box struct {
	h                                              *harness
	SandboxID, EnvdAccessToken, TrafficAccessToken string
	Domain, EnvdVersion                            string
}

func (h *harness) create(key string) *box {
	h.t.Helper()
	b := &box{h: h}
	h.send("POST", "/sandboxes", `{"templateID": "base", "timeout": 300, "metadata": null, "unknown": [1]}`, "X-API-KEY", key).want(h.t, 201, "").decode(h.t, b)
	return b
}

// envd sends a request to envd of the sandbox.
func (b *box) envd(method, path, body string, headers ...string) answer {
	b.h.t.Helper()
	return b.h.send(method, path, body, append(headers, "E2b-Sandbox-Id", b.SandboxID, "E2b-Sandbox-Port", "49983", "X-Access-Token", b.EnvdAccessToken)...)
}

// interpreter sends a request to the interpreter of the sandbox.
func (b *box) interpreter(method, path, body string) answer {
	b.h.t.Helper()
	return b.h.send(method, path, body, "E2b-Sandbox-Id", b.SandboxID, "E2b-Sandbox-Port", "49999", "E2B-Traffic-Access-Token", b.TrafficAccessToken)
}
