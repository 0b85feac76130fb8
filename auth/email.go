package auth

import (
	"strings"
	"unicode"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
)

// maxEmail is the longest address in octets that fits into a mail's path
// (RFC 5321, 4.5.3.1.3).
const maxEmail = 254

// normalizeEmail trims the address and writes its domain in lower case. It
// refuses what cannot be an address; whether mail arrives is not asked.
func normalizeEmail(raw string) (string, error) {
	email := strings.TrimSpace(raw)
	at := strings.LastIndexByte(email, '@')
	if at < 1 || at == len(email)-1 || !utf8.ValidString(email) || strings.IndexFunc(email, notInEmail) >= 0 {
		return "", pyth.Invalid("body.email", "must be an e-mail address such as ada@example.org")
	}
	local, domain := email[:at], strings.ToLower(email[at+1:])
	if strings.Contains(local, "@") || len(local) > 64 || !plausibleDomain(domain) {
		return "", pyth.Invalid("body.email", "must be an e-mail address such as ada@example.org")
	}
	email = local + "@" + domain
	if len(email) > maxEmail {
		return "", pyth.Invalid("body.email", "must have at most %d characters", maxEmail)
	}
	return email, nil
}

// notInEmail refuses what could deceive a reader or a log: spaces, control and
// format characters.
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
