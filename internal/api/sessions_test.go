package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// sessions is a fake SessionService that records its calls.
type sessions struct {
	mu      sync.Mutex
	err     error
	request *pyth.SessionRequest
	change  *pyth.SessionChange
	list    []*pyth.Session
	files   map[string]string
	calls   []string
	// The field failAfter is the number of bytes after which ReadFile fails. The value 0
	// means that ReadFile never fails.
	failAfter int
}

var _ pyth.SessionService = (*sessions)(nil)

func newSessions() *sessions { return &sessions{files: map[string]string{}} }

func (s *sessions) call(user pyth.UserID, format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, string(user)+" "+fmt.Sprintf(format, args...))
	return s.err
}

func oneSession() *pyth.Session {
	return &pyth.Session{
		ID: "ses_1", Language: pyth.Python, CreatedAt: created, ExpiresAt: created.Add(time.Minute), IdleTimeout: time.Minute, Executions: 2, Running: true,
	}
}

const oneSessionJSON = `{"id":"ses_1","language":"python","createdAt":"2026-04-04T08:23:21.123Z","expiresAt":"2026-04-04T08:24:21.123Z","idleTimeoutMs":60000,"executions":2,"running":true}`

func (s *sessions) OpenSession(_ context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	s.request = r
	return oneSession(), s.call(user, "open")
}

func (s *sessions) Sessions(_ context.Context, user pyth.UserID) ([]*pyth.Session, error) {
	return s.list, s.call(user, "list")
}

func (s *sessions) Session(_ context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	return oneSession(), s.call(user, "get %s", id)
}

func (s *sessions) ChangeSession(_ context.Context, user pyth.UserID, id pyth.SessionID, c *pyth.SessionChange) (*pyth.Session, error) {
	s.change = c
	return oneSession(), s.call(user, "change %s", id)
}

func (s *sessions) CloseSession(_ context.Context, user pyth.UserID, id pyth.SessionID) error {
	return s.call(user, "close %s", id)
}

func (s *sessions) Interrupt(_ context.Context, user pyth.UserID, id pyth.SessionID) error {
	return s.call(user, "interrupt %s", id)
}

func (s *sessions) Files(_ context.Context, user pyth.UserID, id pyth.SessionID) ([]pyth.FileInfo, error) {
	var files []pyth.FileInfo
	for path, content := range s.files {
		files = append(files, pyth.FileInfo{Path: path, SizeBytes: int64(len(content)), ModifiedAt: created})
	}
	return files, s.call(user, "files of %s", id)
}

func (s *sessions) WriteFile(_ context.Context, user pyth.UserID, id pyth.SessionID, path string, content io.Reader) (bool, error) {
	if err := s.call(user, "write %q of %s", path, id); err != nil {
		return false, err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return false, err
	}
	_, had := s.files[path]
	s.files[path] = string(b)
	return !had, nil
}

func (s *sessions) ReadFile(_ context.Context, user pyth.UserID, id pyth.SessionID, path string, to func(int64, io.Reader) error) error {
	if err := s.call(user, "read %q of %s", path, id); err != nil {
		return err
	}
	content, ok := s.files[path]
	if !ok {
		return pyth.Errorf(pyth.CodeNotFound, "There is no such file.")
	}
	var from io.Reader = strings.NewReader(content)
	if s.failAfter > 0 {
		from = io.MultiReader(strings.NewReader(content[:s.failAfter]), broken{})
	}
	return to(int64(len(content)), from)
}

func (s *sessions) DeleteFile(_ context.Context, user pyth.UserID, id pyth.SessionID, path string) error {
	return s.call(user, "delete %q of %s", path, id)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestSessionsPassRequestOn(t *testing.T) {
	for body, want := range map[string]*pyth.SessionRequest{
		`{}`: {AllSecrets: true},
		`{"language":"python","idleTimeoutMs":1500,"secrets":[],"network":{"allow":["example.org"]},` +
			`"limits":{"memoryBytes":33554432,"cpuMs":1000,"outputBytes":10,"diskBytes":2097152,"processes":3}}`: {
			Language: pyth.Python, IdleTimeout: 1500 * time.Millisecond, Network: []string{"example.org"}, Secrets: []string{},
			Limits: pyth.Limits{MemoryBytes: 32 << 20, CPU: time.Second, OutputBytes: 10, DiskBytes: 2 << 20, Processes: 3},
		},
	} {
		s := newServer(t)
		res := s.send(request("POST", "/api/v1/sessions", body))
		if res.StatusCode != 201 || res.body != oneSessionJSON {
			t.Errorf("status %d: %s", res.StatusCode, res.body)
		}
		if diff := cmp.Diff(want, s.sessions.request); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestSessionsRefuseFaultyRequests(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct{ body, code, location string }{
		{``, "invalid_request", "body"},
		{`{"language":"cobol"}`, "invalid_request", "body.language"},
		{`{"idleTimeoutMs":0}`, "invalid_request", "body.idleTimeoutMs"},
		{`{"idleTimeoutMs":9223372036854775807}`, "invalid_request", "body.idleTimeoutMs"},
		{`{"limits":{"memoryBytes":1073741825}}`, "invalid_request", "body.limits.memoryBytes"},
		{`{"title":"x"}`, "invalid_request", "body.title"},
	} {
		res := s.send(request("POST", "/api/v1/sessions", tt.body))
		p := res.problem(t)
		if res.StatusCode != 400 || p.Code != tt.code || !cmp.Equal(p.locations(), []string{tt.location}) {
			t.Errorf("%s: status %d: %s", tt.body, res.StatusCode, res.body)
		}
	}
	if s.sessions.calls != nil {
		t.Errorf("the service received the calls %v", s.sessions.calls)
	}
}

// bodyOf returns the body of a request that needs one, or "".
func bodyOf(method string) string {
	if method == http.MethodPatch {
		return "{}"
	}
	return ""
}

func TestSessionsGetChangeDeleteInterrupt(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		status       int
		body, call   string
	}{
		{"GET", "/api/v1/sessions/ses_1", 200, oneSessionJSON, "usr_ada get ses_1"},
		{"PATCH", "/api/v1/sessions/ses_1", 200, oneSessionJSON, "usr_ada change ses_1"},
		{"DELETE", "/api/v1/sessions/ses_1", 204, "", "usr_ada close ses_1"},
		{"POST", "/api/v1/sessions/ses_1/interrupt", 204, "", "usr_ada interrupt ses_1"},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			s := newServer(t)
			if res := s.send(request(tt.method, tt.path, bodyOf(tt.method))); res.StatusCode != tt.status || res.body != tt.body {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
			if diff := cmp.Diff([]string{tt.call}, s.sessions.calls); diff != "" {
				t.Error(diff)
			}
			s.sessions.err = pyth.Errorf(pyth.CodeNotFound, "There is no such session.")
			if res := s.send(request(tt.method, tt.path, bodyOf(tt.method))); res.StatusCode != 404 || res.problem(t).Code != "not_found" {
				t.Errorf("a missing session: status %d: %s", res.StatusCode, res.body)
			}
		})
	}
}

func TestSessionsPassChangesOn(t *testing.T) {
	name, labels, idle := "", []string{"a"}, 1500*time.Millisecond
	for body, want := range map[string]*pyth.SessionChange{
		`{}`:                     {},
		`{"name":""}`:            {Name: &name},
		`{"labels":["a"]}`:       {Labels: &labels},
		`{"idleTimeoutMs":1500}`: {IdleTimeout: &idle},
		`{"idleTimeoutMs":0}`:    nil,
		`{"labels":null}`:        nil,
		`{"language":"python"}`:  nil,
	} {
		s := newServer(t)
		res := s.send(request("PATCH", "/api/v1/sessions/ses_1", body))
		status := 200
		if want == nil {
			status = 400
		}
		if res.StatusCode != status || !cmp.Equal(want, s.sessions.change) {
			t.Errorf("%s: status %d: %s", body, res.StatusCode, res.body)
		}
	}
}

func TestSessionsMapErrorsToProblems(t *testing.T) {
	for code, status := range map[pyth.Code]int{pyth.CodeConflict: 409, pyth.CodeForbidden: 403, pyth.CodeOverloaded: 503, pyth.CodeRuntimeUnavailable: 503, pyth.CodeDraining: 503} {
		s := newServer(t)
		s.sessions.err = pyth.Errorf(code, "No.")
		if res := s.send(request("POST", "/api/v1/sessions", "{}")); res.StatusCode != status || res.problem(t).Code != string(code) {
			t.Errorf("%s: status %d: %s", code, res.StatusCode, res.body)
		}
	}
}

func TestSessionsListPages(t *testing.T) {
	s := newServer(t)
	if res := s.send(request("GET", "/api/v1/sessions", "")); res.StatusCode != 200 || res.body != `{"sessions":[]}` {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	all := func(ids ...pyth.SessionID) {
		s.sessions.list = nil
		for _, id := range ids {
			x := oneSession()
			x.ID = id
			s.sessions.list = append(s.sessions.list, x)
		}
	}
	page := func(query string) (ids []string, next string) {
		t.Helper()
		res := s.send(request("GET", "/api/v1/sessions"+query, ""))
		if res.StatusCode != 200 {
			t.Fatalf("status %d: %s", res.StatusCode, res.body)
		}
		var list struct {
			Sessions []struct{ ID string }
			Next     string `json:"nextCursor"`
		}
		res.decode(t, &list)
		for _, x := range list.Sessions {
			ids = append(ids, x.ID)
		}
		return ids, list.Next
	}
	cursor := func(id string) string { return api.NewCursor("sessions", id) }
	expect := func(query string, ids []string, next string) {
		t.Helper()
		gotIDs, gotNext := page(query)
		if next != "" {
			next = cursor(next)
		}
		if !cmp.Equal(gotIDs, ids) || gotNext != next {
			t.Errorf("%q: got %v and %q, want %v and %q", query, gotIDs, gotNext, ids, next)
		}
	}
	all("a", "b", "c", "d", "e")
	expect("", []string{"a", "b", "c", "d", "e"}, "")
	expect("?limit=2", []string{"a", "b"}, "b")
	expect("?limit=2&cursor="+cursor("b"), []string{"c", "d"}, "d")
	expect("?limit=2&cursor="+cursor("d"), []string{"e"}, "")
	expect("?limit=5", []string{"a", "b", "c", "d", "e"}, "")
	expect("?cursor="+cursor("e"), nil, "")
	// The session of the cursor no longer exists.
	all("a", "c")
	expect("?cursor="+cursor("b"), []string{"c"}, "")
}

func TestSessionsAreNotImplementedWithoutService(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Sessions = nil })
	for _, target := range []string{
		"POST /api/v1/sessions", "GET /api/v1/sessions", "GET /api/v1/sessions/x", "PATCH /api/v1/sessions/x", "DELETE /api/v1/sessions/x", "POST /api/v1/sessions/x/interrupt",
		"GET /api/v1/sessions/x/files", "PUT /api/v1/sessions/x/files/a", "GET /api/v1/sessions/x/files/a", "DELETE /api/v1/sessions/x/files/a",
	} {
		method, path, _ := strings.Cut(target, " ")
		body := bodyOf(method)
		if target == "POST /api/v1/sessions" {
			body = "{}"
		}
		if res := s.send(request(method, path, body)); res.StatusCode != http.StatusBadRequest || res.problem(t).Code != "not_implemented" {
			t.Errorf("%s: status %d: %s", target, res.StatusCode, res.body)
		}
	}
}
