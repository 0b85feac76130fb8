package settings

import (
	"net/url"
	"strings"
)

// Masked is the text that replaces a secret in the value of a setting.
const Masked = "xxxxx"

// Mask removes the passwords and tokens from the URLs in the value, and returns the
// result. The value is one URL or several URLs separated by commas.
func Mask(value string) string {
	var urls []string
	for part := range strings.SplitSeq(value, ",") {
		// A password may contain a comma. Therefore a part without a scheme belongs to
		// the URL before the comma.
		if n := len(urls); n > 0 && !strings.Contains(part, "://") && strings.Contains(urls[n-1], "://") {
			urls[n-1] += "," + part
		} else {
			urls = append(urls, part)
		}
	}
	for i, u := range urls {
		urls[i] = maskURL(u)
	}
	return strings.Join(urls, ",")
}

func maskURL(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		// The URL parser does not accept some characters in passwords. Therefore search
		// for the password without the parser.
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			return scheme + "://" + Masked + rest[at:]
		}
		return text
	}
	before := u.String()
	if u.User != nil {
		_, password := u.User.Password()
		switch {
		case password:
			u.User = url.UserPassword(u.User.Username(), Masked)
		case strings.HasPrefix(u.Scheme, "http"):
			u.User = url.User(Masked) // Some servers accept a token as the user name.
		}
	}
	query := u.Query()
	for name := range query {
		if isSecretName(name) {
			query.Set(name, Masked)
			u.RawQuery = query.Encode()
		}
	}
	if u.String() == before {
		return text
	}
	return u.String()
}

func isSecretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"pass", "token", "secret", "key", "credential"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
