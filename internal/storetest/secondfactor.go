package storetest

import (
	"errors"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func secondFactor(user pyth.UserID, id string) *pyth.SecondFactor {
	return &pyth.SecondFactor{UserID: user, ID: id, Sealed: []byte("sealed\x00" + id), CreatedAt: start}
}

// activate stores an active second factor with the given ID and two recovery codes.
func activate(t *testing.T, s pyth.Store, user pyth.UserID, id string) {
	t.Helper()
	want(t, s.PutSecondFactor(t.Context(), secondFactor(user, id)), "")
	want(t, s.ActivateSecondFactor(t.Context(), user, id, start, 5, [][32]byte{hash("one of " + id), hash("two of " + id)}, ""), "")
}

func testSecondFactor(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	createToken(t, s, token("ada", "kept", "kept"))
	createToken(t, s, token("ada", "other", "other"))
	createToken(t, s, token("bob", "third", "of bob"))
	want(t, s.PutSecondFactor(ctx, secondFactor("nobody", "f")), pyth.CodeNotFound)
	_, err := s.SecondFactor(ctx, "ada")
	want(t, err, pyth.CodeNotFound)
	want(t, s.PutSecondFactor(ctx, secondFactor("ada", "first")), "")
	want(t, s.PutSecondFactor(ctx, secondFactor("ada", "second")), "")
	got, err := s.SecondFactor(ctx, "ada")
	want(t, err, "")
	same(t, secondFactor("ada", "second"), got)
	want(t, s.DeleteSecondFactor(ctx, "ada"), pyth.CodeNotFound)
	want(t, s.ReplaceRecoveryCodes(ctx, "ada", nil), pyth.CodeNotFound)

	at := start.Add(time.Minute)
	codes := [][32]byte{hash("one"), hash("two")}
	want(t, s.ActivateSecondFactor(ctx, "ada", "first", at, 5, codes, "kept"), pyth.CodeConflict)
	want(t, s.ActivateSecondFactor(ctx, "ada", "second", at, 5, codes, "kept"), "")
	want(t, s.ActivateSecondFactor(ctx, "ada", "second", at, 6, codes, "kept"), pyth.CodeConflict)
	want(t, s.PutSecondFactor(ctx, secondFactor("ada", "third")), pyth.CodeConflict)
	active := secondFactor("ada", "second")
	active.LastStep, active.RecoveryCodes = 5, 2
	got, err = s.SecondFactor(ctx, "ada")
	want(t, err, "")
	same(t, active, got)
	for name, code := range map[string]pyth.Code{"kept": "", "other": pyth.CodeNotFound, "of bob": ""} {
		_, err := s.RefreshToken(ctx, hash(name))
		want(t, err, code)
	}
	_, byKey, err := s.APIKeyByHash(ctx, hash("ada"))
	want(t, err, "")
	same(t, at, byKey.SecondFactorAt)

	want(t, s.ReplaceRecoveryCodes(ctx, "ada", [][32]byte{hash("three")}), "")
	want(t, s.UseRecoveryCode(ctx, "ada", hash("one")), pyth.CodeNotFound)
	want(t, s.UseRecoveryCode(ctx, "bob", hash("three")), pyth.CodeNotFound)
	want(t, s.UseRecoveryCode(ctx, "ada", hash("three")), "")
	want(t, s.UseRecoveryCode(ctx, "ada", hash("three")), pyth.CodeNotFound)

	want(t, s.ReplaceRecoveryCodes(ctx, "ada", [][32]byte{hash("four")}), "")
	want(t, s.DeleteSecondFactor(ctx, "ada"), "")
	want(t, s.UseRecoveryCode(ctx, "ada", hash("four")), pyth.CodeNotFound)
	_, err = s.SecondFactor(ctx, "ada")
	want(t, err, pyth.CodeNotFound)
	u, err := s.User(ctx, "ada")
	want(t, err, "")
	same(t, newAccount("ada").user, u)
}

func testTOTPSteps(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	activate(t, s, "ada", "f")
	want(t, s.UseTOTPStep(ctx, "ada", "f", 5), pyth.CodeConflict)
	want(t, s.UseTOTPStep(ctx, "ada", "g", 6), pyth.CodeConflict)
	want(t, s.UseTOTPStep(ctx, "nobody", "f", 6), pyth.CodeConflict)
	got := race(8, func(int) error { return s.UseTOTPStep(ctx, "ada", "f", 7) })
	same(t, map[pyth.Code]int{"": 1, pyth.CodeConflict: 7}, got)
	want(t, s.UseTOTPStep(ctx, "ada", "f", 6), pyth.CodeConflict)
	want(t, s.UseTOTPStep(ctx, "ada", "f", 8), "")
	got = race(8, func(int) error { return s.UseRecoveryCode(ctx, "ada", hash("one of f")) })
	same(t, map[pyth.Code]int{"": 1, pyth.CodeNotFound: 7}, got)
}

func testSecondFactorAttempts(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	_, err := s.BeginSecondFactorAttempt(ctx, "ada", start, 3, time.Minute)
	want(t, err, pyth.CodeNotFound)
	activate(t, s, "ada", "f")
	attempt := func(at time.Time) error {
		_, err := s.BeginSecondFactorAttempt(ctx, "ada", at, 3, time.Minute)
		return err
	}
	got := race(8, func(int) error { return attempt(start) })
	same(t, map[pyth.Code]int{"": 3, pyth.CodeRateLimited: 5}, got)
	err = attempt(start.Add(20 * time.Second))
	if e, ok := errors.AsType[*pyth.Error](err); !ok || e.RetryAfter != 40*time.Second {
		t.Errorf("got %v", err)
	}
	want(t, attempt(start.Add(time.Minute)), "")
	want(t, attempt(start.Add(time.Minute)), pyth.CodeRateLimited)
	// If the clock was set back by a day, the user must not be blocked for a day.
	want(t, attempt(start.Add(-24*time.Hour)), "")
	at := start.Add(time.Hour)
	for _, succeed := range []func() error{
		func() error { return s.UseTOTPStep(ctx, "ada", "f", 6) },
		func() error { return s.UseRecoveryCode(ctx, "ada", hash("one of f")) },
	} {
		at = at.Add(time.Hour)
		f, err := s.BeginSecondFactorAttempt(ctx, "ada", at, 3, time.Minute)
		want(t, err, "")
		same(t, "f", f.ID)
		same(t, 2, f.RecoveryCodes)
		want(t, succeed(), "")
		for range 3 {
			want(t, attempt(at), "")
		}
		want(t, attempt(at), pyth.CodeRateLimited)
	}
}
