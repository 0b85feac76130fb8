package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

// unconfirmed is an AccountService whose users must confirm their addresses.
type unconfirmed struct{ *accounts }

func (a unconfirmed) Authenticate(ctx context.Context, c pyth.Credentials) (*pyth.Principal, error) {
	p, err := a.accounts.Authenticate(ctx, c)
	if err == nil {
		p.Unconfirmed = true
	}
	return p, err
}

// newUnconfirmedServer returns a server whose users must confirm their addresses, the
// calls of its ProfileService, and the addresses to which it sends links.
func newUnconfirmedServer(t *testing.T) (s *server, x *profiles, sent *[]string) {
	t.Helper()
	a := newAccounts()
	a.grant.User.EmailUnconfirmedAt = created
	x, sent = &profiles{}, new([]string)
	return newServer(t, func(c *api.Config) {
		c.Accounts, c.Profiles = unconfirmed{a}, x
		c.RateLimits.ConfirmPerAccount = ratelimit.Rate{Count: 5, Per: time.Hour}
		c.SendConfirmation = func(email string) { *sent = append(*sent, email) }
	}), x, sent
}

// TestUnconfirmedCallersOnlyManageTheAccount reads the operations from the OpenAPI
// document, so that the test includes new operations.
func TestUnconfirmedCallersOnlyManageTheAccount(t *testing.T) {
	s := newFullServer(t, func(c *api.Config) { c.Accounts = unconfirmed{newAccounts()} })
	refused, allowed := 0, 0
	eachOperation(openAPI(t), func(name string, op node) {
		scope, ok := op["x-scope"].(string)
		if !ok {
			return
		}
		method, path, _ := strings.Cut(name, " ")
		body := ""
		if op["requestBody"] != nil {
			body = "{}"
		}
		res := s.send(request(method, pathParameter.ReplaceAllString(path, "x"), body))
		if isRefused := res.StatusCode >= 400 && res.problem(t).Code == "email_unconfirmed"; isRefused == (scope == string(pyth.ScopeAccount)) {
			t.Errorf("%s with the scope %s: %d %s", name, scope, res.StatusCode, res.body)
		}
		if scope == string(pyth.ScopeAccount) {
			allowed++
		} else {
			refused++
		}
	})
	if refused < 40 || allowed < 10 {
		t.Errorf("%d operations were refused, and %d allowed", refused, allowed)
	}
}

func TestConfirmationIsSentToNewAddresses(t *testing.T) {
	s, x, sent := newUnconfirmedServer(t)
	for _, r := range []*http.Request{
		anonymous("POST", "/api/register", `{"email": "ada@example.org", "password": "correct horse battery"}`),
		anonymous("POST", "/api/email/resend", `{"email": "who@example.org"}`),
		request("PATCH", "/api/v1/me", `{"email": "new@example.org", "currentPassword": "correct horse battery"}`),
	} {
		if res := s.send(r); res.StatusCode >= 300 {
			t.Errorf("got %d: %s", res.StatusCode, res.body)
		}
	}
	// The fake ProfileService returns a confirmed account.
	if got := strings.Join(*sent, " "); got != "ada@example.org who@example.org" {
		t.Errorf("sent to %s", got)
	}
	if res := s.send(anonymous("POST", "/api/email/confirm", `{"token": "pyconfirm_x"}`)); res.StatusCode != http.StatusNoContent || x.calls[len(x.calls)-1] != "confirm pyconfirm_x" {
		t.Errorf("got %d, calls %q", res.StatusCode, x.calls)
	}
	// One client can request five mails an hour for one address.
	for range 6 {
		register := anonymous("POST", "/api/register", `{"email": "ADA@example.org", "password": "correct horse battery"}`)
		if res := s.send(register); res.StatusCode >= 300 {
			t.Errorf("got %d: %s", res.StatusCode, res.body)
		}
	}
	if got := strings.Count(strings.Join(*sent, " "), "ada@example.org"); got != 5 {
		t.Errorf("sent %d mails to one address", got)
	}
	x.err = pyth.Errorf(pyth.CodeInvalidCredentials, "unknown")
	if p := s.send(anonymous("POST", "/api/email/confirm", `{"token": "pyconfirm_x"}`)).problem(t); p.Status != http.StatusUnauthorized {
		t.Errorf("got %+v", p)
	}
}

// TestOthersCannotUseUpMails checks that other clients cannot use up the mail limit of
// the owner of an address. It also checks that many clients together cannot fill the
// mailbox.
func TestOthersCannotUseUpMails(t *testing.T) {
	var sent int
	s := newServer(t, func(c *api.Config) {
		c.Profiles = &profiles{}
		c.RateLimits = api.RateLimits{
			ResetPerAccount: ratelimit.Rate{Count: 2, Per: time.Hour}, ConfirmPerAccount: ratelimit.Rate{Count: 2, Per: time.Hour},
			MailPerAddress: ratelimit.Rate{Count: 5, Per: time.Hour},
		}
		c.SendConfirmation = func(string) { sent++ }
		c.SendReset = c.SendConfirmation
	})
	for _, path := range []string{"/api/email/resend", "/api/password/forgot"} {
		sent = 0
		ask := func(ip string) int {
			r := anonymous("POST", path, `{"email": "ada@example.org"}`)
			r.RemoteAddr = ip + ":1"
			return s.send(r).StatusCode
		}
		for i, c := range []struct {
			ip           string
			status, sent int
		}{
			{"192.0.2.1", 202, 1}, {"192.0.2.1", 202, 2}, {"192.0.2.1", 429, 2}, // another client
			{"192.0.2.2", 202, 3}, {"192.0.2.2", 202, 4}, // the owner
			{"192.0.2.3", 202, 5}, {"192.0.2.3", 202, 5}, {"192.0.2.3", 429, 5},
		} {
			if status := ask(c.ip); status != c.status || sent != c.sent {
				t.Errorf("%s, request %d of %s: status %d, %d mails, want %+v", path, i, c.ip, status, sent, c)
			}
		}
	}
}
