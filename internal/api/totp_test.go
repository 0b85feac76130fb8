package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// secondFactors is a fake pyth.SecondFactorService.
type secondFactors struct {
	calls []string
	err   error
}

func (x *secondFactors) call(parts ...string) error {
	x.calls = append(x.calls, strings.Join(parts, " "))
	return x.err
}

func (x *secondFactors) SecondFactor(context.Context, *pyth.Principal) (*pyth.SecondFactor, error) {
	return &pyth.SecondFactor{RecoveryCodes: 7}, x.call("get")
}

func (x *secondFactors) Enroll(_ context.Context, _ *pyth.Principal, given, issuer string) (*pyth.Enrollment, error) {
	return &pyth.Enrollment{Secret: "SECRET", URI: "otpauth://totp/x", QRCode: []byte{1}}, x.call("enroll", given, issuer)
}

func (x *secondFactors) Confirm(_ context.Context, _ *pyth.Principal, code string) ([]string, error) {
	return []string{"abcd-efgh"}, x.call("confirm", code)
}

func (x *secondFactors) ReplaceRecoveryCodes(_ context.Context, _ *pyth.Principal, given, code string) ([]string, error) {
	return []string{"abcd-efgh"}, x.call("replace", given, code)
}

func (x *secondFactors) Remove(_ context.Context, _ *pyth.Principal, given, code string) error {
	return x.call("remove", given, code)
}

func TestTOTPOperations(t *testing.T) {
	x := &secondFactors{}
	s := newServer(t, func(c *api.Config) { c.SecondFactors = x })
	for _, c := range []struct {
		method, path, body, call string
		status                   int
	}{
		{"POST", "", `{"currentPassword": "p"}`, "enroll p Pyth-On example.com", 201},
		{"POST", "/verify", `{"code": "123 456"}`, "confirm 123 456", 200},
		{"POST", "/recovery-codes", `{"currentPassword": "p", "code": "1"}`, "replace p 1", 200},
		{"DELETE", "", `{"currentPassword": "p", "code": "1"}`, "remove p 1", 204},
	} {
		x.calls = nil
		if a := s.send(request(c.method, "/api/v1/me/totp"+c.path, c.body)); a.StatusCode != c.status || len(x.calls) != 1 || x.calls[0] != c.call {
			t.Errorf("%s %s: got %d %s, calls %q", c.method, c.path, a.StatusCode, a.body, x.calls)
		}
	}
	if a := s.send(request("GET", "/api/v1/me/totp", "")); a.body != `{"enabled":false,"recoveryCodesLeft":0}` {
		t.Errorf("got %s", a.body)
	}
	x.err = pyth.Errorf(pyth.CodeInvalidSecondFactor, "wrong")
	if p := s.send(request("POST", "/api/v1/me/totp/verify", `{"code": "1"}`)).problem(t); p.Status != http.StatusUnauthorized || p.Code != "invalid_second_factor" {
		t.Errorf("got %+v", p)
	}
}

// TestTOTPIssuerIsAHostName sends a Host header with characters that are separators in an
// otpauth URI.
func TestTOTPIssuerIsAHostName(t *testing.T) {
	for host, want := range map[string]string{
		"api.example.org:8080": "Pyth-On api.example.org", "127.0.0.1:8080": "Pyth-On", "[::1]:80": "Pyth-On", "": "Pyth-On",
	} {
		x := &secondFactors{}
		s := newServer(t, func(c *api.Config) { c.SecondFactors = x })
		r := request("POST", "/api/v1/me/totp", `{"currentPassword": "p"}`)
		r.Host = host
		if s.send(r); len(x.calls) != 1 || x.calls[0] != "enroll p "+want {
			t.Errorf("host %q: calls %q", host, x.calls)
		}
	}
}

func TestLoginPassesTheCode(t *testing.T) {
	s := newServer(t)
	s.send(anonymous("POST", "/api/login", `{"email": "ada@example.org", "password": "`+password+`", "code": "123456"}`))
	if len(s.accounts.calls) != 1 || s.accounts.calls[0] != "login ada@example.org 123456" {
		t.Errorf("calls %q", s.accounts.calls)
	}
	s.accounts.err = pyth.Errorf(pyth.CodeSecondFactorRequired, "Send a code.")
	res := s.send(anonymous("POST", "/api/login", loginJSON))
	if p := res.problem(t); p.Status != http.StatusUnauthorized || p.Code != "second_factor_required" || strings.Contains(res.body, goodKey) {
		t.Errorf("got %s", res.body)
	}
}
