package account

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

func TestNormalizeEmail(t *testing.T) {
	local := strings.Repeat("a", 64)
	long := strings.Repeat("b", 63)
	for _, c := range []struct{ name, raw, want string }{
		{"unchanged", "ada@example.org", "ada@example.org"},
		{"surrounding spaces", " \tada@example.org\r\n", "ada@example.org"},
		{"a domain in capitals", "Ada@EXAMPLE.Org", "Ada@example.org"},
		{"international domain", "ada@BÜCHER.example", "ada@bücher.example"},
		{"allowed special characters", "a.b+c_d-e!#$%&'*/=?^`{|}~@x", "a.b+c_d-e!#$%&'*/=?^`{|}~@x"},
		{"international name", "имя@пример.рф", "имя@пример.рф"},
		{"no dot in the domain", "root@localhost", "root@localhost"},
		{"the longest name", local + "@x", local + "@x"},
		{"the longest", local + "@" + long + "." + long + "." + long[:61], local + "@" + long + "." + long + "." + long[:61]},

		{"letters with combining marks", "rene\u0301@example.org", "ren\u00e9@example.org"},
		{"a domain with combining marks", "ada@bu\u0308cher.example", "ada@b\u00fccher.example"},
		{"a domain in Punycode", "ada@xn--bcher-kva.example", "ada@b\u00fccher.example"},
		{"a domain in Punycode and capitals", "ada@XN--BCHER-KVA.Example", "ada@b\u00fccher.example"},
		{"a domain in wide letters", "ada@\uff45xample.org", "ada@example.org"},
		{"a domain with a full stop of another script", "ada@example\u3002org", "ada@example.org"},
		{"a name of a local network", "ada@build_host", "ada@build_host"},

		{"Punycode of nothing", "ada@xn--a.example", ""},
		{"one too long", local + "@" + long + "." + long + "." + long[:62], ""},
		{"a name too long", local + "a@x", ""},
		{"a label too long", "a@" + long + "b", ""},
		{"nothing", "", ""},
		{"blanks", "  ", ""},
		{"no at", "ada.example.org", ""},
		{"no name", "@example.org", ""},
		{"no domain", "ada@", ""},
		{"two ats", "ada@home@example.org", ""},
		{"an empty label", "ada@example..org", ""},
		{"a dot at the end", "ada@example.org.", ""},
		{"a dot at the start", "ada@.example.org", ""},
		{"a hyphen at the start", "ada@-example.org", ""},
		{"a hyphen at the end", "ada@example-.org", ""},
		{"a blank inside", "ada b@example.org", ""},
		{"a blank of another kind", "ada\u00a0b@example.org", ""},
		{"a line break inside", "ada@example.org\nBcc: bob@example.org", ""},
		{"NUL", "ada\x00@example.org", ""},
		{"a letter without width", "ada\u200b@example.org", ""},
		{"a mark that turns the text around", "ada\u202e@example.org", ""},
		{"a name in quotes", `"ada"@example.org`, ""},
		{"a display name", "Ada <ada@example.org>", ""},
		{"a comment", "ada(countess)@example.org", ""},
		{"two addresses", "ada@example.org,bob@example.org", ""},
		{"IP address as domain", "ada@[127.0.0.1]", ""},
		{"invalid UTF-8", "ada\xff@example.org", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := normalizeEmail(c.raw)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil {
				if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != "body.email" {
					t.Errorf("got %+v", err)
				}
			}
			forms := storedForms(c.raw)
			if len(forms) > 0 != (c.want != "") || len(forms) > 0 && forms[0] != c.want {
				t.Errorf("the lookup of %q uses %q", c.raw, forms)
			}
		})
	}
}

func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"ada@example.org", " A@B ", "@", "a@İ.x", "a@\u212a", "\xff@\xff", "a@b@c", "имя@пример.рф"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		email, err := normalizeEmail(raw)
		if err != nil {
			if email != "" {
				t.Errorf("%q is refused, but %q is returned", raw, email)
			}
			return
		}
		if len(email) > 254 || !utf8.ValidString(email) || strings.Count(email, "@") != 1 || strings.IndexFunc(email, unicode.IsSpace) >= 0 ||
			strings.IndexFunc(email, unicode.IsControl) >= 0 {
			t.Errorf("%q became %q", raw, email)
		}
		if again, err := normalizeEmail(email); again != email || err != nil {
			t.Errorf("%q became %q, then %q, %v", raw, email, again, err)
		}
		if key := pyth.EmailKey(email); key != pyth.EmailKey(key) {
			t.Errorf("the key of %q is %q, which has another key", raw, key)
		}
	})
}

func TestStoredFormsIncludesOldForm(t *testing.T) {
	for _, c := range []struct{ raw, former string }{
		{"rene\u0301@example.org", "rene\u0301@example.org"},
		{" Ada@XN--BCHER-KVA.example\n", "Ada@xn--bcher-kva.example"},
	} {
		if forms := storedForms(c.raw); len(forms) != 2 || forms[1] != c.former {
			t.Errorf("the lookup of %q uses %q", c.raw, forms)
		}
	}
	if forms := storedForms("Ada@Example.org"); len(forms) != 1 {
		t.Errorf("the lookup uses %q", forms)
	}
}
