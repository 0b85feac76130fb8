package account_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

// steps records the calls of a Remover.
type steps struct {
	store pyth.Store
	all   []string
	fail  string
}

func (s *steps) note(step string, user pyth.UserID) error {
	if _, err := s.store.User(context.Background(), user); err == nil {
		step += " before"
	} else {
		step += " after"
	}
	s.all = append(s.all, step)
	if s.fail == step {
		return errors.New("failed")
	}
	return nil
}

func (s *steps) EndUser(_ context.Context, user pyth.UserID) error { return s.note("end", user) }

func (s *steps) Erase(_ context.Context, user pyth.UserID) (int, error) {
	return 1, s.note("erase", user)
}

func newRemover(store pyth.Store, log *steps) *account.Remover {
	r := &account.Remover{Store: store, Audit: log}
	r.SetActivities(log)
	return r
}

func TestRemoveEndsRunsBeforeItDeletesTheAccount(t *testing.T) {
	s := newService(t)
	ada, bob := s.register(t, email), s.register(t, "bob@example.org")
	for _, fail := range []string{"end before", "erase before"} {
		log := &steps{store: s.store, fail: fail}
		r := newRemover(s.store, log)
		if r.Remove(t.Context(), ada.User.ID) == nil {
			t.Errorf("%s: the failure was lost", fail)
		}
		if !s.accepts(t, pyth.Credentials{Bearer: ada.Token}) {
			t.Fatalf("%s: the account was deleted", fail)
		}
	}
	log := &steps{store: s.store}
	r := newRemover(s.store, log)
	want(t, r.Remove(t.Context(), ada.User.ID), "")
	if want := []string{"end before", "erase before", "end after", "erase after"}; !slices.Equal(log.all, want) {
		t.Errorf("got the steps %q, want %q", log.all, want)
	}
	for name, c := range map[string]pyth.Credentials{"token": {Bearer: ada.Token}, "key": {APIKey: ada.APIKey}} {
		if s.accepts(t, c) {
			t.Errorf("the %s of a deleted account is valid", name)
		}
	}
	_, err := s.Refresh(t.Context(), ada.RefreshToken, pyth.Client{})
	want(t, err, pyth.CodeInvalidCredentials)
	_, err = s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeInvalidCredentials)
	if !s.accepts(t, pyth.Credentials{Bearer: bob.Token}) {
		t.Error("another account was deleted")
	}
	want(t, r.Remove(t.Context(), ada.User.ID), pyth.CodeNotFound)
	s.register(t, email)
}
