package api_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// adminAccounts is an AccountService whose caller is an administrator.
type adminAccounts struct{ pyth.AccountService }

func (a adminAccounts) Authenticate(ctx context.Context, c pyth.Credentials) (*pyth.Principal, error) {
	p, err := a.AccountService.Authenticate(ctx, c)
	if err == nil {
		p.User.Role = pyth.RoleAdmin
		p.Scopes = pyth.Scopes()
	}
	return p, err
}

// administration is a fake AdminService that stores the last change.
type administration struct {
	pyth.AdminService
	actor  pyth.UserID
	change pyth.UserChange
	search string
}

func (a *administration) Users(_ context.Context, search string, _ pyth.UserID, _ int) ([]*pyth.User, pyth.UserID, error) {
	a.search = search
	u := ada()
	u.Role, u.Quotas = pyth.RoleUser, map[pyth.QuotaName]int64{pyth.QuotaSessions: 3}
	return []*pyth.User{&u}, "usr_ada", nil
}

func (a *administration) UpdateUser(_ context.Context, actor, _ pyth.UserID, c pyth.UserChange) (*pyth.User, error) {
	a.actor, a.change = actor, c
	u := ada()
	c.Apply(&u, created)
	return &u, nil
}

func (a *administration) CreateInvite(context.Context, pyth.UserID, string, time.Duration) (*pyth.Invite, string, error) {
	return &pyth.Invite{ID: "inv_1", CreatedAt: created, ExpiresAt: created.Add(time.Hour)}, "pyinv_code", nil
}

func (*administration) User(context.Context, pyth.UserID) (*pyth.User, error) {
	u := ada()
	return &u, nil
}

func (*administration) CreateUser(context.Context, pyth.UserID, pyth.NewUser) (*pyth.CreatedUser, error) {
	return &pyth.CreatedUser{User: ada(), APIKey: goodKey}, nil
}

func (*administration) DeleteUser(context.Context, pyth.UserID, pyth.UserID) error { return nil }

func (*administration) CreateReset(context.Context, pyth.UserID, pyth.UserID) (*pyth.Reset, error) {
	return &pyth.Reset{Token: "pyreset_token", ExpiresAt: created.Add(time.Hour)}, nil
}

func (*administration) DeleteKeys(context.Context, pyth.UserID, pyth.UserID) (int64, error) {
	return 2, nil
}

func (*administration) DeleteLogins(context.Context, pyth.UserID, pyth.UserID) error { return nil }

func (*administration) DeleteSecondFactor(context.Context, pyth.UserID, pyth.UserID) error {
	return nil
}

func (*administration) Invites(context.Context, pyth.InviteID, int) ([]*pyth.Invite, pyth.InviteID, error) {
	return []*pyth.Invite{{ID: "inv_1", CreatedAt: created, ExpiresAt: created.Add(time.Hour)}}, "", nil
}

func (*administration) DeleteInvite(context.Context, pyth.UserID, pyth.InviteID) error { return nil }

// operations is a fake OperationsService. It simulates a server with one run.
type operations struct{}

var oneActive = pyth.ActiveExecution{Email: "ada@example.org", ExecutionRecord: pyth.ExecutionRecord{
	ID: "key_1", User: "usr_ada", State: pyth.StateRunning, Language: pyth.Python, CreatedAt: created, Content: pyth.ContentNone,
}}

func (operations) ActiveExecutions(context.Context, pyth.ExecutionID, int) ([]*pyth.ActiveExecution, pyth.ExecutionID, error) {
	return []*pyth.ActiveExecution{&oneActive}, "", nil
}

func (operations) CancelExecution(context.Context, pyth.UserID, pyth.ExecutionID) (*pyth.ActiveExecution, error) {
	return &oneActive, nil
}

func (operations) Overview(context.Context) (*pyth.Overview, error) {
	return &pyth.Overview{Database: "sqlite"}, nil
}

// asAdmin makes the caller of a server an administrator.
func asAdmin(c *api.Config) {
	c.Accounts, c.Admin, c.Operations = adminAccounts{c.Accounts}, new(administration), operations{}
	c.Settings = func() []pyth.Setting {
		return []pyth.Setting{{Name: "addr", Value: ":80", Origin: "flag", Source: "--addr"}}
	}
}

func newAdminServer(t *testing.T) (*server, *administration) {
	a := new(administration)
	return newServer(t, func(c *api.Config) { c.Accounts, c.Admin = adminAccounts{c.Accounts}, a }), a
}

// TestAdministratorsNeedAnActiveLogin reads the operations from the OpenAPI document, so
// that the test includes new operations.
func TestAdministratorsNeedAnActiveLogin(t *testing.T) {
	a := newAccounts()
	a.endedLogin = pyth.Errorf(pyth.CodeUnauthenticated, "The login of this token has ended.")
	s := newFullServer(t, func(c *api.Config) { c.Accounts = adminAccounts{a} })
	tried := 0
	eachOperation(openAPI(t), func(name string, op node) {
		if op["x-scope"] != string(pyth.ScopeAdmin) {
			return
		}
		tried++
		method, path, _ := strings.Cut(name, " ")
		body := ""
		if op["requestBody"] != nil {
			body = "{}"
		}
		r := anonymous(method, pathParameter.ReplaceAllString(path, "x"), body)
		r.Header.Set("Authorization", "Bearer "+goodToken)
		if res := s.send(r); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.body)
		}
	})
	if tried < 10 {
		t.Errorf("tried %d operations", tried)
	}
}

func TestListUsers(t *testing.T) {
	s, a := newAdminServer(t)
	res := s.send(request("GET", "/api/v1/admin/users?q=ada", ""))
	if want := `"createdAt":"2026-04-04T08:23:21.123Z","emailConfirmed":true,"role":"user","disabled":false,"quotas":{"sessions":3}}]`; !strings.Contains(res.body, want) || a.search != "ada" {
		t.Errorf("got %s, search %q", res.body, a.search)
	}
	if strings.Contains(res.body, "HASH") {
		t.Error("the response contains the hash of the password")
	}
}

func TestUpdateUserReadsQuotasAndNull(t *testing.T) {
	s, a := newAdminServer(t)
	res := s.send(request("PATCH", "/api/v1/admin/users/usr_ada", `{"disabled":true,"role":"admin","quotas":{"sessions":0,"storageBytes":null}}`))
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.body)
	}
	want := pyth.UserChange{
		Disabled: new(true), Role: new(pyth.RoleAdmin), Quotas: map[pyth.QuotaName]*int64{pyth.QuotaSessions: new(int64(0)), pyth.QuotaStorage: nil},
	}
	if diff := cmp.Diff(want, a.change); diff != "" || a.actor != "usr_ada" {
		t.Errorf("actor %q: %s", a.actor, diff)
	}
	for body, location := range map[string]string{
		`{"disabled":null}`:              "body.disabled",
		`{"quotas":null}`:                "body.quotas",
		`{"role":"root"}`:                "body.role",
		`{"quotas":{"sessions":-1}}`:     "body.quotas.sessions",
		`{"quotas":{"sessions":"many"}}`: "body.quotas.sessions",
		`{"quotas":{"session":1}}`:       "body.quotas.session",
	} {
		p := s.send(request("PATCH", "/api/v1/admin/users/usr_ada", body)).problem(t)
		if p.Status != http.StatusBadRequest || len(p.Errors) == 0 || p.Errors[0].Location != location {
			t.Errorf("%s: got %+v", body, p)
		}
	}
}

func TestCreateInviteReturnsALink(t *testing.T) {
	s, _ := newAdminServer(t)
	res := s.send(request("POST", "/api/v1/admin/invites", `{}`))
	if want := `"url":"http://example.com/account#invite=pyinv_code"`; res.StatusCode != http.StatusCreated || !strings.Contains(res.body, want) {
		t.Errorf("got %d: %s", res.StatusCode, res.body)
	}
}

func TestLinksHaveSchemeOfCaller(t *testing.T) {
	for _, tt := range []struct {
		name, peer, public string
		forwarded          []string
		want               string
	}{
		{"no proxy", "1.2.3.4:5", "", nil, "http://example.com/"},
		{"proxy with TLS", "10.0.0.1:5", "", []string{"https"}, "https://example.com/"},
		{"proxy without TLS", "10.0.0.1:5", "", []string{"http"}, "http://example.com/"},
		{"the last proxy counts", "10.0.0.1:5", "", []string{"https, http"}, "http://example.com/"},
		{"other scheme", "10.0.0.1:5", "", []string{"javascript"}, "http://example.com/"},
		{"header of an untrusted peer is ignored", "1.2.3.4:5", "", []string{"https"}, "http://example.com/"},
		{"configured address", "10.0.0.1:5", "https://api.example.org/", nil, "https://api.example.org/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, func(c *api.Config) {
				asAdmin(c)
				c.PublicURL, c.TrustedProxies = tt.public, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			})
			r := request("POST", "/api/v1/admin/invites", `{}`)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-Proto"] = tt.forwarded
			if res := s.send(r); !strings.Contains(res.body, `"url":"`+tt.want+`account#invite=`) {
				t.Errorf("got %s, want %s", res.body, tt.want)
			}
		})
	}
}

// TestAdminOperationsRefuseUsers reads the operations from the OpenAPI document. So the
// test automatically includes new operations.
func TestAdminOperationsRefuseUsers(t *testing.T) {
	s := newFullServer(t)
	n := 0
	eachOperation(openAPI(t), func(name string, op node) {
		method, path, _ := strings.Cut(name, " ")
		if !strings.HasPrefix(path, "/api/v1/admin/") {
			return
		}
		n++
		body := ""
		if op["requestBody"] != nil {
			body = "{}"
		}
		p := s.send(request(method, strings.ReplaceAll(path, "{id}", "usr_ada"), body)).problem(t)
		if p.Status != http.StatusForbidden || p.Code != string(pyth.CodeForbidden) {
			t.Errorf("%s: got %+v", name, p)
		}
	})
	if n < 14 {
		t.Errorf("the document has %d operations for administrators", n)
	}
}
