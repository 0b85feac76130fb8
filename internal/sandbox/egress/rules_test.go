package egress

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

func TestParseRulesNormalizes(t *testing.T) {
	for entry, want := range map[string]string{
		"api.github.com":            "api.github.com",
		"API.GitHub.Com":            "api.github.com",
		"api.github.com.":           "api.github.com",
		"api.github.com:8443":       "api.github.com:8443",
		"api.github.com.:8443":      "api.github.com:8443",
		"*.example.org":             "*.example.org",
		"*.Example.org:8443":        "*.example.org:8443",
		"bücher.example":            "xn--bcher-kva.example",
		"BÜCHER.example":            "xn--bcher-kva.example",
		"*.bücher.example":          "*.xn--bcher-kva.example",
		"例え。テスト":                    "xn--r8jz45g.xn--zckzah",
		"r3---sn-abc.example.com":   "r3---sn-abc.example.com",
		"my_bucket.s3.example.com":  "my_bucket.s3.example.com",
		"localhost":                 "localhost",
		"1.example.org":             "1.example.org",
		"93.184.216.34":             "93.184.216.34",
		"93.184.216.34:8080":        "93.184.216.34:8080",
		"[2606:4700::1]":            "[2606:4700::1]",
		"[2606:4700:0::0001]:443":   "[2606:4700::1]:443",
		"[::ffff:93.184.216.34]:80": "93.184.216.34:80",
	} {
		rules, err := ParseRules([]string{entry})
		if err != nil {
			t.Errorf("%s: %v", entry, fields(t, err))
			continue
		}
		if got := rules.Strings(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", entry, got, want)
		}
	}
}

func TestParseRulesRefusesInvalidRules(t *testing.T) {
	for name, entry := range map[string]string{
		"nothing":                          "",
		"a space":                          " ",
		"leading space":                    " example.org",
		"trailing space":                   "example.org ",
		"a line break":                     "example.org\n",
		"NUL":                              "evil.org\x00.example.org",
		"a scheme":                         "https://example.org",
		"a path":                           "example.org/path",
		"a user":                           "user@example.org",
		"a query":                          "example.org?x",
		"two dots at the end":              "example.org..",
		"leading dot":                      ".example.org",
		"two dots within":                  "example..org",
		"a dot alone":                      ".",
		"everything":                       "*",
		"everything on a port":             "*:443",
		"everything with a dot":            "*.",
		"a whole top-level domain":         "*.com",
		"the same with a dot at its end":   "*.com.",
		"a star within a label":            "a*.example.org",
		"a star at the end of a label":     "*a.example.org",
		"a star in the middle":             "a.*.example.org",
		"two stars":                        "*.*.example.org",
		"a wide star":                      "＊.example.org",
		"a star before an address":         "*.1.2.3.4",
		"no port after the colon":          "example.org:",
		"port 0":                           "example.org:0",
		"port 65536":                       "example.org:65536",
		"a port with a sign":               "example.org:+443",
		"port with a leading zero":         "example.org:0443",
		"a port with a name":               "example.org:https",
		"two ports":                        "example.org:80:443",
		"leading hyphen":                   "-a.example.org",
		"trailing hyphen":                  "a-.example.org",
		"a label of 64":                    strings.Repeat("a", 64) + ".org",
		"a name of 254":                    strings.Repeat("a.", 126) + "ab",
		"10 KB":                            strings.Repeat("a.", 5000) + "org",
		"not UTF-8":                        "ex\xffample.org",
		"mixed directions":                 "a\u05d0b.example",
		"a joiner":                         "exam\u200dple.org",
		"one number":                       "2130706433",
		"octal":                            "0177.0.0.1",
		"a short address":                  "127.1",
		"hexadecimal":                      "0x7f.1",
		"hexadecimal alone":                "0x7f000001",
		"hexadecimal at the end":           "127.0.0.0x1",
		"nothing but 0x":                   "0x",
		"leading zeros":                    "127.000.000.001",
		"five numbers":                     "1.2.3.4.5",
		"a number that is too large":       "256.1.1.1",
		"an address with a dot at its end": "127.0.0.1.",
		"wide digits":                      "１２７.1",
		"IPv6 without brackets":            "2606:4700::1",
		"IPv6 with a zone":                 "[fe80::1%eth0]",
		"IPv6 with a zone in a URL":        "[fe80::1%25eth0]",
		"IPv4 in brackets":                 "[1.2.3.4]",
		"half of the brackets":             "[2606:4700::1",
		"the other half":                   "2606:4700::1]",
		"text after the brackets":          "[2606:4700::1]x",
		"a name in brackets":               "[example.org]",
		"a network":                        "10.0.0.0/8",
		"a percent escape":                 "example%2eorg",
		"a backslash":                      `example.org\x`,
	} {
		rules, err := ParseRules([]string{"example.com", entry})
		if err == nil {
			t.Errorf("%s: %q was parsed as %q", name, entry, rules.Strings()[1])
			continue
		}
		f := fields(t, err)
		if len(f) != 1 || f[0].Location != "body.network.allow[1]" || f[0].Message == "" {
			t.Errorf("%s: got fields %v", name, f)
		}
		if entry != "" && entry != " " && entry != "." && strings.Contains(f[0].Message, entry) && entry != "*" && entry != "0x" {
			t.Errorf("%s: the message repeats the value: %s", name, f[0].Message)
		}
		if rules.Len() != 0 {
			t.Errorf("%s: rules were returned with an error", name)
		}
	}
}

func TestParseRulesReportsAllErrors(t *testing.T) {
	_, err := ParseRules([]string{"*", "example.org", "127.1"})
	want := []pyth.FieldError{
		{Location: "body.network.allow[0]", Message: errAll.Error()},
		{Location: "body.network.allow[2]", Message: errAddress.Error()},
	}
	if diff := cmp.Diff(want, fields(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRulesAreLimited(t *testing.T) {
	if _, err := ParseRules(slices.Repeat([]string{"example.org"}, 100)); err != nil {
		t.Errorf("100 rules were refused: %v", err)
	}
	_, err := ParseRules(slices.Repeat([]string{"example.org"}, 101))
	if f := fields(t, err); len(f) != 1 || f[0].Location != "body.network.allow" {
		t.Errorf("101 rules: got %v", f)
	}
}

func TestRuleAllows(t *testing.T) {
	for _, c := range []struct {
		name, rule, target string
		allow, deny        bool
	}{
		{"its host on port 443", "example.org", "example.org:443", true, true},
		{"its host on port 80", "example.org", "example.org:80", true, true},
		{"no other port", "example.org", "example.org:8443", false, true},
		{"only its port if it has one", "example.org:8443", "example.org:443", false, false},
		{"its port", "example.org:8443", "example.org:8443", true, true},
		{"no subdomain", "example.org", "a.example.org:443", false, false},
		{"no parent domain", "a.example.org", "example.org:443", false, false},
		{"no other name with the same end", "example.org", "notexample.org:443", false, false},
		{"all subdomains of a wildcard", "*.example.org", "a.example.org:443", true, true},
		{"deep subdomains of a wildcard", "*.example.org", "a.b.example.org:443", true, true},
		{"not the domain of a wildcard", "*.example.org", "example.org:443", false, false},
		{"no other name with the same end as a wildcard", "*.example.org", "notexample.org:443", false, false},
		{"other ports only with an explicit port", "*.example.org", "a.example.org:8443", false, true},
		{"a star with a port", "*.example.org:8443", "a.example.org:8443", true, true},
		{"capitals", "example.org", "EXAMPLE.org:443", true, true},
		{"a dot at the end", "example.org", "example.org.:443", true, true},
		{"an address", "93.184.216.34", "93.184.216.34:443", true, true},
		{"any spelling of an IPv6 address", "[2606:4700::1]", "[2606:4700:0:0::1]:443", true, true},
		{"no other address", "93.184.216.34", "93.184.216.35:443", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules, err := ParseRules([]string{"other.example", c.rule})
			if err != nil {
				t.Fatal(err)
			}
			to, err := parseTarget(c.target, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := rules.allow(to); got != c.allow {
				t.Errorf("allow: got %v, want %v", got, c.allow)
			}
			if got := rules.deny(to); got != c.deny {
				t.Errorf("deny: got %v, want %v", got, c.deny)
			}
		})
	}
}

func TestParseDenyAcceptsTopLevelDomain(t *testing.T) {
	rules, err := ParseDeny([]string{"*.internal"})
	if err != nil {
		t.Fatal(err)
	}
	if !rules.deny(target{host: host{name: "db.corp.internal"}, port: 5432}) {
		t.Error("a subdomain is not denied")
	}
	if _, err := ParseDeny([]string{"https://x"}); err == nil || !strings.Contains(err.Error(), `"https://x"`) {
		t.Errorf("got %v, want an error that quotes the entry", err)
	}
}

func TestPolicyChecksRequests(t *testing.T) {
	two, err := ParseRules([]string{"a.example", "b.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		policy Policy
		rules  Rules
		want   pyth.Code
	}{
		{"valid rules", Policy{}, two, ""},
		{"the maximum number is valid", Policy{MaxHosts: 2}, two, ""},
		{"more than the maximum is invalid", Policy{MaxHosts: 1}, two, pyth.CodeInvalid},
		{"no rules if the network is off", Policy{Off: true}, two, pyth.CodeForbidden},
		{"an empty list if the network is off", Policy{Off: true}, Rules{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := pyth.ErrorCode(c.policy.Check(c.rules)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func fields(t *testing.T, err error) []pyth.FieldError {
	t.Helper()
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || e.Code != pyth.CodeInvalid {
		t.Fatalf("got %v, want an invalid request", err)
	}
	return e.Fields
}

// FuzzParseRules checks that every valid rule has one canonical spelling and matches
// some target.
func FuzzParseRules(f *testing.F) {
	for _, s := range []string{"example.org", "*.example.org:8443", "[::1]:80", "127.0.0.1", "0x7f.1", "bücher.example", "例え。テスト"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		rules, err := ParseRules([]string{entry})
		if err != nil {
			fields(t, err)
			return
		}
		canonical := rules.Strings()
		again, err := ParseRules(canonical)
		if err != nil || !slices.Equal(again.rules, rules.rules) {
			t.Fatalf("%q was normalized to %q, and that to %v, %v", entry, canonical, again, err)
		}
		s := strings.Replace(canonical[0], "*.", "a.", 1)
		if len(s) > maxName {
			return
		}
		to, err := parseTarget(s, portHTTPS)
		if err != nil || !rules.allow(to) || !rules.deny(to) {
			t.Fatalf("%q does not match %q: %v, %v", canonical, s, to, err)
		}
	})
}

// FuzzParseTarget checks that the canonical spelling of a target parses to the
// same target.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"example.org:443", "[::1]:80", "127.0.0.1:1", "127.1:80", "a:b:1", "EXAMPLE.org.:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to, err := parseTarget(s, 0)
		if err != nil {
			return
		}
		again, err := parseTarget(to.String(), 0)
		if err != nil || again != to {
			t.Fatalf("%q was normalized to %q, and that to %v, %v", s, to, again, err)
		}
		if to.host.name == "" && to.host.addr.Is4() && !strings.HasPrefix(s, "[") && to.String() != s {
			t.Fatalf("%q was parsed as %q", s, to)
		}
		if to.host.name != "" && !strings.EqualFold(strings.Replace(s, ".:", ":", 1), to.String()) {
			t.Fatalf("%q was parsed as %q", s, to)
		}
	})
}
