package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const secretLimit = 3

func secret(name string, version int) *pyth.SealedSecret {
	return &pyth.SealedSecret{
		Secret: pyth.Secret{Name: name, Description: "of " + name, Version: version, CreatedAt: start, UpdatedAt: start.Add(time.Duration(version) * time.Minute)},
		Sealed: []byte(fmt.Sprintf("sealed\x00%s %d", name, version)),
	}
}

func testSecretVersions(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	_, err := s.SealedSecret(ctx, "ada", "B")
	want(t, err, pyth.CodeNotFound)
	want(t, s.PutSecret(ctx, "ada", secret("B", 2), secretLimit), pyth.CodeConflict)
	want(t, s.PutSecret(ctx, "ada", secret("B", 1), secretLimit), "")
	want(t, s.PutSecret(ctx, "ada", secret("A", 1), secretLimit), "")
	want(t, s.PutSecret(ctx, "ada", secret("B", 1), secretLimit), pyth.CodeConflict)
	want(t, s.PutSecret(ctx, "ada", secret("B", 3), secretLimit), pyth.CodeConflict)
	want(t, s.PutSecret(ctx, "ada", secret("B", 2), secretLimit), "")
	got, err := s.SealedSecret(ctx, "ada", "B")
	want(t, err, "")
	same(t, secret("B", 2), got)
	all, err := s.SealedSecrets(ctx, "ada")
	want(t, err, "")
	same(t, []*pyth.SealedSecret{secret("A", 1), secret("B", 2)}, all)
	want(t, s.DeleteSecret(ctx, "ada", "B"), "")
	want(t, s.DeleteSecret(ctx, "ada", "B"), pyth.CodeNotFound)
	want(t, s.PutSecret(ctx, "ada", secret("B", 3), secretLimit), pyth.CodeConflict)
	want(t, s.PutSecret(ctx, "ada", secret("B", 1), secretLimit), "")
}

func testSecretLimit(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	want(t, s.PutSecret(t.Context(), "bob", secret("A", 1), secretLimit), "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 2 * secretLimit {
		wg.Go(func() {
			err := s.PutSecret(t.Context(), "ada", secret(fmt.Sprint("S", i), 1), secretLimit)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				stored++
			} else {
				want(t, err, pyth.CodeConflict)
			}
		})
	}
	wg.Wait()
	all, err := s.SealedSecrets(t.Context(), "ada")
	want(t, err, "")
	if stored != secretLimit || len(all) != secretLimit {
		t.Errorf("%d calls succeeded and %d secrets are stored, want %d", stored, len(all), secretLimit)
	}
	for user, expected := range map[pyth.UserID]int64{"ada": secretLimit, "bob": 1, "nobody": 0} {
		n, err := s.CountSecrets(t.Context(), user)
		want(t, err, "")
		same(t, expected, n)
	}
	// A new version of an existing secret must be allowed even at the limit.
	want(t, s.PutSecret(t.Context(), "ada", secret(all[0].Name, 2), secretLimit), "")
}

func testSecretsUsed(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	for user, name := range map[pyth.UserID]string{"ada": "A", "bob": "B"} {
		want(t, s.PutSecret(ctx, user, secret(name, 1), secretLimit), "")
	}
	later := start.Add(time.Hour)
	want(t, s.SetSecretsUsed(ctx, map[pyth.UserID]map[string]time.Time{
		"ada": {"A": later, "B": later, "GONE": later}, "bob": {"B": start}, "nobody": {"A": later},
	}), "")
	// An older time must not replace a newer time.
	want(t, s.SetSecretsUsed(ctx, map[pyth.UserID]map[string]time.Time{"ada": {"A": start}}), "")
	want(t, s.SetSecretsUsed(ctx, nil), "")
	// A new version of a secret must keep the time of the last use.
	want(t, s.PutSecret(ctx, "ada", secret("A", 2), secretLimit), "")
	for user, expected := range map[pyth.UserID]*pyth.SealedSecret{"ada": secret("A", 2), "bob": secret("B", 1)} {
		expected.LastUsedAt = map[pyth.UserID]time.Time{"ada": later, "bob": start}[user]
		all, err := s.SealedSecrets(ctx, user)
		want(t, err, "")
		same(t, []*pyth.SealedSecret{expected}, all)
	}
}

func testForeignSecret(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	want(t, s.PutSecret(ctx, "ada", secret("A", 1), secretLimit), "")
	_, err := s.SealedSecret(ctx, "bob", "A")
	want(t, err, pyth.CodeNotFound)
	want(t, s.DeleteSecret(ctx, "bob", "A"), pyth.CodeNotFound)
	want(t, s.PutSecret(ctx, "bob", secret("A", 2), secretLimit), pyth.CodeConflict)
	all, err := s.SealedSecrets(ctx, "bob")
	want(t, err, "")
	if len(all) != 0 {
		t.Errorf("got %v", all)
	}
	if s.PutSecret(ctx, "nobody", secret("A", 1), secretLimit) == nil {
		t.Error("the store accepted a secret of a user who does not exist")
	}
}
