package account_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

type object = map[string]any

func b64(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

// part encodes v as one part of a JWT: JSON in base64url without padding.
func part(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// sign returns a JWT with the header and the claims. It does not check whether the header
// and the claims are valid.
func sign(t testing.TB, newHash func() hash.Hash, key string, header, claims any) string {
	t.Helper()
	text := part(t, header) + "." + part(t, claims)
	mac := hmac.New(newHash, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// claims returns the claims of a JWT that the service would issue for the grant now. The
// function adds the claims in the parameter "change", or replaces the usual claims with
// them. If a value in "change" is nil, the function removes the claim.
func (s *service) claims(g *pyth.Grant, change object) object {
	now := s.clock.Now().Unix()
	all := object{
		"iss": "issuer", "sub": string(g.User.ID), "aud": "audience", "jti": "1", "sid": "fam_1", "iat": now, "nbf": now, "exp": now + 3600,
	}
	for name, value := range change {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	return all
}

var header = object{"alg": "HS256", "typ": "JWT"}

func TestIssueFollowsTheContract(t *testing.T) {
	s := newService(t, func(c *account.Config) { c.TokenTTL = 90 * time.Minute })
	g := s.register(t, email)
	parts := strings.Split(g.Token, ".")
	if got, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil || string(got) != `{"alg":"HS256","typ":"JWT"}` {
		t.Errorf("the header is %s, %v", got, err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Iss, Sub, Jti, Sid string
		Aud                []string
		Iat, Nbf, Exp      int64
	}
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	// The token is valid from five seconds before now. Therefore a server with a slow
	// clock accepts the token.
	now := s.clock.Now().Unix()
	begin := now - 5
	if got.Iss != "issuer" || got.Sub != string(g.User.ID) || got.Jti == "" || got.Sid == "" || len(got.Aud) != 1 || got.Aud[0] != "audience" ||
		got.Iat != begin || got.Nbf != begin || got.Exp != now+5400 || g.ExpiresAt.Unix() != got.Exp {
		t.Errorf("the claims are %s", payload)
	}
	if other := s.login(t, email, password).Token; other == g.Token {
		t.Error("two logins returned the same token")
	}
	if p := s.principal(t, g); p.Credential != pyth.CredentialJWT || p.KeyPrefix != "" || !p.ExpiresAt.Equal(g.ExpiresAt) {
		t.Errorf("got %+v", p)
	}
}

func TestAuthenticateChecksEveryClaim(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	now := s.clock.Now().Unix()
	for _, c := range []struct {
		name   string
		change object
		good   bool
	}{
		{"all as issued", nil, true},
		{"unknown claim", object{"admin": true}, true},
		{"the audience in a list", object{"aud": []string{"audience"}}, true},

		{"no issuer", object{"iss": nil}, false},
		{"another issuer", object{"iss": "issuer2"}, false},
		{"an empty issuer", object{"iss": ""}, false},
		{"a list of issuers", object{"iss": []string{"issuer"}}, false},

		{"no subject", object{"sub": nil}, false},
		{"an empty subject", object{"sub": ""}, false},
		{"a subject that is a number", object{"sub": 1}, false},
		{"a user who does not exist", object{"sub": "usr_nobody"}, false},

		{"no audience", object{"aud": nil}, false},
		{"another audience", object{"aud": "audience2"}, false},
		{"an empty audience", object{"aud": ""}, false},
		{"an empty list of audiences", object{"aud": []string{}}, false},
		{"one of several audiences", object{"aud": []string{"audience", "another"}}, false},

		{"no id", object{"jti": nil}, false},
		{"an empty id", object{"jti": ""}, false},

		{"no login", object{"sid": nil}, false},
		{"an empty login", object{"sid": ""}, false},

		{"no time of issue", object{"iat": nil}, false},
		{"issued in the future", object{"iat": now + 1}, false},
		{"issued long ago", object{"iat": 0}, true},
		{"no nbf", object{"nbf": nil}, false},
		{"nbf in the next second", object{"nbf": now + 1}, false},
		{"nbf in the far future", object{"nbf": now + 1e9, "exp": now + 2e9}, false},
		{"no exp", object{"exp": nil}, false},
		{"exp now", object{"exp": now}, false},
		{"exp in the past", object{"exp": now - 1}, false},
		{"exp in the next second", object{"exp": now + 1}, true},
		{"exp as text", object{"exp": "tomorrow"}, false},
		{"exp is not a number", object{"exp": object{}}, false},
		{"negative exp", object{"exp": -1e300}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, sha256.New, jwtKey, header, s.claims(g, c.change))
			if got := s.accepts(t, pyth.Credentials{Bearer: token}); got != c.good {
				t.Errorf("accepted: %v", got)
			}
		})
	}
}

func TestAuthenticateAcceptsOnlyCanonicalTokens(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	claims := s.claims(g, nil)
	with := func(header object) string { return sign(t, sha256.New, jwtKey, header, claims) }
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := part(t, object{"alg": "RS256", "typ": "JWT"}) + "." + part(t, claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	good := with(header)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"no algorithm and no signature":              part(t, object{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
		"no algorithm in capitals":                   part(t, object{"alg": "NoNe", "typ": "JWT"}) + "." + parts[1] + ".",
		"no algorithm with a good signature":         with(object{"alg": "none", "typ": "JWT"}),
		"no alg":                                     with(object{"typ": "JWT"}),
		"an empty algorithm":                         with(object{"alg": "", "typ": "JWT"}),
		"an algorithm in lower case":                 with(object{"alg": "hs256", "typ": "JWT"}),
		"an algorithm that is a list":                with(object{"alg": []string{"HS256"}, "typ": "JWT"}),
		"RS256 with the HMAC secret":                 with(object{"alg": "RS256", "typ": "JWT"}),
		"RS256 with an attacker's key":               text + "." + base64.RawURLEncoding.EncodeToString(signature),
		"RS256 with an attacker's key in the header": sign(t, sha256.New, jwtKey, object{"alg": "RS256", "typ": "JWT", "jwk": private.N}, claims),
		"HS512 with the secret":                      sign(t, sha512.New, jwtKey, object{"alg": "HS512", "typ": "JWT"}, claims),
		"HS384 with the secret":                      sign(t, sha512.New384, jwtKey, object{"alg": "HS384", "typ": "JWT"}, claims),
		"another secret":                             sign(t, sha256.New, strings.ToUpper(jwtKey), header, claims),
		"an empty secret":                            sign(t, sha256.New, "", header, claims),
		"no type":                                    with(object{"alg": "HS256"}),
		"another type":                               with(object{"alg": "HS256", "typ": "at+jwt"}),
		"a key id":                                   with(object{"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"}),
		"a key's address":                            with(object{"alg": "HS256", "typ": "JWT", "jku": "https://example.org"}),
		"critical extension":                         with(object{"alg": "HS256", "typ": "JWT", "crit": []string{"exp"}}),
		"a compressed payload":                       with(object{"alg": "HS256", "typ": "JWT", "zip": "DEF"}),
		"two parts":                                  parts[0] + "." + parts[1],
		"four parts":                                 good + "." + parts[2],
		"five parts":                                 good + "..",
		"no signature":                               parts[0] + "." + parts[1] + ".",
		"half a signature":                           parts[0] + "." + parts[1] + "." + parts[2][:20],
		"a padded signature":                         good + "=",
		"a line break":                               good[:10] + "\n" + good[10:],
		"a blank before it":                          " " + good,
		"a blank after it":                           good + " ",
		"another's claims":                           parts[0] + "." + part(t, s.claims(g, object{"sub": "usr_other"})) + "." + parts[2],
		"claims that are a list":                     sign(t, sha256.New, jwtKey, header, []object{claims}),
		"null claims":                                sign(t, sha256.New, jwtKey, header, nil),
		"null header":                                sign(t, sha256.New, jwtKey, nil, claims),
		"dots":                                       "...",
		"more dots":                                  strings.Repeat(".", 4096),
		"a refresh token":                            g.RefreshToken,
	} {
		t.Run(name, func(t *testing.T) {
			if s.accepts(t, pyth.Credentials{Bearer: token}) {
				t.Errorf("%s is accepted", token)
			}
		})
	}
	if !s.accepts(t, pyth.Credentials{Bearer: good}) {
		t.Error("the valid token is refused")
	}
}

func TestAuthenticateRefusesLongTokens(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	sized := func(size int) string {
		for pad := 0; ; pad++ {
			token := sign(t, sha256.New, jwtKey, header, s.claims(g, object{"jti": strings.Repeat("x", max(size*3/4-600, 0)+pad)}))
			if len(token) >= size {
				return token
			}
		}
	}
	if token := sized(4096); len(token) > 4097 || s.accepts(t, pyth.Credentials{Bearer: token}) != (len(token) == 4096) {
		t.Errorf("a valid token of %d bytes is accepted or refused wrongly, or is too long for this test", len(token))
	}
	if s.accepts(t, pyth.Credentials{Bearer: sized(4098)}) {
		t.Error("a token of more than 4 KiB is accepted")
	}
	huge := strings.Repeat(".", 1<<20)
	if took := testing.AllocsPerRun(10, func() { _, _ = s.Authenticate(context.Background(), pyth.Credentials{Bearer: huge}) }); took > 5 {
		t.Errorf("a megabyte of dots took %v allocations", took)
	}
}

func TestAuthenticateChecksTheTimesOfAToken(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	c := pyth.Credentials{Bearer: g.Token}
	for _, at := range []struct {
		name string
		move time.Duration
		good bool
	}{
		{"when it is issued", 0, true},
		{"on a server whose clock is five seconds late", -5 * time.Second, true},
		{"just before that", -5*time.Second - time.Nanosecond, false},
		{"an hour before that", -time.Hour, false},
		{"just before its end", time.Hour - time.Nanosecond, true},
		{"at its end", time.Hour, false},
		{"a year later", 365 * 24 * time.Hour, false},
	} {
		s.clock.move(at.move)
		if got := s.accepts(t, c); got != at.good {
			t.Errorf("%s: accepted is %v", at.name, got)
		}
		s.clock.move(-at.move)
	}
}

func TestAuthenticateRefusesATokenWithOneChangedByte(t *testing.T) {
	s := newService(t)
	token := s.register(t, email).Token
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(token)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "index")] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		_, err := s.Authenticate(context.Background(), pyth.Credentials{Bearer: string(b)})
		if pyth.ErrorCode(err) != pyth.CodeUnauthenticated {
			t.Fatalf("%q: got %v", b, err)
		}
	})
}

// FuzzToken authenticates with arbitrary tokens. Authenticate must refuse all tokens
// except the token that the service issued.
func FuzzToken(f *testing.F) {
	s := newService(f)
	g := s.register(f, email)
	for _, seed := range []string{
		"", ".", "..", g.Token[:len(g.Token)-1], g.Token + ".", part(f, header) + "." + part(f, object{}) + ".",
		sign(f, sha256.New, "", object{"alg": "none"}, s.claims(g, nil)), "\xff.\x00.\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == g.Token {
			return
		}
		if s.accepts(t, pyth.Credentials{Bearer: token}) {
			t.Errorf("%q is accepted", token)
		}
	})
}

func TestAuthenticateNeedsOneUserForBothCredentials(t *testing.T) {
	s := newService(t)
	ada, bob := s.register(t, email), s.register(t, "bob@example.org")
	_, ended, err := s.CreateKey(t.Context(), s.principal(t, ada), pyth.KeySpec{Name: "ends", ExpiresAt: s.clock.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.move(time.Second)
	for _, c := range []struct {
		name, key, token string
		want             pyth.Credential
	}{
		{"neither", "", "", ""},
		{"a key", ada.APIKey, "", pyth.CredentialAPIKey},
		{"a token", "", ada.Token, pyth.CredentialJWT},
		{"both of the same user", ada.APIKey, ada.Token, pyth.CredentialJWT},
		{"key and token of different users", ada.APIKey, bob.Token, ""},
		{"token and key of different users", bob.APIKey, ada.Token, ""},
		{"valid key, invalid token", ada.APIKey, ada.Token + "x", ""},
		{"valid token, invalid key", ada.APIKey[:43] + "!", ada.Token, ""},
		{"valid token, expired key", ended, ada.Token, ""},
		{"a key as bearer", "", ada.APIKey, pyth.CredentialAPIKey},
		{"a key as both", ada.APIKey, ada.APIKey, pyth.CredentialAPIKey},
		{"keys of different users", ada.APIKey, bob.APIKey, ""},
		{"a key as bearer with a faulty checksum", "", ada.APIKey[:43] + "!", ""},
		{"expired key as bearer", "", ended, ""},
		{"a token as key", ada.Token, "", ""},
		{"a refresh token as token", "", ada.RefreshToken, ""},
		{"a refresh token as key", ada.RefreshToken, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: c.key, Bearer: c.token})
			if c.want == "" {
				want(t, err, pyth.CodeUnauthenticated)
				return
			}
			if err != nil || p.User.ID != ada.User.ID || p.Credential != c.want {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestAuthenticateAnswersAllBadCredentialsEqually(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	answers := map[string]bool{}
	for _, c := range []pyth.Credentials{
		{APIKey: "x"},
		{APIKey: newService(t).register(t, email).APIKey}, // A well-formed key of another server.
		{Bearer: "x"},
		{Bearer: sign(t, sha256.New, "another key of 32 bytes or more...", header, s.claims(g, object{"exp": 1}))},
		{Bearer: sign(t, sha256.New, jwtKey, header, s.claims(g, object{"exp": 1, "aud": "other"}))},
		{Bearer: sign(t, sha256.New, jwtKey, header, s.claims(g, object{"sub": "usr_nobody"}))},
		{APIKey: g.APIKey, Bearer: "x"},
	} {
		_, err := s.Authenticate(t.Context(), c)
		if err == nil {
			t.Fatalf("%+v is accepted", c)
		}
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}

func TestAuthenticateReportsExpiredTokens(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	_, err := s.Authenticate(t.Context(), pyth.Credentials{Bearer: sign(t, sha256.New, jwtKey, header, s.claims(g, object{"exp": 1}))})
	want(t, err, pyth.CodeUnauthenticated)
	if !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	_, key, err := s.CreateKey(t.Context(), s.principal(t, g), pyth.KeySpec{Name: "ends", ExpiresAt: s.clock.Now().Add(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.move(time.Second)
	_, err = s.Authenticate(t.Context(), pyth.Credentials{APIKey: key})
	want(t, err, pyth.CodeUnauthenticated)
	if !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
}
