package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

type keys map[pyth.UserID]*pyth.DataKey

func (k keys) DataKey(_ context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	if key := k[user]; key != nil {
		return key, nil
	}
	return nil, pyth.Errorf(pyth.CodeNotFound, "There is no such data key.")
}

func (k keys) DataKeys(context.Context, pyth.UserID, int) ([]*pyth.DataKey, error) {
	return slices.Collect(maps.Values(k)), nil
}

func (keys) ServerKeys(context.Context) ([]*pyth.ServerKey, error) { return nil, nil }

// The type "stored" is a fake KeyStore that implements only the methods for data keys.
type stored struct {
	pyth.KeyStore
	keys
}

func (s stored) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	return s.keys.DataKey(ctx, user)
}

func (s stored) DataKeys(ctx context.Context, after pyth.UserID, limit int) ([]*pyth.DataKey, error) {
	return s.keys.DataKeys(ctx, after, limit)
}

func (s stored) ServerKeys(ctx context.Context) ([]*pyth.ServerKey, error) {
	return s.keys.ServerKeys(ctx)
}

func keeper(t testing.TB) *vault.FileKeeper {
	t.Helper()
	k, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newVault(t testing.TB, users ...pyth.UserID) (*vault.Vault, keys) {
	t.Helper()
	all := keys{}
	v := vault.New(keeper(t), stored{keys: all})
	for _, user := range users {
		key, err := v.NewDataKey(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		all[user] = key
	}
	return v, all
}

var label = vault.Label{Kind: "secret", Name: "TOKEN", Version: 2}

func TestOpenNeedsTheLabelOfSeal(t *testing.T) {
	v, all := newVault(t, "ada", "bob")
	sealed, err := v.Seal(t.Context(), "ada", label, []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Open(t.Context(), "ada", label, sealed)
	if err != nil || string(got) != "value" {
		t.Fatalf("got %q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("value")) {
		t.Error("the value can be read")
	}
	for name, c := range map[string]struct {
		user  pyth.UserID
		label vault.Label
	}{
		"another user":       {"bob", label},
		"another kind":       {"ada", vault.Label{Kind: "key", Name: "TOKEN", Version: 2}},
		"another name":       {"ada", vault.Label{Kind: "secret", Name: "TOKEN2", Version: 2}},
		"another version":    {"ada", vault.Label{Kind: "secret", Name: "TOKEN", Version: 1}},
		"shifted boundaries": {"ada", vault.Label{Kind: "secre", Name: "tTOKEN", Version: 2}},
		"an empty label":     {"ada", vault.Label{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Open(t.Context(), c.user, c.label, sealed); !errors.Is(err, vault.ErrDamaged) || got != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	// Decryption must fail if the record of a user contains the data key of another user.
	all["bob"] = &pyth.DataKey{UserID: "bob", Version: 1, Wrapped: all["ada"].Wrapped}
	if _, err := v.Open(t.Context(), "bob", label, sealed); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestSealNeverRepeatsACiphertext(t *testing.T) {
	v, _ := newVault(t, "ada")
	one, err1 := v.Seal(t.Context(), "ada", label, []byte("value"))
	two, err2 := v.Seal(t.Context(), "ada", label, []byte("value"))
	if err1 != nil || err2 != nil || bytes.Equal(one, two) {
		t.Errorf("got %x and %x, %v, %v", one, two, err1, err2)
	}
}

func TestOpenFailsWithoutADataKey(t *testing.T) {
	v, _ := newVault(t)
	if _, err := v.Open(t.Context(), "nobody", label, []byte{1}); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

func TestOpenDetectsEveryChange(t *testing.T) {
	v, _ := newVault(t, "ada")
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		sealed, err := v.Seal(context.Background(), "ada", label, value)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Open(context.Background(), "ada", label, sealed)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatalf("got %q, %v", got, err)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "index")
		sealed[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "change"))
		if _, err := v.Open(context.Background(), "ada", label, sealed); !errors.Is(err, vault.ErrDamaged) {
			t.Fatalf("got %v", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	v, _ := newVault(f, "ada")
	sealed, err := v.Seal(f.Context(), "ada", label, []byte("value"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add(sealed[:len(sealed)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := v.Open(t.Context(), "ada", label, b); !errors.Is(err, vault.ErrDamaged) {
			t.Errorf("%x opens as %q, %v", b, got, err)
		}
	})
}

func TestOpenOrCreateFileKeeperCreatesOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	names := make([]string, 8)
	var wg sync.WaitGroup
	for i := range names {
		wg.Go(func() {
			k, err := vault.OpenOrCreateFileKeeper(path)
			if err != nil {
				t.Error(err)
				return
			}
			w, err := k.Wrap(t.Context(), []byte("key"), nil)
			if err != nil {
				t.Error(err)
			}
			names[i] = w.RootKey
		})
	}
	wg.Wait()
	for _, n := range names {
		if n != names[0] || len(n) != 16 {
			t.Errorf("the root keys have the names %q, want one name of 16 characters", names)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 {
		t.Errorf("remaining files: %v", left)
	}
}

func TestOpenFileKeeperCreatesNoKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if _, err := vault.OpenFileKeeper(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading created a key: %v", err)
	}
	if _, err := vault.OpenOrCreateFileKeeper(path); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.OpenFileKeeper(path); err != nil {
		t.Error(err)
	}
}

func TestCheckDetectsARootKeyOfAnotherStore(t *testing.T) {
	empty, _ := newVault(t)
	if err := empty.Check(t.Context()); err != nil {
		t.Errorf("a store without data keys: %v", err)
	}
	v, all := newVault(t, "ada", "bob")
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("with the root key of the store: %v", err)
	}
	if err := vault.New(keeper(t), stored{keys: all}).Check(t.Context()); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("with another root key: %v", err)
	}
}

func TestOpenFileKeeperRefusesUnsafeFiles(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		says    string
	}{
		"read by all":   {strings.Repeat("k", 32), 0o644, "chmod 600 /"},
		"read by group": {strings.Repeat("k", 32), 0o640, "chmod 600"},
		"too short":     {"k", 0o600, "1 bytes"},
		"empty":         {"", 0o600, "0 bytes"},
		"too long":      {strings.Repeat("k", 33), 0o600, "33 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "root.key")
			if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
				t.Fatal(err)
			}
			for _, open := range []func(string) (*vault.FileKeeper, error){vault.OpenFileKeeper, vault.OpenOrCreateFileKeeper} {
				if _, err := open(path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}
