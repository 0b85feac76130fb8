package storetest

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func testDeleteUserRows(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	want(t, s.DeleteUser(ctx, "ada"), pyth.CodeNotFound)
	Fill(t, s, "ada")
	Fill(t, s, "bob")
	want(t, s.DeleteUser(ctx, "ada"), "")
	for name, get := range map[string]func() error{
		"user":      func() error { _, err := s.User(ctx, "ada"); return err },
		"e-mail":    func() error { _, err := s.UserByEmail(ctx, "ada@example.org"); return err },
		"key":       func() error { _, _, err := s.APIKeyByHash(ctx, hash("ada")); return err },
		"token":     func() error { _, err := s.RefreshToken(ctx, hash("token of ada")); return err },
		"data key":  func() error { _, err := s.DataKey(ctx, "ada"); return err },
		"secret":    func() error { _, err := s.SealedSecret(ctx, "ada", "TOKEN"); return err },
		"execution": func() error { _, err := s.SealedExecution(ctx, "ada", "ended of ada"); return err },
		"again":     func() error { return s.DeleteUser(ctx, "ada") },
	} {
		if code := pyth.ErrorCode(get()); code != pyth.CodeNotFound {
			t.Errorf("%s: got code %q after the user was deleted", name, code)
		}
	}
	_, err := s.SealedExecution(ctx, "bob", "ended of bob")
	want(t, err, "")
	// The e-mail address can be used again. If a run of the deleted user ends now, the
	// store ignores the record of the run.
	want(t, s.PutExecutions(ctx, []*pyth.SealedExecution{endedRun("late", "ada")}), "")
	create(t, s, "ada")
	all, err := s.Executions(ctx, "ada", pyth.ExecutionFilter{}, "", 10)
	want(t, err, "")
	same(t, 0, len(all))
}

func endedRun(id string, user pyth.UserID) *pyth.SealedExecution {
	return &pyth.SealedExecution{
		ExecutionRecord: pyth.ExecutionRecord{
			ID: pyth.ExecutionID(id), User: user, State: pyth.StateEnded, Language: pyth.Python, Labels: []string{"a", "b"},
			CreatedAt: start, StartedAt: start, EndedAt: start.Add(time.Second), Status: pyth.StatusSucceeded, Content: pyth.ContentStored,
		},
		Sealed: []byte("sealed"),
	}
}

// The constant "many" is a large limit. The tests of DeleteUser do not reach this limit.
const many = 100

// Fill creates a user with rows in all tables that belong to users.
func Fill(t *testing.T, s pyth.Store, name string) {
	t.Helper()
	ctx := t.Context()
	create(t, s, name)
	user := pyth.UserID(name)
	createToken(t, s, token(user, "family of "+name, "token of "+name))
	want(t, s.PutSecret(ctx, user, &pyth.SealedSecret{Secret: pyth.Secret{Name: "TOKEN", Version: 1, CreatedAt: start, UpdatedAt: start}, Sealed: []byte("s")}, many), "")
	_, _, err := s.StoreCode(ctx, user, "program", encrypted("", 1), start, many)
	want(t, err, "")
	want(t, s.PutPackageList(ctx, user, packageList(1, "layer", "numpy")), "")
	_, err = s.TakeTokens(ctx, user, start, 1, 10, 100)
	want(t, err, "")
	want(t, s.CreateWebhook(ctx, newWebhook(user, "whk of "+name, "", pyth.EventExecutionEnded), many), "")
	want(t, s.PutExecutions(ctx, []*pyth.SealedExecution{endedRun("ended of "+name, user)}), "")
	errs, err := s.EnqueueExecutions(ctx, []*pyth.QueuedExecution{{
		ExecutionRecord: pyth.ExecutionRecord{ID: pyth.ExecutionID("queued of " + name), User: user, State: pyth.StateQueued, Language: pyth.Python, CreatedAt: start, Content: pyth.ContentNone, Async: true},
		Request:         []byte("request"),
	}}, pyth.QueueLimits{Runs: many, Bytes: 1 << 20})
	want(t, err, "")
	want(t, errs[0], "")
	want(t, s.CreateResetToken(ctx, &pyth.ResetToken{Hash: hash("reset of " + name), UserID: user, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}), "")
	want(t, s.CreateEmailConfirmation(ctx, confirmation(user, "confirmation of "+name)), "")
	want(t, s.PutSecondFactor(ctx, secondFactor(user, "f")), "")
	want(t, s.ActivateSecondFactor(ctx, user, "f", start, 5, [][32]byte{hash("code")}, "family of "+name), "")
	want(t, s.CreateIdentity(ctx, identity("idn of "+name, user, name), many), "")
	begin(t, s, idempotent(user, "key", "request", start), nil)
}
