package account_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

func TestAuthenticateRefusesMistypedKeysWithoutALookup(t *testing.T) {
	key := newService(t).register(t, email).APIKey
	// The store is nil, so any use of the store would panic.
	s := newService(t, func(c *account.Config) { c.Store = struct{ pyth.Store }{} })
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	typos := map[string]func(t *rapid.T, i int) string{
		"changed character": func(t *rapid.T, i int) string {
			return key[:i] + string(rapid.SampledFrom([]rune(base62)).Draw(t, "character")) + key[i+1:]
		},
		"two characters swapped": func(_ *rapid.T, i int) string {
			j := max(i-1, 0)
			return key[:j] + key[i:i+1] + key[j:i] + key[i+1:]
		},
		"missing character":  func(_ *rapid.T, i int) string { return key[:i] + key[i+1:] },
		"repeated character": func(_ *rapid.T, i int) string { return key[:i] + key[i:i+1] + key[i:] },
		"another alphabet":   func(t *rapid.T, i int) string { return key[:i] + rapid.StringN(1, 3, -1).Draw(t, "text") + key[i+1:] },
		"cut short":          func(_ *rapid.T, i int) string { return key[:i] },
		"other case": func(_ *rapid.T, i int) string {
			return key[:i] + strings.ToUpper(key[i:])
		},
	}
	for name, typo := range typos {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				typed := typo(t, rapid.IntRange(0, len(key)-1).Draw(t, "index"))
				if typed == key || typed == "" {
					return
				}
				_, err := s.Authenticate(context.Background(), pyth.Credentials{APIKey: typed})
				if pyth.ErrorCode(err) != pyth.CodeUnauthenticated {
					t.Fatalf("%q: got %v", typed, err)
				}
			})
		})
	}
}

func TestCreateKeyListAndDelete(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	p := s.principal(t, g)
	names := []string{"default"}
	for i := range 4 {
		name := fmt.Sprint("key ", i)
		record, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: " " + name + "\n"})
		if err != nil {
			t.Fatal(err)
		}
		if record.Name != name || record.Prefix != key[:10] || len(key) != 44 || record.Sealed != nil {
			t.Errorf("got %+v for %s", record, key)
		}
		q, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: key})
		if err != nil || q.User.ID != p.User.ID || q.Credential != pyth.CredentialAPIKey || q.KeyPrefix != record.Prefix || !q.ExpiresAt.IsZero() {
			t.Errorf("got %+v, %v", q, err)
		}
		names = append(names, name)
	}
	var got []string
	cursor := ""
	for {
		keys, next, err := s.Keys(t.Context(), p, cursor, 2)
		if err != nil || len(keys) > 2 {
			t.Fatalf("a page has %d keys, want at most 2: %v", len(keys), err)
		}
		for _, k := range keys {
			got = append(got, k.Name)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if strings.Join(got, ",") != strings.Join(names, ",") {
		t.Errorf("got %v, want %v", got, names)
	}

	keys, _, err := s.Keys(t.Context(), p, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	stranger := s.principal(t, s.register(t, "bob@example.org"))
	want(t, s.DeleteKey(t.Context(), stranger, keys[0].ID), pyth.CodeNotFound)
	want(t, s.DeleteKey(t.Context(), p, keys[0].ID), "")
	want(t, s.DeleteKey(t.Context(), p, keys[0].ID), pyth.CodeNotFound)
	if s.accepts(t, pyth.Credentials{APIKey: g.APIKey}) {
		t.Error("a deleted key is accepted")
	}
	// Login returns the first key of an account, but the test has deleted this key.
	if again := s.login(t, email, password); again.APIKey != "" {
		t.Errorf("login returned %s", again.APIKey)
	}
}

// TestKeyCannotOutliveItsExpiry checks that the holder of a stolen key cannot extend its
// validity. The holder also cannot create a key that expires later.
func TestKeyCannotOutliveItsExpiry(t *testing.T) {
	s := newService(t)
	owner := s.principal(t, s.register(t, email))
	end := s.clock.Now().Add(time.Hour)
	record, key, err := s.CreateKey(t.Context(), owner, pyth.KeySpec{Name: "short", ExpiresAt: end})
	want(t, err, "")
	thief, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: key})
	want(t, err, "")
	for _, at := range []time.Time{{}, end.Add(time.Second)} {
		_, _, err = s.CreateKey(t.Context(), thief, pyth.KeySpec{Name: "long", ExpiresAt: at})
		want(t, err, pyth.CodeForbidden)
	}
	_, err = s.UpdateKey(t.Context(), thief, record.ID, pyth.KeyChange{ExpiresAt: end.Add(time.Second)})
	want(t, err, pyth.CodeForbidden)
	_, err = s.UpdateKey(t.Context(), thief, record.ID, pyth.KeyChange{Name: "renamed"})
	want(t, err, "")
	_, _, err = s.CreateKey(t.Context(), thief, pyth.KeySpec{Name: "as long", ExpiresAt: end})
	want(t, err, "")
	_, err = s.UpdateKey(t.Context(), owner, record.ID, pyth.KeyChange{ExpiresAt: end.Add(time.Hour)})
	want(t, err, "")
}

// TestTokenOfEndedLoginChangesNoKeys checks that a stolen JWT of an ended login cannot
// create or change a key. The JWT stays valid until it expires, but a key would be valid
// longer.
func TestTokenOfEndedLoginChangesNoKeys(t *testing.T) {
	s := newService(t)
	s.register(t, email)
	owner := s.principal(t, s.login(t, email, password))
	record, _, err := s.CreateKey(t.Context(), owner, pyth.KeySpec{Name: "before"})
	want(t, err, "")
	want(t, s.Logout(t.Context(), owner, ""), "")
	_, _, err = s.CreateKey(t.Context(), owner, pyth.KeySpec{Name: "after"})
	want(t, err, pyth.CodeUnauthenticated)
	_, err = s.UpdateKey(t.Context(), owner, record.ID, pyth.KeyChange{Name: "after"})
	want(t, err, pyth.CodeUnauthenticated)
}

func TestKeysRefusesInvalidCursors(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	for _, cursor := range []string{"=", "a", "key_0!", base64.StdEncoding.EncodeToString([]byte("key_??>>"))} {
		_, _, err := s.Keys(t.Context(), p, cursor, 10)
		want(t, err, pyth.CodeInvalid)
	}
	// The page must contain only the caller's keys, even if the cursor comes from the
	// list of another user.
	keys, _, err := s.Keys(t.Context(), p, base64.RawURLEncoding.EncodeToString([]byte("key_")), 10)
	if err != nil || len(keys) != 1 {
		t.Errorf("got %v, %v", keys, err)
	}
}

func TestAuthenticateAcceptsAKeyUntilItExpires(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	end := s.clock.Now().Add(time.Hour)
	record, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "ends", ExpiresAt: end.In(time.FixedZone("", 3600))})
	if err != nil || !record.ExpiresAt.Equal(end) {
		t.Fatalf("got %+v, %v", record, err)
	}
	s.clock.move(time.Hour - time.Microsecond)
	if q, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: key}); err != nil || !q.ExpiresAt.Equal(end) {
		t.Errorf("got %+v, %v", q, err)
	}
	s.clock.move(time.Microsecond)
	if s.accepts(t, pyth.Credentials{APIKey: key}) {
		t.Error("the expired key is accepted")
	}
}

func TestCreateKeyRefusesInvalidRequests(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	for name, c := range map[string]struct {
		name     string
		expires  time.Time
		location string
	}{
		"without a name":             {"", time.Time{}, "body.name"},
		"with a name of blanks":      {" \t", time.Time{}, "body.name"},
		"with a name too long":       {strings.Repeat("é", 101), time.Time{}, "body.name"},
		"with a line break":          {"a\nb", time.Time{}, "body.name"},
		"with an escape":             {"a\x1b[31m", time.Time{}, "body.name"},
		"with a line separator":      {"a\u2028b", time.Time{}, "body.name"},
		"with a change of direction": {"a\u202eb", time.Time{}, "body.name"},
		"expired":                    {"a", s.clock.Now().Add(-time.Hour), "body.expiresAt"},
		"expires now":                {"a", s.clock.Now(), "body.expiresAt"},
		"expired long ago":           {"a", time.Unix(0, 0), "body.expiresAt"},
		"expires in the year zero":   {"a", time.Time{}.Add(time.Second), "body.expiresAt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: c.name, ExpiresAt: c.expires})
			invalid(t, err, c.location, c.name)
			if key != "" {
				t.Errorf("got %q", key)
			}
		})
	}
	if _, _, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: strings.Repeat("é", 100)}); err != nil {
		t.Errorf("the longest name: %v", err)
	}
}

func TestCreateKeyBoundsTheNumberOfKeys(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	for range 99 {
		if _, _, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "another"}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "one too many"})
	want(t, err, pyth.CodeConflict)
}
