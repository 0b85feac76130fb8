package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/openapitest"
	"github.com/pyth-on/pyth-on/internal/logging"
)

const (
	goodKey   = "pyapi_good"
	goodToken = "good.jwt.token"
	password  = "correct horse battery"
)

var created = time.Date(2026, 4, 4, 8, 23, 21, 123_456_789, time.UTC)

func ada() pyth.User {
	return pyth.User{ID: "usr_ada", Role: pyth.RoleUser, Email: "ada@example.org", PasswordHash: "HASH", CreatedAt: created}
}

type accounts struct {
	mu  sync.Mutex
	err error
	// endedLogin is the result of RequireLogin.
	endedLogin error
	grant      *pyth.Grant
	keys       []*pyth.APIKey
	next       string
	calls      []string
	expires    time.Time
	spec       pyth.KeySpec
	// scopes are the scopes of the API key goodKey. The value nil means all scopes.
	scopes   []pyth.Scope
	lastPage struct {
		cursor string
		limit  int
	}
}

func newAccounts() *accounts {
	return &accounts{grant: &pyth.Grant{
		User: ada(), Token: goodToken, ExpiresAt: created.Add(time.Hour), APIKey: goodKey, RefreshToken: "fresh",
	}}
}

var _ pyth.AccountService = (*accounts)(nil)

func (a *accounts) call(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, name)
	return a.err
}

func (a *accounts) answer(name string) (*pyth.Grant, error) {
	if err := a.call(name); err != nil {
		return nil, err
	}
	return a.grant, nil
}

func (a *accounts) Register(_ context.Context, email, password, invite string) (*pyth.Grant, error) {
	return a.answer("register " + email + " " + invite)
}

func (a *accounts) Login(_ context.Context, email, given, code string) (*pyth.Grant, error) {
	if given != password {
		return nil, pyth.Errorf(pyth.CodeInvalidCredentials, "The e-mail or password is wrong.")
	}
	return a.answer(strings.TrimSpace("login " + email + " " + code))
}

func (a *accounts) Authenticate(_ context.Context, c pyth.Credentials) (*pyth.Principal, error) {
	p := &pyth.Principal{User: ada()}
	switch c {
	case pyth.Credentials{APIKey: goodKey}:
		p.Credential, p.KeyPrefix, p.Scopes = pyth.CredentialAPIKey, "pyapi_go", pyth.Scopes()
		if a.scopes != nil {
			p.Scopes = a.scopes
		}
	case pyth.Credentials{Bearer: goodToken}, pyth.Credentials{APIKey: goodKey, Bearer: goodToken}:
		p.Credential, p.ExpiresAt = pyth.CredentialJWT, created.Add(time.Hour)
	default:
		return nil, pyth.Errorf(pyth.CodeUnauthenticated, "The credentials are not valid.")
	}
	return p, nil
}

func (a *accounts) Refresh(_ context.Context, token string, client pyth.Client) (*pyth.Grant, error) {
	return a.answer("refresh " + token + " " + client.UserAgent)
}

func (a *accounts) Renew(_ context.Context, p *pyth.Principal) (*pyth.Grant, error) {
	g, err := a.answer("renew " + string(p.User.ID))
	if err != nil {
		return nil, err
	}
	renewed := *g
	renewed.RefreshToken = ""
	return &renewed, nil
}

func (a *accounts) Logout(_ context.Context, p *pyth.Principal, token string) error {
	return a.call("logout " + string(p.User.ID) + " " + token)
}

func (a *accounts) RequireLogin(context.Context, *pyth.Principal) error { return a.endedLogin }

func (a *accounts) ChangePassword(_ context.Context, p *pyth.Principal, _, _ string) error {
	return a.call("password " + string(p.User.ID))
}

func (a *accounts) CreateKey(_ context.Context, p *pyth.Principal, spec pyth.KeySpec) (*pyth.APIKey, string, error) {
	if err := a.call("create " + spec.Name); err != nil {
		return nil, "", err
	}
	a.expires, a.spec = spec.ExpiresAt, spec
	return &pyth.APIKey{ID: "key_1", UserID: p.User.ID, Name: spec.Name, Prefix: "pyapi_ab", CreatedAt: created, ExpiresAt: spec.ExpiresAt, Scopes: spec.Scopes}, "pyapi_abc", nil
}

func (a *accounts) UpdateKey(_ context.Context, p *pyth.Principal, id pyth.KeyID, c pyth.KeyChange) (*pyth.APIKey, error) {
	if err := a.call("change " + string(id) + " " + c.Name); err != nil {
		return nil, err
	}
	return &pyth.APIKey{ID: id, UserID: p.User.ID, Name: c.Name, Prefix: "pyapi_ab", CreatedAt: created, ExpiresAt: c.ExpiresAt, LastUsedAt: created}, nil
}

func (a *accounts) Keys(_ context.Context, _ *pyth.Principal, cursor string, limit int) ([]*pyth.APIKey, string, error) {
	a.lastPage.cursor, a.lastPage.limit = cursor, limit
	return a.keys, a.next, a.call("keys")
}

func (a *accounts) DeleteKey(_ context.Context, _ *pyth.Principal, id pyth.KeyID) error {
	return a.call("delete " + string(id))
}

type executions struct {
	mu      sync.Mutex
	program *pyth.Program
	user    pyth.UserID
	run     func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error)
}

var _ pyth.ExecutionService = (*executions)(nil)

func (e *executions) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	e.mu.Lock()
	e.program, e.user = p, user
	run := e.run
	e.mu.Unlock()
	if run != nil {
		return run(ctx, p, events)
	}
	return succeeded("42\n"), nil
}

func succeeded(stdout string) *pyth.Execution {
	zero := 0
	return &pyth.Execution{
		ID: "exe_1", Language: pyth.Python, CreatedAt: created,
		Outcome: pyth.Outcome{
			Status: pyth.StatusSucceeded, ExitCode: &zero, Stdout: []byte(stdout),
			Usage: pyth.Usage{Wall: 1600 * time.Microsecond, CPU: 900 * time.Microsecond, MemoryPeakBytes: 8 << 20},
		},
	}
}

type checks map[string]pyth.Check

func (c checks) Health(context.Context) map[string]pyth.Check { return c }

// server is a Handler with fake services. The method "send" compares each response with
// the OpenAPI document of the Handler.
type server struct {
	*testing.T
	handler     *api.Handler
	accounts    *accounts
	executions  *executions
	sessions    *sessions
	secrets     *secretStore
	audit       *auditLog
	generations *generations
	validator   *openapitest.Validator
	log         *lockedBuffer
}

// lockedBuffer is a buffer that is safe for concurrent use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func limits() pyth.ExecutionLimits {
	bound := pyth.Limits{MemoryBytes: 256 << 20, OutputBytes: 1 << 20, DiskBytes: 100 << 20, Processes: 64}
	most := bound
	most.MemoryBytes, most.CPU = 1<<30, 5*time.Minute
	return pyth.ExecutionLimits{
		MaxCodeBytes: 1 << 20, MaxStdinBytes: 1 << 20, MaxFilesBytes: 10 << 20, MaxFiles: 64, MaxArgs: 64,
		DefaultTimeout: 30 * time.Second, MaxTimeout: 5 * time.Minute, Default: bound, Max: most,
	}
}

func config(a *accounts, e *executions) api.Config {
	return api.Config{
		Accounts:   a,
		Executions: e,
		Health:     checks{"database": {Status: "ok"}, "sandbox": {Status: "ok"}},
		Languages:  []pyth.LanguageInfo{{Name: pyth.Python, Version: "3.14.6"}},
		Limits:     limits(),
		Features:   []string{"execute"},
		Version:    "1.2.3",
		StartedAt:  created,
		Now:        func() time.Time { return created.Add(time.Minute) },
	}
}

func newServer(t *testing.T, change ...func(*api.Config)) *server {
	t.Helper()
	s := &server{
		T: t, accounts: newAccounts(), executions: &executions{}, sessions: newSessions(), secrets: &secretStore{}, audit: &auditLog{},
		generations: &generations{}, log: &lockedBuffer{},
	}
	cfg := config(s.accounts, s.executions)
	cfg.Sessions, cfg.Secrets, cfg.Generations = s.sessions, s.secrets, s.generations
	cfg.Audit, cfg.Denials = s.audit, s.audit
	cfg.Logger = slog.New(logging.NewHandler(slog.NewJSONHandler(s.log, nil)))
	for _, c := range change {
		c(&cfg)
	}
	h, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = h
	document := httptest.NewRecorder()
	h.ServeHTTP(document, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	s.validator = validatorOf(t, document.Body.Bytes())
	return s
}

// validators caches one validator for each OpenAPI document. The creation of a validator
// takes more time than most tests.
var validators sync.Map

func validatorOf(t *testing.T, document []byte) *openapitest.Validator {
	t.Helper()
	if v, ok := validators.Load(string(document)); ok {
		return v.(*openapitest.Validator)
	}
	v, err := openapitest.New(document)
	if err != nil {
		t.Fatal(err)
	}
	validators.Store(string(document), v)
	return v
}

type answer struct {
	*http.Response
	body string
}

// send sends the request to the server and compares the response with the OpenAPI
// document.
func (s *server) send(r *http.Request) answer {
	s.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	res := w.Result()
	if err := s.validator.Check(r, res); err != nil {
		s.Error(err)
	}
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return answer{res, string(data)}
}

// request returns a request with the API key. The parameter "body" is JSON, or "" for a
// request without a body.
func request(method, target, body string) *http.Request {
	r := anonymous(method, target, body)
	r.Header.Set("x-api-key", goodKey)
	return r
}

func anonymous(method, target, body string) *http.Request {
	if body == "" {
		return httptest.NewRequest(method, target, nil)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func (s *server) execute(body string) answer {
	s.Helper()
	return s.send(request(http.MethodPost, "/api/v1/execute", body))
}

type problem struct {
	Type, Title, Detail, Instance, Code, RequestID string
	Status                                         int
	Errors                                         []struct{ Location, Message string }
}

func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%q is not a valid error response: %v", a.body, err)
	}
	return p
}

func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%q: %v", a.body, err)
	}
}

func (p problem) locations() []string {
	var out []string
	for _, e := range p.Errors {
		out = append(out, e.Location)
	}
	return out
}
