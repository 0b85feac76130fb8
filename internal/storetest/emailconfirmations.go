package storetest

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// createUnconfirmed creates a user whose e-mail address is not confirmed.
func createUnconfirmed(t *testing.T, s pyth.Store, id string) {
	t.Helper()
	a := newAccount(id)
	a.user.EmailUnconfirmedAt = start
	if err := s.CreateUser(t.Context(), a.user, a.key, a.data); err != nil {
		t.Fatal(err)
	}
}

// confirmation returns a confirmation of the address that newAccount gives the user.
func confirmation(user pyth.UserID, name string) *pyth.EmailConfirmation {
	return &pyth.EmailConfirmation{
		Hash: hash(name), UserID: user, Email: string(user) + "@example.org", CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

// requireUnconfirmed fails the test if EmailUnconfirmedAt of the user is not equal to the
// parameter "since". The zero time means a confirmed address.
func requireUnconfirmed(t *testing.T, s pyth.Store, user pyth.UserID, since time.Time) {
	t.Helper()
	u, err := s.User(t.Context(), user)
	want(t, err, "")
	same(t, since, u.EmailUnconfirmedAt)
	_, byKey, err := s.APIKeyByHash(t.Context(), hash(string(user)))
	want(t, err, "")
	same(t, since, byKey.EmailUnconfirmedAt)
}

func testEmailConfirmation(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	createUnconfirmed(t, s, "ada")
	createUnconfirmed(t, s, "bob")
	create(t, s, "eve")
	requireUnconfirmed(t, s, "eve", time.Time{})
	use := func(name string, at time.Time, code pyth.Code, user pyth.UserID) {
		t.Helper()
		got, err := s.UseEmailConfirmation(ctx, hash(name), at)
		want(t, err, code)
		same(t, user, got)
	}
	want(t, s.CreateEmailConfirmation(ctx, confirmation("nobody", "a")), pyth.CodeNotFound)
	want(t, s.CreateEmailConfirmation(ctx, confirmation("ada", "first")), "")
	want(t, s.CreateEmailConfirmation(ctx, confirmation("ada", "second")), "")
	want(t, s.CreateEmailConfirmation(ctx, confirmation("bob", "other")), "")
	use("absent", start, pyth.CodeNotFound, "")
	use("first", start, pyth.CodeNotFound, "")
	use("second", start.Add(time.Hour), pyth.CodeNotFound, "")
	requireUnconfirmed(t, s, "ada", start)
	want(t, s.DeleteExpiredEmailConfirmations(ctx, start.Add(time.Hour)), "")
	use("second", start, "", "ada")
	use("second", start, pyth.CodeNotFound, "")
	requireUnconfirmed(t, s, "ada", time.Time{})
	requireUnconfirmed(t, s, "bob", start)
	want(t, s.DeleteExpiredEmailConfirmations(ctx, start.Add(time.Hour+time.Second)), "")
	use("other", start, pyth.CodeNotFound, "")

	for _, email := range []string{"eve@example.org", "BOB@example.org"} {
		requireUnconfirmed(t, s, "bob", start)
		want(t, s.ConfirmEmail(ctx, "bob", email), "")
	}
	requireUnconfirmed(t, s, "bob", time.Time{})
	want(t, s.ConfirmEmail(ctx, "nobody", "nobody@example.org"), "")
}

// testConfirmationOfEarlierAddress checks that a confirmation is valid only for the
// address to which it was sent.
func testConfirmationOfEarlierAddress(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	later := start.Add(time.Minute)
	want(t, s.SetEmail(ctx, "ada", "ADA@example.org", later), "")
	requireUnconfirmed(t, s, "ada", time.Time{}) // Only the case is different.
	want(t, s.CreateEmailConfirmation(ctx, confirmation("ada", "deleted")), "")
	want(t, s.SetEmail(ctx, "ada", "new@example.org", later), "")
	requireUnconfirmed(t, s, "ada", later)
	// The confirmation "late" is for the old address, but is created after the change.
	for _, name := range []string{"deleted", "late"} {
		_, err := s.UseEmailConfirmation(ctx, hash(name), start)
		want(t, err, pyth.CodeNotFound)
		want(t, s.CreateEmailConfirmation(ctx, confirmation("ada", "late")), "")
	}
	requireUnconfirmed(t, s, "ada", later)
	want(t, s.SetEmail(ctx, "ada", "ada@example.org", time.Time{}), "")
	requireUnconfirmed(t, s, "ada", time.Time{})
}

func testAdminConfirmsEmail(t *testing.T, s pyth.Store) {
	createUnconfirmed(t, s, "ada")
	u, err := s.UpdateUser(t.Context(), "ada", pyth.UserChange{Disabled: new(false)}, start)
	want(t, err, "")
	same(t, start, u.EmailUnconfirmedAt)
	u, err = s.UpdateUser(t.Context(), "ada", pyth.UserChange{ConfirmEmail: true}, start)
	want(t, err, "")
	same(t, time.Time{}, u.EmailUnconfirmedAt)
	requireUnconfirmed(t, s, "ada", time.Time{})
}

func testConfirmationRace(t *testing.T, s pyth.Store) {
	createUnconfirmed(t, s, "ada")
	want(t, s.CreateEmailConfirmation(t.Context(), confirmation("ada", "token")), "")
	got := race(8, func(int) error {
		_, err := s.UseEmailConfirmation(t.Context(), hash("token"), start)
		return err
	})
	same(t, map[pyth.Code]int{"": 1, pyth.CodeNotFound: 7}, got)
}
