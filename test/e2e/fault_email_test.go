package e2e_test

import (
	"fmt"
	"testing"
)

// TestRegisterNormalizesEmails registers an account with one spelling of an e-mail
// address. With another spelling of the same address, a user must be able to log in to
// this account. A second registration with another spelling must fail.
func TestRegisterNormalizesEmails(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	for i, forms := range [][]string{
		{"ren\u00e9%d@example.org", "rene\u0301%d@example.org"},
		{"o\u0308zil%d@example.net", "\u00f6zil%d@EXAMPLE.net"},
		{"ada%d@b\u00fccher.example", "ada%d@xn--bcher-kva.example", "ada%d@bu\u0308cher.example", "ADA%d@XN--BCHER-KVA.EXAMPLE"},
		{"ada%d@xn--e1afmkfd.xn--p1ai", "ada%d@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"},
	} {
		for j, form := range forms {
			body := object{"email": fmt.Sprintf(form, i), "password": password}
			if j == 0 {
				s.call(t, nil, "POST", "/api/register", body).want(t, 201, nil)
			} else {
				s.call(t, nil, "POST", "/api/register", body).refused(t, 409, "email_taken")
			}
			s.call(t, nil, "POST", "/api/login", body).want(t, 200, nil)
		}
	}
}
