package storetest

import (
	"fmt"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func testLogins(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	first := token("ada", "one", "a")
	first.Client = pyth.Client{IP: "192.0.2.1", UserAgent: "old"}
	createToken(t, s, first)
	next := token("ada", "one", "b")
	next.IssuedAt, next.ExpiresAt = start.Add(time.Minute), start.Add(2*time.Hour)
	next.Client = pyth.Client{IP: "192.0.2.2", UserAgent: "new"}
	want(t, s.RotateRefreshToken(ctx, first.Hash, hash("client"), start, next), "")
	stored, err := s.RefreshToken(ctx, next.Hash)
	want(t, err, "")
	same(t, next, stored)
	createToken(t, s, token("ada", "two", "c"))
	createToken(t, s, token("bob", "three", "d"))
	one := &pyth.Login{ID: "one", LastUsedAt: next.IssuedAt, ExpiresAt: next.ExpiresAt, Client: next.Client}
	two := &pyth.Login{ID: "two", LastUsedAt: start, ExpiresAt: start.Add(time.Hour)}
	for _, c := range []struct {
		at    time.Time
		after string
		limit int
		all   []*pyth.Login
	}{
		{start, "", 10, []*pyth.Login{one, two}},
		{start, "", 1, []*pyth.Login{one}},
		{start, "one", 10, []*pyth.Login{two}},
		{start.Add(time.Hour), "", 10, []*pyth.Login{one}},
		{start.Add(2 * time.Hour), "", 10, nil},
	} {
		all, err := s.Logins(ctx, "ada", c.at, c.after, c.limit)
		want(t, err, "")
		same(t, c.all, all)
	}
}

func testSetEmail(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	create(t, s, "bob")
	want(t, s.SetEmail(ctx, "nobody", "nobody@example.org", time.Time{}), pyth.CodeNotFound)
	want(t, s.SetEmail(ctx, "ada", "BOB@example.org", time.Time{}), pyth.CodeEmailTaken)
	u, err := s.User(ctx, "ada")
	want(t, err, "")
	same(t, a.user, u)
	for _, email := range []string{"Ada@Example.org", "new@example.org"} { // The first address differs from the existing one only in case.
		want(t, s.SetEmail(ctx, "ada", email, time.Time{}), "")
		u, err = s.UserByEmail(ctx, email)
		want(t, err, "")
		same(t, email, u.Email)
	}
	_, err = s.UserByEmail(ctx, "ada@example.org")
	want(t, err, pyth.CodeNotFound)
}

func createReset(t *testing.T, s pyth.Store, user pyth.UserID, name string) {
	t.Helper()
	want(t, s.CreateResetToken(t.Context(), &pyth.ResetToken{Hash: hash(name), UserID: user, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}), "")
}

func testChangeDeletesResetTokens(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	create(t, s, "bob")
	createReset(t, s, "bob", "other")
	for name, change := range map[string]func() error{
		"password": func() error { return s.ChangePassword(ctx, "ada", a.user.PasswordHash, "new hash") },
		"address":  func() error { return s.SetEmail(ctx, "ada", "ada@example.net", time.Time{}) },
	} {
		createReset(t, s, "ada", name)
		want(t, change(), "")
		_, err := s.ResetToken(ctx, hash(name))
		want(t, err, pyth.CodeNotFound)
	}
	want(t, s.SetEmail(ctx, "nobody", "nobody@example.net", time.Time{}), pyth.CodeNotFound)
	_, err := s.ResetToken(ctx, hash("other"))
	want(t, err, "")
}

func testUseResetToken(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	a := create(t, s, "ada")
	b := create(t, s, "bob")
	createReset(t, s, "ada", "reset")
	createReset(t, s, "bob", "other")
	createToken(t, s, token("ada", "one", "a"))
	createToken(t, s, token("bob", "two", "b"))
	got, err := s.ResetToken(ctx, hash("reset"))
	want(t, err, "")
	same(t, &pyth.ResetToken{Hash: hash("reset"), UserID: "ada", CreatedAt: start, ExpiresAt: start.Add(time.Hour)}, got)
	_, err = s.ResetToken(ctx, hash("absent"))
	want(t, err, pyth.CodeNotFound)
	want(t, s.UseResetToken(ctx, hash("absent"), start, "evil"), pyth.CodeNotFound)
	want(t, s.UseResetToken(ctx, hash("reset"), start.Add(time.Hour), "evil"), pyth.CodeNotFound)
	u, err := s.User(ctx, "ada")
	want(t, err, "")
	same(t, a.user, u)
	createReset(t, s, "ada", "reset") // Create the token again, because a store may delete an expired token.
	want(t, s.UseResetToken(ctx, hash("reset"), start, "new hash"), "")
	want(t, s.UseResetToken(ctx, hash("reset"), start, "evil"), pyth.CodeNotFound)
	u, err = s.User(ctx, "ada")
	want(t, err, "")
	same(t, "new hash", u.PasswordHash)
	for name, code := range map[string]pyth.Code{"a": pyth.CodeNotFound, "b": ""} {
		_, err := s.RefreshToken(ctx, hash(name))
		want(t, err, code)
	}
	u, err = s.User(ctx, "bob")
	want(t, err, "")
	same(t, b.user, u)
}

// testResetOfUnconfirmedAccount resets the password of an account that another person may
// have registered. This person must lose all access, and the owner of the address must
// not get the objects that this person has stored.
func testResetOfUnconfirmedAccount(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	createUnconfirmed(t, s, "ada")
	create(t, s, "bob")
	for name, code := range map[string]pyth.Code{"ada": pyth.CodeNotFound, "bob": ""} {
		user := pyth.UserID(name)
		want(t, s.CreateWebhook(ctx, newWebhook(user, "whk of "+name, "", pyth.EventExecutionEnded), many), "")
		want(t, s.CreateIdentity(ctx, identity("idn of "+name, user, name), many), "")
		want(t, s.PutSecret(ctx, user, &pyth.SealedSecret{Secret: pyth.Secret{Name: "TOKEN", Version: 1, CreatedAt: start, UpdatedAt: start}, Sealed: []byte("s")}, many), "")
		_, _, err := s.StoreCode(ctx, user, "program of "+name, encrypted("", 1), start, many)
		want(t, err, "")
		want(t, s.PutPackageList(ctx, user, packageList(1, "layer", "numpy")), "")
		createReset(t, s, user, "reset of "+name)
		want(t, s.UseResetToken(ctx, hash("reset of "+name), start, "new hash"), "")
		_, _, err = s.APIKeyByHash(ctx, hash(name))
		want(t, err, code)
		_, err = s.SealedSecret(ctx, user, "TOKEN")
		want(t, err, code)
		list, err := s.PackageList(ctx, user, pyth.PythonRuntime)
		want(t, err, "")
		layers, err := s.PackageLayers(ctx, user)
		want(t, err, "")
		u, err := s.User(ctx, user)
		want(t, err, "")
		if kept := code == ""; len(list.Packages) > 0 != kept || (layers != pyth.Layers{}) != kept || u.TakenOverAt.IsZero() != kept {
			t.Errorf("%s: got the packages %+v, the layers %v, and the user %+v", name, list, layers, u)
		}
		// A change that began before the reset fails.
		conflict := pyth.CodeConflict
		if code == "" {
			conflict = ""
		}
		want(t, s.PutPackageList(ctx, user, packageList(2, "layer", "numpy")), conflict)
		nodes := packageList(1, "layer", "lodash")
		nodes.Runtime = pyth.NodeRuntime
		want(t, s.PutPackageList(ctx, user, nodes), conflict)
		identities, err := s.Identities(ctx, user)
		want(t, err, "")
		webhooks, err := s.Webhooks(ctx, user)
		want(t, err, "")
		if kept := code == ""; len(identities) > 0 != kept || len(webhooks) > 0 != kept {
			t.Errorf("%s: got %d identities and %d webhooks", name, len(identities), len(webhooks))
		}
	}
}

// testMailedResetToken checks that the use of a mailed token confirms the address.
func testMailedResetToken(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	for name, mailed := range map[string]bool{"ada": true, "bob": false} {
		user := pyth.UserID(name)
		createUnconfirmed(t, s, name)
		want(t, s.CreateEmailConfirmation(ctx, confirmation(user, "confirmation of "+name)), "")
		token := &pyth.ResetToken{Hash: hash("reset of " + name), UserID: user, CreatedAt: start, ExpiresAt: start.Add(time.Hour), Mailed: mailed}
		want(t, s.CreateResetToken(ctx, token), "")
		got, err := s.ResetToken(ctx, token.Hash)
		want(t, err, "")
		same(t, token, got)
		want(t, s.UseResetToken(ctx, token.Hash, start, "new hash"), "")
		u, err := s.User(ctx, user)
		want(t, err, "")
		same(t, mailed, u.EmailUnconfirmedAt.IsZero())
		_, err = s.UseEmailConfirmation(ctx, hash("confirmation of "+name), start)
		if code := pyth.ErrorCode(err); mailed != (code == pyth.CodeNotFound) {
			t.Errorf("%s: the earlier confirmation has the code %q", name, code)
		}
	}
}

func testResetTokenRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	createReset(t, s, "ada", "reset")
	got := race(8, func(i int) error { return s.UseResetToken(t.Context(), hash("reset"), start, fmt.Sprint("hash ", i)) })
	same(t, map[pyth.Code]int{"": 1, pyth.CodeNotFound: 7}, got)
}
