package secret_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// rig is a Service with a real store and two users.
type rig struct {
	*secret.Service
	store *sqlite.Store
	vault *vault.Vault
	now   time.Time
}

// The method "with" returns a Service with the given store. The Service uses the vault
// and the clock of the rig.
func (r *rig) with(t testing.TB, store pyth.SecretStore) *secret.Service {
	s := secret.New(secret.Config{
		Store: store, Vault: r.vault, Clock: func() time.Time { return r.now },
		Failed: func(err error) { t.Error(err) },
	})
	t.Cleanup(s.Close)
	return s
}

func newRig(t testing.TB) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(keeper, store)
	r := &rig{store: store, vault: v, now: time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)}
	for _, user := range []pyth.UserID{"ada", "bob"} {
		key, err := v.NewDataKey(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		u := &pyth.User{ID: user, Email: string(user) + "@example.org", CreatedAt: r.now}
		first := &pyth.APIKey{ID: pyth.KeyID("key-" + user), UserID: user, Hash: [32]byte{user[0]}, CreatedAt: r.now}
		if err := store.CreateUser(t.Context(), u, first, key); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = store.Close() })
	r.Service = r.with(t, store)
	return r
}

func (r *rig) put(t testing.TB, user pyth.UserID, name, value string) *pyth.Secret {
	t.Helper()
	s, _, err := r.PutSecret(t.Context(), user, name, []byte(value), "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The method "revealed" returns the secrets that a run receives, in the form NAME=VALUE.
// If Reveal fails, the method returns only the error code.
func (r *rig) revealed(t testing.TB, user pyth.UserID, names ...string) []string {
	t.Helper()
	grant, err := r.Reveal(t.Context(), user, "run", pyth.SecretRequest{Names: names, All: names == nil})
	if err != nil {
		return []string{string(pyth.ErrorCode(err))}
	}
	var all []string
	for _, v := range grant.Values {
		all = append(all, v.Name+"="+string(v.Value))
	}
	return all
}

func TestPutSecretCountsVersions(t *testing.T) {
	r := newRig(t)
	first, created, err := r.PutSecret(t.Context(), "ada", "TOKEN", []byte("one"), "of mine")
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	want := &pyth.Secret{Name: "TOKEN", Description: "of mine", Version: 1, CreatedAt: r.now, UpdatedAt: r.now}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	start := r.now
	r.now = r.now.Add(time.Minute)
	second, created, err := r.PutSecret(t.Context(), "ada", "TOKEN", []byte("two"), "")
	if err != nil || created {
		t.Fatalf("created %v, %v", created, err)
	}
	want = &pyth.Secret{Name: "TOKEN", Version: 2, CreatedAt: start, UpdatedAt: r.now}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Error(diff)
	}
	if got := r.revealed(t, "ada"); !slices.Equal(got, []string{"TOKEN=two"}) {
		t.Errorf("got %q", got)
	}
}

func TestRevealOpensTheNamedSecrets(t *testing.T) {
	r := newRig(t)
	r.put(t, "ada", "A", "1")
	r.put(t, "ada", "B", "2")
	r.put(t, "bob", "A", "of bob")
	for _, tt := range []struct {
		names []string
		want  []string
	}{
		{nil, []string{"A=1", "B=2"}},
		{[]string{}, nil},
		{[]string{"B"}, []string{"B=2"}},
		{[]string{"B", "A", "B"}, []string{"B=2", "A=1"}},
		{[]string{"A", "C"}, []string{"invalid_request"}},
		{[]string{"a"}, []string{"invalid_request"}},
	} {
		if got := r.revealed(t, "ada", tt.names...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q", tt.names, got)
		}
	}
	if err := r.DeleteSecret(t.Context(), "ada", "A"); err != nil {
		t.Error(err)
	}
	if err := r.DeleteSecret(t.Context(), "ada", "A"); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if got := r.revealed(t, "bob"); !slices.Equal(got, []string{"A=of bob"}) {
		t.Errorf("got %q", got)
	}
}

func TestPutSecretRefusesInvalidSecrets(t *testing.T) {
	r := newRig(t)
	for name, tt := range map[string]struct {
		name, value, description string
		code                     pyth.Code
		at                       string
	}{
		"an empty name":              {"", "v", "", pyth.CodeInvalid, "path.name"},
		"a name with a dash":         {"A-B", "v", "", pyth.CodeInvalid, "path.name"},
		"a name that is too long":    {strings.Repeat("A", 129), "v", "", pyth.CodeInvalid, "path.name"},
		"a name of the loader":       {"LD_PRELOAD", "v", "", pyth.CodeReservedName, "path.name"},
		"PATH":                       {"Path", "v", "", pyth.CodeReservedName, "path.name"},
		"reserved name":              {"PYTH_ON_KEY", "v", "", pyth.CodeReservedName, "path.name"},
		"reserved name and no value": {"PATH", "", "", pyth.CodeInvalid, "path.name"},
		"no value":                   {"A", "", "", pyth.CodeInvalid, "body.value"},
		"a value that is too long":   {"A", strings.Repeat("v", 64<<10+1), "", pyth.CodeInvalid, "body.value"},
		"a value with NUL":           {"A", "a\x00b", "", pyth.CodeInvalid, "body.value"},
		"value that is not text":     {"A", "a\xff", "", pyth.CodeInvalid, "body.value"},
		"a description too long":     {"A", "v", strings.Repeat("d", 1001), pyth.CodeInvalid, "body.description"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.PutSecret(t.Context(), "ada", tt.name, []byte(tt.value), tt.description)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != tt.code || e.Fields[0].Location != tt.at {
				t.Errorf("got %v", err)
			}
		})
	}
	r.put(t, "ada", strings.Repeat("A", 128), strings.Repeat("é", 32<<10))
}

func TestPutSecretClearsTheValue(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"A", "PATH"} {
		value := []byte("canary")
		_, _, _ = r.PutSecret(t.Context(), "ada", name, value, "")
		if string(value) != "\x00\x00\x00\x00\x00\x00" {
			t.Errorf("%s: remaining: %q", name, value)
		}
	}
}

func TestPutSecretAllows200SecretsPerUser(t *testing.T) {
	r := newRig(t)
	for i := range 200 {
		r.put(t, "ada", fmt.Sprintf("S%d", i), "v")
	}
	_, _, err := r.PutSecret(t.Context(), "ada", "ONE_MORE", []byte("v"), "")
	if pyth.ErrorCode(err) != pyth.CodeConflict || !strings.Contains(err.Error(), "200") {
		t.Errorf("got %v", err)
	}
	r.put(t, "ada", "S7", "another")
	r.put(t, "bob", "S", "v")
}

func TestPutSecretLosesNoConcurrentChange(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, _, err := r.PutSecret(t.Context(), "ada", "A", []byte(fmt.Sprint(i)), ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := r.Secrets(t.Context(), "ada")
	if err != nil || len(all) != 1 || all[0].Version != 8 {
		t.Errorf("got %+v, %v", all, err)
	}
}

// tamperedStore is a fake store that changes all secrets before it returns them.
type tamperedStore struct {
	pyth.SecretStore
	change func([]*pyth.SealedSecret)
}

func (s tamperedStore) SealedSecrets(ctx context.Context, user pyth.UserID) ([]*pyth.SealedSecret, error) {
	all, err := s.SecretStore.SealedSecrets(ctx, user)
	s.change(all)
	return all, err
}

// TestAttack101And102RevealRefusesOnlyDamagedSecrets swaps or changes ciphertexts in
// the database (attacks 101 and 102). Other secrets must still work.
func TestAttack101And102RevealRefusesOnlyDamagedSecrets(t *testing.T) {
	r := newRig(t)
	r.put(t, "ada", "A", "one")
	r.put(t, "ada", "B", "two")
	r.put(t, "ada", "C", "three")
	r.put(t, "bob", "A", "of bob")
	old, err := r.store.SealedSecret(t.Context(), "ada", "A")
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, "ada", "A", "new one")
	foreign, err := r.store.SealedSecret(t.Context(), "bob", "A")
	if err != nil {
		t.Fatal(err)
	}
	flips := map[string]func([]*pyth.SealedSecret){
		"another user's":   func(all []*pyth.SealedSecret) { all[0].Sealed = foreign.Sealed },
		"another name's":   func(all []*pyth.SealedSecret) { all[0].Sealed = all[1].Sealed },
		"an older version": func(all []*pyth.SealedSecret) { all[0].Sealed = old.Sealed },
		"another version's number": func(all []*pyth.SealedSecret) {
			all[0].Version = 1
		},
		"nothing":  func(all []*pyth.SealedSecret) { all[0].Sealed = nil },
		"cut off":  func(all []*pyth.SealedSecret) { all[0].Sealed = all[0].Sealed[:len(all[0].Sealed)-1] },
		"extended": func(all []*pyth.SealedSecret) { all[0].Sealed = append(all[0].Sealed, 0) },
	}
	for i := range len(old.Sealed) {
		flips[fmt.Sprintf("byte %d flipped", i)] = func(all []*pyth.SealedSecret) { all[0].Sealed[i] ^= 1 }
	}
	for name, change := range flips {
		t.Run(name, func(t *testing.T) {
			s := r.with(t, tamperedStore{r.store, change})
			grant, err := s.Reveal(t.Context(), "ada", "run", pyth.SecretRequest{All: true})
			if pyth.ErrorCode(err) != pyth.CodeSecretDamaged || grant.Values != nil || strings.Contains(err.Error(), "new one") {
				t.Errorf("got %q, %v", grant.Values, err)
			}
			grant, err = s.Reveal(t.Context(), "ada", "run", pyth.SecretRequest{Names: []string{"B", "C"}})
			if name != "another name's" && (err != nil || len(grant.Values) != 2 || string(grant.Values[0].Value) != "two") {
				t.Errorf("got %q, %v", grant.Values, err)
			}
		})
	}
}

func TestValuesOpensIntactSecretsWithoutNotingUse(t *testing.T) {
	r := newRig(t)
	if values, err := r.Values(t.Context(), "ada"); err != nil || len(values) != 0 {
		t.Errorf("got %q, %v", values, err)
	}
	r.put(t, "ada", "A", "one")
	r.put(t, "ada", "B", "two")
	r.put(t, "bob", "C", "three")
	s := r.with(t, tamperedStore{r.store, func(all []*pyth.SealedSecret) { all[0].Sealed[0] ^= 1 }})
	for service, want := range map[*secret.Service]string{r.Service: "A=one B=two ", s: "B=two "} {
		values, err := service.Values(t.Context(), "ada")
		got := ""
		for _, v := range values {
			got += v.Name + "=" + string(v.Value) + " "
		}
		if err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if all, err := r.Secrets(t.Context(), "ada"); err != nil || !all[0].LastUsedAt.IsZero() {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestSecretsShowsTheLastUseBeforeItIsStored(t *testing.T) {
	r := newRig(t)
	r.put(t, "ada", "A", "1")
	r.put(t, "ada", "B", "2")
	r.now = r.now.Add(time.Hour)
	r.revealed(t, "ada", "A")
	check := func(all []*pyth.Secret, err error) {
		t.Helper()
		if err != nil || !all[0].LastUsedAt.Equal(r.now) || !all[1].LastUsedAt.IsZero() {
			t.Errorf("got %+v, %v", all, err)
		}
	}
	check(r.Secrets(t.Context(), "ada"))
	r.Close()
	stored, err := r.store.SealedSecrets(t.Context(), "ada")
	if err != nil || !stored[0].LastUsedAt.Equal(r.now) || !stored[1].LastUsedAt.IsZero() {
		t.Errorf("got %+v, %v", stored, err)
	}
	check(r.Secrets(t.Context(), "ada"))
	if s := r.put(t, "ada", "A", "3"); !s.LastUsedAt.Equal(r.now) {
		t.Errorf("a new value removed the time of last use: %+v", s)
	}
}

// memory is a fake store that holds one secret and one data key in memory. It records the
// times of last use.
type memory struct {
	pyth.SecretStore
	pyth.KeyStore
	key    *pyth.DataKey
	secret *pyth.SealedSecret
	stored []map[pyth.UserID]map[string]time.Time
}

func (m *memory) DataKey(context.Context, pyth.UserID) (*pyth.DataKey, error) { return m.key, nil }

func (m *memory) SealedSecrets(context.Context, pyth.UserID) ([]*pyth.SealedSecret, error) {
	secret := *m.secret
	return []*pyth.SealedSecret{&secret}, nil
}

func (m *memory) SetSecretsUsed(_ context.Context, used map[pyth.UserID]map[string]time.Time) error {
	m.stored = append(m.stored, used)
	return nil
}

func TestRevealStoresUsesOfOneSecondTogether(t *testing.T) {
	keeper, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	m := new(memory)
	v := vault.New(keeper, m)
	if m.key, err = v.NewDataKey(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Seal(t.Context(), "ada", vault.Label{Kind: "secret", Name: "A", Version: 1}, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	m.secret = &pyth.SealedSecret{Secret: pyth.Secret{Name: "A", Version: 1}, Sealed: sealed}
	synctest.Test(t, func(t *testing.T) {
		s := secret.New(secret.Config{Store: m, Vault: v, Clock: time.Now, Failed: func(err error) { t.Error(err) }})
		start := time.Now()
		for range 10 {
			if _, err := s.Reveal(t.Context(), "ada", "run", pyth.SecretRequest{All: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		s.Close()
		at := func(d time.Duration) map[pyth.UserID]map[string]time.Time {
			return map[pyth.UserID]map[string]time.Time{"ada": {"A": start.Add(d)}}
		}
		want := []map[pyth.UserID]map[string]time.Time{at(900 * time.Millisecond), at(2100 * time.Millisecond), at(2700 * time.Millisecond)}
		if diff := cmp.Diff(want, m.stored); diff != "" {
			t.Error(diff)
		}
	})
}

// countingReads is a store that counts the calls of SealedSecrets.
type countingReads struct {
	pyth.SecretStore
	reads *int
}

func (c countingReads) SealedSecrets(ctx context.Context, user pyth.UserID) ([]*pyth.SealedSecret, error) {
	*c.reads++
	return c.SecretStore.SealedSecrets(ctx, user)
}

func TestRevealReadsOnceAndOmitsMissingSecrets(t *testing.T) {
	r := newRig(t)
	r.put(t, "ada", "A", "one")
	r.put(t, "ada", "B", "two")
	r.put(t, "bob", "C", "three")
	for name, c := range map[string]struct {
		request pyth.SecretRequest
		want    string
	}{
		"all named secrets exist":                 {pyth.SecretRequest{Names: []string{"B"}, IfStored: []string{"A", "B"}}, "B=two A=one"},
		"some were deleted":                       {pyth.SecretRequest{Names: []string{"A"}, IfStored: []string{"X", "A", "C"}}, "A=one"},
		"all were deleted":                        {pyth.SecretRequest{IfStored: []string{"X", "C"}}, ""},
		"a secret that the run names was deleted": {pyth.SecretRequest{Names: []string{"C"}, IfStored: []string{"A"}}, "invalid_request"},
		"all secrets, some deleted":               {pyth.SecretRequest{All: true, IfStored: []string{"X"}}, "A=one B=two"},
		"no secrets need no read":                 {pyth.SecretRequest{}, ""},
		"duplicate names":                         {pyth.SecretRequest{Names: []string{"A", "A"}, IfStored: []string{"A"}}, "A=one"},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			grant, err := r.with(t, countingReads{r.store, &reads}).Reveal(t.Context(), "ada", "run", c.request)
			got := make([]string, 0, len(grant.Values))
			for _, v := range grant.Values {
				got = append(got, v.Name+"="+string(v.Value))
			}
			if err != nil {
				got = append(got, string(pyth.ErrorCode(err)))
			}
			if strings.Join(got, " ") != c.want || reads > 1 {
				t.Errorf("got %q, read %d times", got, reads)
			}
		})
	}
}
