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

// domains converts a domain to its canonical form, as browsers do (UTS #46,
// non-transitional). It allows underscores, because names in local networks may have
// them.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

// normalizeEmail returns the canonical form of an address: trimmed, in NFC (UAX #15),
// with the domain in lower case and in Unicode. So one mailbox has one account, even
// if its address is typed with other Unicode characters or with a domain in Punycode
// (RFC 5891). It returns CodeInvalid for an invalid address. It does not check that
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

// canonicalDomain returns the domain in lower case and in Unicode.
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

// storedForms returns the forms in which the address may be stored: the canonical
// form, and the form that older servers stored.
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

// notInEmail reports whether an address must not contain the character: spaces,
// control and format characters. They could mislead a reader or forge log lines.
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
