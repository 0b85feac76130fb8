package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// byKey authenticates a caller with the API key.
func (s *service) byKey(t testing.TB, key string) *pyth.Principal {
	t.Helper()
	p, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCreateKeyGrantsScopes(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	all, jwt := s.byKey(t, g.APIKey), s.principal(t, g)
	if diff := cmp.Diff(pyth.DefaultScopes(), all.Scopes); diff != "" {
		t.Errorf("the first key: want (-), got (+):\n%s", diff)
	}
	_, key, err := s.CreateKey(t.Context(), jwt, pyth.KeySpec{Name: "few", Scopes: []pyth.Scope{pyth.ScopeAccount, pyth.ScopeExecute, pyth.ScopeAccount}})
	want(t, err, "")
	few := s.byKey(t, key)
	for name, c := range map[string]struct {
		by        *pyth.Principal
		requested []pyth.Scope
		granted   []pyth.Scope
		code      pyth.Code
	}{
		"a token grants the default scopes":        {jwt, nil, pyth.DefaultScopes(), ""},
		"a token grants every scope":               {jwt, pyth.Scopes(), pyth.Scopes(), ""},
		"scopes are sorted, without duplicates":    {jwt, []pyth.Scope{"zk", "execute", "zk"}, []pyth.Scope{"execute", "zk"}, ""},
		"a key grants its own scopes by default":   {few, nil, []pyth.Scope{"execute", "account"}, ""},
		"a key grants fewer scopes":                {few, []pyth.Scope{"execute"}, []pyth.Scope{"execute"}, ""},
		"a key cannot grant a scope that it lacks": {few, []pyth.Scope{"execute", "secrets:write"}, nil, pyth.CodeMissingScope},
		"the first key cannot grant admin":         {all, []pyth.Scope{"admin"}, nil, pyth.CodeMissingScope},
		"an unknown scope is refused":              {jwt, []pyth.Scope{"execute", "Execute"}, nil, pyth.CodeInvalid},
		"an empty list is refused":                 {jwt, []pyth.Scope{}, nil, pyth.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			record, key, err := s.CreateKey(t.Context(), c.by, pyth.KeySpec{Name: "k", Scopes: c.requested})
			want(t, err, c.code)
			if c.code != "" {
				return
			}
			if !slices.Equal(record.Scopes, c.granted) || !slices.Equal(s.byKey(t, key).Scopes, c.granted) {
				t.Errorf("got %v, want %v", record.Scopes, c.granted)
			}
		})
	}
}

func TestCreateKeyInTheFormOfE2B(t *testing.T) {
	s := newService(t)
	p := s.principal(t, s.register(t, email))
	record, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "agents", Format: pyth.KeyFormatE2B})
	want(t, err, "")
	hex, ok := strings.CutPrefix(key, "e2b_")
	if !ok || len(hex) != 40 || strings.Trim(hex, "0123456789abcdef") != "" || record.Prefix != key[:8] {
		t.Fatalf("got a key of %d characters with the prefix %q", len(key), record.Prefix)
	}
	for name, c := range map[string]pyth.Credentials{"header": {APIKey: key}, "bearer": {Bearer: key}} {
		if !s.accepts(t, c) {
			t.Errorf("%s: the key is not accepted", name)
		}
	}
	other := byte('0')
	if key[10] == other {
		other = '1'
	}
	for name, wrong := range map[string]string{
		"changed": key[:10] + string(other) + key[11:], "short": key[:len(key)-1], "long": key + "0", "only the prefix": "e2b_", "upper case": "e2b_" + strings.ToUpper(hex),
	} {
		if s.accepts(t, pyth.Credentials{APIKey: wrong}) {
			t.Errorf("%s: the key is accepted", name)
		}
	}
	_, _, err = s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "k", Format: "other"})
	invalid(t, err, "body.format", "")
}

func TestUpdateKey(t *testing.T) {
	s := newService(t)
	p, other := s.principal(t, s.register(t, email)), s.principal(t, s.register(t, "bob@example.org"))
	k, key, err := s.CreateKey(t.Context(), p, pyth.KeySpec{Name: "ci", Scopes: []pyth.Scope{pyth.ScopeZK}})
	want(t, err, "")
	_, err = s.UpdateKey(t.Context(), other, k.ID, pyth.KeyChange{Name: "evil"})
	want(t, err, pyth.CodeNotFound)
	_, err = s.UpdateKey(t.Context(), p, k.ID, pyth.KeyChange{Name: "a\nb"})
	invalid(t, err, "body.name", "")
	_, err = s.UpdateKey(t.Context(), p, k.ID, pyth.KeyChange{ExpiresAt: s.clock.Now()})
	invalid(t, err, "body.expiresAt", "")
	changed, err := s.UpdateKey(t.Context(), p, k.ID, pyth.KeyChange{Name: " new ", ExpiresAt: s.clock.Now().Add(time.Hour)})
	want(t, err, "")
	if changed.Name != "new" || !slices.Equal(changed.Scopes, k.Scopes) || !s.accepts(t, pyth.Credentials{APIKey: key}) {
		t.Errorf("got %+v", changed)
	}
	s.clock.move(time.Hour)
	if s.accepts(t, pyth.Credentials{APIKey: key}) {
		t.Error("the key is accepted after its new expiry")
	}
}

func TestKeysShowTheirLastUse(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	p := s.principal(t, g)
	last := func() time.Time {
		t.Helper()
		keys, _, err := s.Keys(t.Context(), p, "", 10)
		want(t, err, "")
		return keys[0].LastUsedAt
	}
	stored := func() time.Time {
		t.Helper()
		keys, err := s.store.APIKeys(t.Context(), p.User.ID, "", 10)
		want(t, err, "")
		return keys[0].LastUsedAt
	}
	if !last().IsZero() {
		t.Errorf("an unused key was last used at %v", last())
	}
	first := s.clock.Now()
	s.byKey(t, g.APIKey)
	if !last().Equal(first) || !stored().IsZero() {
		t.Errorf("got %v, and %v in the store", last(), stored())
	}
	want(t, s.SaveKeyUses(t.Context()), "")
	if !last().Equal(first) || !stored().Equal(first) {
		t.Errorf("got %v, and %v in the store", last(), stored())
	}
	// A second use of a key within the same minute causes no write to the store.
	s.clock.move(59 * time.Second)
	s.byKey(t, g.APIKey)
	want(t, s.SaveKeyUses(t.Context()), "")
	if !stored().Equal(first) {
		t.Errorf("got %v in the store", stored())
	}
	s.clock.move(time.Second)
	s.byKey(t, g.APIKey)
	want(t, s.SaveKeyUses(t.Context()), "")
	if !stored().Equal(first.Add(time.Minute)) {
		t.Errorf("got %v in the store", stored())
	}
}
