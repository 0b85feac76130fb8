// Package email defines which spellings of an e-mail address are equal.
package email

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// MaxBytes is the maximum length of an address in octets (RFC 5321, 4.5.3.1.3).
const MaxBytes = 254

// Errors of Canonical.
var (
	ErrInvalid = errors.New("email: not an e-mail address")
	ErrTooLong = errors.New("email: the address is too long")
)

// domains converts domains to the canonical form that browsers use (UTS #46,
// non-transitional). It allows underscores, because names in local networks may
// contain them.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())

// Canonical returns the canonical form of an address, so that different spellings of an
// address are equal. It removes surrounding spaces and converts the address to NFC (UAX
// #15). It converts the domain to lower case, and from Punycode (RFC 5891) to Unicode.
//
// Canonical does not check that the mailbox exists.
func Canonical(raw string) (string, error) {
	email := norm.NFC.String(strings.TrimSpace(raw))
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || !utf8.ValidString(raw) || strings.IndexFunc(email, isForbidden) >= 0 {
		return "", ErrInvalid
	}
	local := email[:at]
	domain, err := canonicalDomain(email[at+1:])
	if err != nil || strings.Contains(local, "@") || len(local) > 64 {
		return "", ErrInvalid
	}
	email = local + "@" + domain
	if len(email) > MaxBytes {
		return "", ErrTooLong
	}
	return email, nil
}

// canonicalDomain returns the domain in lower case, with Punycode decoded to Unicode.
func canonicalDomain(domain string) (string, error) {
	ascii, err := domains.ToASCII(domain)
	if err != nil {
		return "", err
	}
	if !plausibleDomain(ascii) {
		return "", ErrInvalid
	}
	return domains.ToUnicode(ascii)
}

// isForbidden reports whether the character r is forbidden in addresses. Spaces, control
// characters and format characters are forbidden, because they could mislead a reader or
// forge log lines.
func isForbidden(r rune) bool {
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
