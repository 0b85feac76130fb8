package account

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	pyth "github.com/pyth-on/pyth-on"
)

// maxEmail is the maximum length of an address in octets (RFC 5321, 4.5.3.1.3).
const maxEmail = 254

// domains converts domains to the canonical form that browsers use (UTS #46,
// non-transitional). It allows underscores, because names in local networks may
// contain them.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

// normalizeEmail returns the canonical form of an address, so that different spellings of
// an address belong to the same account. It removes surrounding spaces and converts the
// address to NFC (UAX #15). It converts the domain to lower case, and from Punycode (RFC
// 5891) to Unicode.
//
// normalizeEmail returns CodeInvalid for an invalid address. It does not check that
// the mailbox exists.
func normalizeEmail(raw string) (string, error) {
	email := norm.NFC.String(strings.TrimSpace(raw))
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || !utf8.ValidString(raw) || strings.IndexFunc(email, notInEmail) >= 0 {
		return "", notAnEmail()
	}
	local := email[:at]
	domain, err := canonicalDomain(email[at+1:])
	if err != nil || strings.Contains(local, "@") || len(local) > 64 {
		return "", notAnEmail()
	}
	email = local + "@" + domain
	if len(email) > maxEmail {
		return "", pyth.Invalid("body.email", "must have at most %d characters", maxEmail)
	}
	return email, nil
}

func notAnEmail() error {
	return pyth.Invalid("body.email", "must be an e-mail address, for example ada@example.org")
}

// canonicalDomain returns the domain in lower case, with Punycode decoded to Unicode.
func canonicalDomain(domain string) (string, error) {
	ascii, err := domains.ToASCII(domain)
	if err != nil {
		return "", err
	}
	if !plausibleDomain(ascii) {
		return "", notAnEmail()
	}
	return domains.ToUnicode(ascii)
}

// storedForms returns the two forms in which the store may contain the address: the
// canonical form and the older form. Older servers stored addresses in the older form.
// storedForms returns nil for an invalid address.
func storedForms(raw string) []string {
	normal, err := normalizeEmail(raw)
	if err != nil {
		return nil
	}
	forms := []string{normal}
	email := strings.TrimSpace(raw)
	at := strings.LastIndexByte(email, '@')
	if former := email[:at+1] + strings.ToLower(email[at+1:]); former != normal {
		forms = append(forms, former)
	}
	return forms
}

// notInEmail reports whether the character r is forbidden in addresses. Spaces, control
// characters and format characters are forbidden, because they could mislead a reader or
// forge log lines.
func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.C, r) || strings.ContainsRune(`"(),:;<>[\]`, r)
}

func plausibleDomain(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}
