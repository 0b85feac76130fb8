package vault_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// rig contains a store and a root key. The field "path" is the path of the file with the
// root key. The field "sealed" contains one sealed value for each user.
type rig struct {
	store  *sqlite.Store
	path   string
	sealed map[pyth.UserID][]byte
	mu     sync.Mutex
}

func newRig(t *testing.T, users int) *rig {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{store: store, path: filepath.Join(dir, "root.key"), sealed: map[pyth.UserID][]byte{}}
	k, err := vault.OpenOrCreateFileKeeper(r.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range users {
		if err := r.add(t.Context(), k, fmt.Sprintf("user-%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := vault.New(k, store).ServerKey(t.Context(), "signing", 32); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) add(ctx context.Context, k vault.KeyKeeper, id string) error {
	v := vault.New(k, r.store)
	user := pyth.UserID(id)
	key, err := v.NewDataKey(ctx, user)
	if err != nil {
		return err
	}
	sealed, err := v.SealWith(ctx, key, label, []byte("value of "+id))
	if err != nil {
		return err
	}
	var hash [32]byte
	copy(hash[:], id)
	if err := r.store.CreateUser(ctx,
		&pyth.User{ID: user, Email: id + "@example.org", CreatedAt: time.Now()},
		&pyth.APIKey{ID: pyth.KeyID("key-" + id), UserID: user, Hash: hash, CreatedAt: time.Now()}, key); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed[user] = sealed
	return nil
}

// requireAllOpen checks that k can decrypt all values of the rig.
func (r *rig) requireAllOpen(t *testing.T, k vault.KeyKeeper) {
	t.Helper()
	v := vault.New(k, r.store)
	if err := v.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for user, sealed := range r.sealed {
		if got, err := v.Open(t.Context(), user, label, sealed); err != nil || string(got) != "value of "+string(user) {
			t.Errorf("%s: %q, %v", user, got, err)
		}
	}
}

// failingStore is a store that returns errKilled at one call. This error simulates a
// killed process. The field "left" counts the calls until this call. If the field "after"
// is true, the failing call still takes effect.
type failingStore struct {
	pyth.KeyStore
	left  *int
	after bool
}

var errKilled = errors.New("killed")

func (f failingStore) do(call func() error) error {
	*f.left--
	if *f.left == 0 && !f.after {
		return errKilled
	}
	if err := call(); err != nil {
		return err
	}
	if *f.left == 0 {
		return errKilled
	}
	return nil
}

func (f failingStore) RetireRootKeys(ctx context.Context, ids []string) error {
	return f.do(func() error { return f.KeyStore.RetireRootKeys(ctx, ids) })
}

func (f failingStore) RewrapServerKey(ctx context.Context, k *pyth.ServerKey) error {
	return f.do(func() error { return f.KeyStore.RewrapServerKey(ctx, k) })
}

func (f failingStore) RewrapDataKeys(ctx context.Context, keys []*pyth.DataKey) error {
	return f.do(func() error { return f.KeyStore.RewrapDataKeys(ctx, keys) })
}

func TestRotateContinuesAfterKillAtAnyCall(t *testing.T) {
	const users = 120 // With so many users, the rotation needs three transactions.
	for call := 1; call <= 5; call++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, after it: %v", call, after), func(t *testing.T) {
				r := newRig(t, users)
				server, err := vault.OpenFileKeeper(r.path)
				if err != nil {
					t.Fatal(err)
				}
				before, err := os.ReadFile(r.path)
				if err != nil {
					t.Fatal(err)
				}
				left := call
				k, err := vault.OpenFileKeeper(r.path)
				if err != nil {
					t.Fatal(err)
				}
				if err := vault.Rotate(t.Context(), k, failingStore{r.store, &left, after}, func(int) {}); !errors.Is(err, errKilled) {
					t.Fatalf("got %v", err)
				}
				// After the failure, the running server, a restarted server and a new
				// user must all be able to use the vault.
				r.requireAllOpen(t, server)
				started, err := vault.OpenFileKeeper(r.path)
				if err != nil {
					t.Fatal(err)
				}
				r.requireAllOpen(t, started)
				if err := r.add(t.Context(), server, "new"); err != nil {
					t.Error(err)
				}
				half, err := os.ReadFile(r.path)
				if err != nil || len(half) != 64 || !bytes.Equal(half[32:], before) {
					t.Errorf("the key file does not contain the new key and then the old one: %d bytes, %v", len(half), err)
				}

				again, err := vault.OpenFileKeeper(r.path)
				if err != nil {
					t.Fatal(err)
				}
				if err := vault.Rotate(t.Context(), again, r.store, func(int) {}); err != nil {
					t.Fatal(err)
				}
				after, err := os.ReadFile(r.path)
				if err != nil || !bytes.Equal(after, half[:32]) {
					t.Errorf("the new key differs: %v", err)
				}
				started, err = vault.OpenFileKeeper(r.path)
				if err != nil {
					t.Fatal(err)
				}
				r.requireAllOpen(t, started)
				r.requireAllOpen(t, server)
			})
		}
	}
}

func TestRotateLosesNoKeyOfNewUsers(t *testing.T) {
	r := newRig(t, 60)
	server, err := vault.OpenFileKeeper(r.path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				err := r.add(t.Context(), server, fmt.Sprintf("late-%d-%d", w, i))
				if err != nil && pyth.ErrorCode(err) != pyth.CodeConflict {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		k, err := vault.OpenFileKeeper(r.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := vault.Rotate(t.Context(), k, r.store, func(int) {}); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	wg.Wait()
	k, err := vault.OpenFileKeeper(r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.requireAllOpen(t, k)
	if len(r.sealed) < 62 {
		t.Errorf("only %d users were created", len(r.sealed))
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(r.path), ".root-key*")); len(left) > 0 {
		t.Errorf("remaining files: %v", left)
	}
}

func TestRotateUsesTheFirstKeyOfTheSetting(t *testing.T) {
	one := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	two := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 32))
	setting := func(s string) *vault.SettingKeeper {
		k, err := vault.NewSettingKeeper([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r := newRigWith(t, setting(one))
	if err := vault.Rotate(t.Context(), setting(one), r.store, func(int) {}); err == nil || !strings.Contains(err.Error(), "put the new key and a comma before the old key") {
		t.Errorf("got %v", err)
	}
	both := setting(two + ", " + one)
	r.requireAllOpen(t, both)
	if err := vault.Rotate(t.Context(), both, r.store, func(int) {}); err != nil {
		t.Fatal(err)
	}
	r.requireAllOpen(t, setting(two))
	if err := vault.New(setting(one), r.store).Check(t.Context()); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("the old key still works: %v", err)
	}
}

func newRigWith(t *testing.T, k vault.KeyKeeper) *rig {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{store: store, sealed: map[pyth.UserID][]byte{}}
	for i := range 3 {
		if err := r.add(t.Context(), k, fmt.Sprint("user-", i)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestNewSettingKeeperRefusesInvalidKeysWithoutShowingThem(t *testing.T) {
	for name, setting := range map[string]string{
		"empty":          "",
		"no base64":      "canary!",
		"too short":      base64.StdEncoding.EncodeToString([]byte("canary")),
		"a comma at end": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)) + ",",
	} {
		if _, err := vault.NewSettingKeeper([]byte(setting)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerKeyIsCreatedOnce(t *testing.T) {
	r := newRig(t, 0)
	k, err := vault.OpenFileKeeper(r.path)
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(k, r.store)
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = v.ServerKey(t.Context(), "another", 64); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != 64 || !bytes.Equal(key, keys[0]) {
			t.Errorf("got %x and %x", key, keys[0])
		}
	}
	signing, err := v.ServerKey(t.Context(), "signing", 32)
	if err != nil || bytes.Equal(signing, keys[0][:32]) {
		t.Errorf("got %x, %v", signing, err)
	}
}
