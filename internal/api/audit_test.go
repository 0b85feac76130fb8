package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

// auditLog is a fake AuditService with one entry. It records the arguments of queries and
// the denied actions.
type auditLog struct {
	mu     sync.Mutex
	filter pyth.AuditFilter
	cursor string
	limit  int
	next   string
	noted  []noted
}

type noted struct {
	pyth.AuditEvent
	pyth.Origin
}

var (
	_ pyth.AuditService = (*auditLog)(nil)
	_ api.Denials       = (*auditLog)(nil)
)

func entry() *pyth.AuditEntry {
	return &pyth.AuditEntry{
		ID: "entry_1", Sequence: 41, Timestamp: created,
		Origin: pyth.Origin{Credential: pyth.CredentialAPIKey, KeyPrefix: "pyapi_go", IP: "192.0.2.1", UserAgent: "curl", RequestID: "r1"},
		AuditEvent: pyth.AuditEvent{
			User: "usr_ada", Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: "key_1",
			Details: map[string]any{"name": "ci"},
		},
		Hash: [32]byte{1},
	}
}

func (a *auditLog) Entries(_ context.Context, user pyth.UserID, f pyth.AuditFilter, cursor string, limit int) ([]*pyth.AuditEntry, string, error) {
	a.filter, a.cursor, a.limit = f, cursor, limit
	if user != "usr_ada" {
		return nil, "", nil
	}
	return []*pyth.AuditEntry{entry()}, a.next, nil
}

func (a *auditLog) Checkpoint(context.Context) ([]byte, error) {
	return []byte("pyth-on\n42\nroot\n\n— pyth-on sig\n"), nil
}

func (a *auditLog) VerifierKey() string { return "pyth-on+1+key" }

func (a *auditLog) Proof(ctx context.Context, _ pyth.UserID, id string) (*pyth.AuditProof, error) {
	if id != "entry_1" {
		return nil, pyth.Errorf(pyth.CodeNotFound, "There is no such entry.")
	}
	checkpoint, err := a.Checkpoint(ctx)
	return &pyth.AuditProof{Entry: entry(), Record: []byte("record"), TreeSize: 42, Hashes: [][32]byte{{2}}, Checkpoint: checkpoint}, err
}

func (a *auditLog) Note(ctx context.Context, e *pyth.AuditEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noted = append(a.noted, noted{*e, pyth.OriginOf(ctx)})
}

const entryJSON = `{"id":"entry_1","sequence":41,"timestamp":"2026-04-04T08:23:21.123Z","action":"key.created","resource":"key_1","outcome":"success",` +
	`"actor":{"userId":"usr_ada","credential":"api_key","keyPrefix":"pyapi_go"},"ip":"192.0.2.1","userAgent":"curl","requestId":"r1",` +
	`"details":{"name":"ci"},"hash":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`

func TestAuditListsEntries(t *testing.T) {
	s := newServer(t)
	s.audit.next = "next"
	res := s.send(request("GET", "/api/v1/audit?action=key.created&outcome=denied&since=2026-04-04T08:00:00Z&until=2026-04-05T10:00:00.5%2B02:00&limit=7&cursor="+api.NewCursor("audit", "c"), ""))
	if diff := cmp.Diff(`{"entries":[`+entryJSON+`],"nextCursor":"`+api.NewCursor("audit", "next")+`"}`, strings.TrimSpace(res.body)); res.StatusCode != 200 || diff != "" {
		t.Errorf("status %d: %s", res.StatusCode, diff)
	}
	f := s.audit.filter
	if f.Action != pyth.ActionKeyCreated || f.Outcome != pyth.AuditDenied || s.audit.limit != 7 || s.audit.cursor != "c" ||
		!f.Since.Equal(time.Date(2026, 4, 4, 8, 0, 0, 0, time.UTC)) || !f.Until.Equal(time.Date(2026, 4, 5, 8, 0, 0, 500_000_000, time.UTC)) {
		t.Errorf("%+v", s.audit)
	}
	if res := s.send(request("GET", "/api/v1/audit", "")); res.StatusCode != 200 || s.audit.filter != (pyth.AuditFilter{}) || s.audit.limit != 50 {
		t.Errorf("%d, %+v", res.StatusCode, s.audit)
	}
	for _, a := range pyth.Actions() {
		if res := s.send(request("GET", "/api/v1/audit?action="+string(a), "")); res.StatusCode != 200 || s.audit.filter.Action != a {
			t.Errorf("%s: %d", a, res.StatusCode)
		}
	}
	for query, location := range map[string]string{
		"action=nothing": "query.action", "action=audit.pruned": "query.action", "outcome=good": "query.outcome",
		"since=yesterday": "query.since", "until=2026": "query.until", "limit=201": "query.limit",
	} {
		if res := s.send(request("GET", "/api/v1/audit?"+query, "")); res.StatusCode != 400 || res.problem(t).locations()[0] != location {
			t.Errorf("%s: %d: %s", query, res.StatusCode, res.body)
		}
	}
}

func TestAuditProofIsComplete(t *testing.T) {
	s := newServer(t)
	res := s.send(request("GET", "/api/v1/audit/entry_1/proof", ""))
	want := `{"entry":` + entryJSON + `,"record":"cmVjb3Jk","index":41,"treeSize":42,"hashes":["AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],` +
		`"checkpoint":"pyth-on\n42\nroot\n\n— pyth-on sig\n","key":"pyth-on+1+key"}`
	if diff := cmp.Diff(want, strings.TrimSpace(res.body)); res.StatusCode != 200 || diff != "" {
		t.Errorf("status %d: %s", res.StatusCode, diff)
	}
	if res := s.send(request("GET", "/api/v1/audit/entry_2/proof", "")); res.StatusCode != 404 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	res = s.send(request("GET", "/api/v1/audit/checkpoint", ""))
	if want := `{"checkpoint":"pyth-on\n42\nroot\n\n— pyth-on sig\n","key":"pyth-on+1+key"}`; res.StatusCode != 200 || strings.TrimSpace(res.body) != want {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestAuditWithoutLogIsNotImplemented(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Audit, c.Denials = nil, nil })
	for _, path := range []string{"", "/checkpoint", "/entry_1/proof"} {
		if res := s.send(request("GET", "/api/v1/audit"+path, "")); res.StatusCode != 400 || res.problem(t).Code != "not_implemented" {
			t.Errorf("%s: %d: %s", path, res.StatusCode, res.body)
		}
	}
	if res := s.send(anonymous("DELETE", "/api/v1/keys/key_1", "")); res.StatusCode != 401 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestOriginReachesServices(t *testing.T) {
	s := newServer(t)
	var got pyth.Origin
	s.executions.run = func(ctx context.Context, _ *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		got = pyth.OriginOf(ctx)
		return succeeded(""), nil
	}
	r := request("POST", "/api/v1/execute", `{"code":"1"}`)
	r.Header.Set("User-Agent", "curl")
	r.Header.Set("X-Request-Id", "r1")
	s.send(r)
	if want := (pyth.Origin{Credential: pyth.CredentialAPIKey, KeyPrefix: "pyapi_go", IP: "192.0.2.1", UserAgent: "curl", RequestID: "r1"}); got != want {
		t.Errorf("%+v", got)
	}
	r = anonymous("POST", "/api/v1/execute", `{"code":"1"}`)
	r.Header.Set("Authorization", "Bearer "+goodToken)
	s.send(r)
	if got.Credential != pyth.CredentialJWT || got.KeyPrefix != "" || got.RequestID == "" {
		t.Errorf("%+v", got)
	}
}

func TestDeniedAttemptsAreRecorded(t *testing.T) {
	s := newServer(t, func(c *api.Config) {
		c.RateLimits.PerUser = ratelimit.Rate{Count: 1, Per: time.Hour}
		c.RateLimits.LoginPerAccount = ratelimit.Rate{Count: 1, Per: time.Hour}
	})
	bad := func(method, path, body string) *http.Request {
		r := anonymous(method, path, body)
		r.Header.Set("x-api-key", "pyapi_bad")
		return r
	}
	for name, c := range map[string]struct {
		requests []*http.Request
		want     []noted
	}{
		"without credentials":      {[]*http.Request{anonymous("POST", "/api/v1/execute", `{"code":"1"}`)}, []noted{{AuditEvent: pyth.AuditEvent{Action: pyth.ActionCodeExecuted}}}},
		"with invalid credentials": {[]*http.Request{bad("DELETE", "/api/v1/keys/key_1", "")}, []noted{{AuditEvent: pyth.AuditEvent{Action: pyth.ActionKeyRevoked}}}},
		"with an invalid token to renew": {
			[]*http.Request{bad("POST", "/api/refresh", "")},
			[]noted{{AuditEvent: pyth.AuditEvent{Action: pyth.ActionTokenRefreshed}}},
		},
		"too often": {
			[]*http.Request{request("POST", "/api/v1/keys", `{"name":"a"}`), request("POST", "/api/v1/keys", `{"name":"a"}`)},
			[]noted{{AuditEvent: pyth.AuditEvent{User: "usr_ada", Action: pyth.ActionKeyCreated}, Origin: pyth.Origin{KeyPrefix: "pyapi_go"}}},
		},
		"too many guesses": {
			[]*http.Request{anonymous("POST", "/api/login", loginJSON), anonymous("POST", "/api/login", loginJSON)},
			[]noted{{AuditEvent: pyth.AuditEvent{Action: pyth.ActionUserLogin}}},
		},
		// The API must not write audit entries for these requests. Some of them only read
		// data, and some match no audited action. For the others, the service writes the
		// entries.
		"actions that the log does not contain": {[]*http.Request{bad("GET", "/api/v1/keys", ""), bad("POST", "/api/verify", ""), bad("GET", "/api/v1/audit", "")}, nil},
		"with a fault":                          {[]*http.Request{anonymous("POST", "/api/login", `{}`), anonymous("POST", "/api/nothing", "")}, nil},
	} {
		s.audit.noted = nil
		for _, r := range c.requests {
			s.send(r)
		}
		var got []noted
		for _, n := range s.audit.noted {
			if n.Outcome != pyth.AuditDenied || n.IP != "192.0.2.1" || n.Details["code"] == nil {
				t.Errorf("%s: %+v", name, n)
			}
			got = append(got, noted{AuditEvent: pyth.AuditEvent{User: n.User, Action: n.Action}, Origin: pyth.Origin{KeyPrefix: n.KeyPrefix}})
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDeniedFloodIsBoundedAndCounted(t *testing.T) {
	at := created
	s := newServer(t, func(c *api.Config) { c.Now = func() time.Time { return at } })
	send := func(ip string) {
		r := anonymous("DELETE", "/api/v1/keys/key_1", "")
		r.RemoteAddr = ip
		s.send(r)
	}
	for range 200 {
		send("192.0.2.1:1234")
	}
	if n := len(s.audit.noted); n != 30 {
		t.Errorf("%d refusals of one address were recorded, want 30", n)
	}
	for i := range 50 {
		for range 30 {
			send("198.51.100." + string(rune('0'+i%10)) + string(rune('0'+i/10)) + ":1")
		}
	}
	if n := len(s.audit.noted); n > 600 {
		t.Errorf("%d refusals were recorded in all, want at most 600", n)
	}
	// The next entry contains the number of omitted entries. The entries after it must
	// not contain this number again.
	before := len(s.audit.noted)
	total := before
	for _, n := range s.audit.noted {
		if omitted, ok := n.Details["omitted"].(int64); ok {
			total += int(omitted)
		}
	}
	at = at.Add(time.Minute)
	send("192.0.2.1:1234")
	last := s.audit.noted[before]
	if omitted, ok := last.Details["omitted"].(int64); !ok || total+int(omitted) != 1700 {
		t.Errorf("%d are recorded: %v", total, last.Details)
	}
	send("192.0.2.1:1234")
	if last := s.audit.noted[before+1]; last.Details["omitted"] != nil {
		t.Errorf("%v", last.Details)
	}
}
