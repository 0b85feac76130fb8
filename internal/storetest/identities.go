package storetest

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const issuer = "https://accounts.example.org"

func identity(id string, user pyth.UserID, subject string) *pyth.Identity {
	return &pyth.Identity{ID: pyth.IdentityID(id), UserID: user, Issuer: issuer, Subject: subject, Email: subject + "@example.org", CreatedAt: start}
}

func testIdentities(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	one, two := identity("1", "ada", "one"), identity("2", "ada", "two")
	want(t, s.CreateIdentity(ctx, one, 2), "")
	want(t, s.CreateIdentity(ctx, identity("9", "bob", "one"), 2), pyth.CodeConflict)
	want(t, s.CreateIdentity(ctx, two, 2), "")
	want(t, s.CreateIdentity(ctx, identity("3", "ada", "three"), 2), pyth.CodeConflict)
	other := identity("4", "bob", "one")
	other.Issuer = "https://other.example.org"
	want(t, s.CreateIdentity(ctx, other, 2), "")
	one.LastUsedAt = start.Add(time.Hour)
	want(t, s.SetIdentityUsed(ctx, "1", one.LastUsedAt), "")
	want(t, s.SetIdentityUsed(ctx, "absent", start), "")
	all, err := s.Identities(ctx, "ada")
	want(t, err, "")
	same(t, []*pyth.Identity{one, two}, all)
	all, err = s.Identities(ctx, "nobody")
	want(t, err, "")
	same(t, 0, len(all))
	for issuer, want := range map[string]*pyth.Identity{issuer: one, other.Issuer: other} {
		got, err := s.Identity(ctx, issuer, "one")
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
	_, err = s.Identity(ctx, issuer, "ONE")
	want(t, err, pyth.CodeNotFound)
	want(t, s.DeleteIdentity(ctx, "bob", "1"), pyth.CodeNotFound)
	want(t, s.DeleteIdentity(ctx, "ada", "a\x00b"), pyth.CodeNotFound)
	want(t, s.DeleteIdentity(ctx, "ada", "1"), "")
	want(t, s.DeleteIdentity(ctx, "ada", "1"), pyth.CodeNotFound)
	_, err = s.Identity(ctx, issuer, "one")
	want(t, err, pyth.CodeNotFound)
	got := race(8, func(i int) error {
		return s.CreateIdentity(ctx, identity(string(rune('a'+i)), []pyth.UserID{"ada", "bob"}[i%2], "raced"), 100)
	})
	same(t, map[pyth.Code]int{"": 1, pyth.CodeConflict: 7}, got)
}

func testIdentifiedUser(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	want(t, s.CreateIdentity(ctx, identity("1", "ada", "one"), many), "")
	a := newAccount("bob")
	want(t, s.CreateIdentifiedUser(ctx, a.user, a.key, a.data, identity("2", "bob", "one")), pyth.CodeConflict)
	_, err := s.User(ctx, "bob")
	want(t, err, pyth.CodeNotFound)
	want(t, s.CreateIdentifiedUser(ctx, a.user, a.key, a.data, identity("2", "bob", "two")), "")
	u, err := s.User(ctx, "bob")
	want(t, err, "")
	same(t, a.user, u)
	b := newAccount("eve")
	b.user.Email = a.user.Email
	want(t, s.CreateIdentifiedUser(ctx, b.user, b.key, b.data, identity("3", "eve", "three")), pyth.CodeEmailTaken)
	_, err = s.Identity(ctx, issuer, "three")
	want(t, err, pyth.CodeNotFound)
}

func testSignIns(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	in := &pyth.SignIn{
		Hash: hash("code"), Challenge: hash("challenge"), CreatedAt: start, ExpiresAt: start.Add(time.Minute),
		ProviderUser: pyth.ProviderUser{Issuer: issuer, Subject: "one", Email: "a@example.org", EmailVerified: true},
	}
	late := &pyth.SignIn{Hash: hash("late"), CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	want(t, s.CreateSignIn(ctx, in), "")
	want(t, s.CreateSignIn(ctx, late), "")
	for _, want := range []*pyth.SignIn{in, late} {
		got, err := s.SignIn(ctx, want.Hash)
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
	got := race(8, func(int) error { return s.DeleteSignIn(ctx, in.Hash) })
	same(t, map[pyth.Code]int{"": 1, pyth.CodeNotFound: 7}, got)
	_, err := s.SignIn(ctx, in.Hash)
	want(t, err, pyth.CodeNotFound)
	want(t, s.CreateSignIn(ctx, in), "")
	want(t, s.DeleteExpiredSignIns(ctx, start.Add(2*time.Minute)), "")
	_, err = s.SignIn(ctx, in.Hash)
	want(t, err, pyth.CodeNotFound)
	_, err = s.SignIn(ctx, late.Hash)
	want(t, err, "")
}
