package encrypted_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/encrypted"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

var now = time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)

type host struct {
	pyth.Dispatcher
	user pyth.UserID
	ids  []pyth.ReservationID
}

func (h *host) Reserve(_ context.Context, user pyth.UserID, _ pyth.Layers, id pyth.ReservationID) (*pyth.Reservation, error) {
	h.user, h.ids = user, append(h.ids, id)
	return &pyth.Reservation{ID: id, ExpiresAt: time.Now().Add(time.Minute)}, nil
}

func service(t *testing.T, change ...func(*encrypted.Config)) *encrypted.Service {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	err = store.CreateUser(t.Context(), &pyth.User{ID: "ada", Email: "ada@example.org", CreatedAt: now},
		&pyth.APIKey{ID: "k", UserID: "ada", CreatedAt: now}, &pyth.DataKey{UserID: "ada", Wrapped: pyth.WrappedKey{Bytes: []byte("w")}})
	if err != nil {
		t.Fatal(err)
	}
	config := encrypted.Config{Store: store, Clock: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&config)
	}
	s := encrypted.New(config)
	t.Cleanup(func() {
		s.Close()
		_ = store.Close()
	})
	return s
}

// code returns an encrypted program that is not bound to a name.
func code() *pyth.EncryptedProgram {
	return &pyth.EncryptedProgram{
		Language:   pyth.Python,
		KDF:        pyth.KDF{Salt: make([]byte, 16), Time: 1, MemoryKiB: 8, Parallelism: 1},
		Nonce:      make([]byte, 24),
		Ciphertext: make([]byte, 17),
	}
}

func TestEncryptRefusesInvalidPrograms(t *testing.T) {
	s := service(t)
	for name, c := range map[string]struct {
		language       pyth.Language
		code, password string
		at             string
	}{
		"another language":    {"cobol", "1", "pw", "body.language"},
		"no code":             {pyth.Python, "", "pw", "body.code"},
		"too much code":       {pyth.Python, strings.Repeat("x", 1<<20+1), "pw", "body.code"},
		"no password":         {pyth.Python, "1", "", "body.masterPassword"},
		"too long a password": {pyth.Python, "1", strings.Repeat("p", 1025), "body.masterPassword"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Encrypt(t.Context(), c.language, []byte(c.code), []byte(c.password))
			expectFaults(t, err, c.at)
			if c.password != "" && strings.Contains(err.Error(), c.password) {
				t.Errorf("the error contains the password: %v", err)
			}
		})
	}
}

func expectFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	if e, ok := errors.AsType[*pyth.Error](err); ok && e.Code == pyth.CodeInvalid {
		for _, f := range e.Fields {
			got = append(got, f.Location)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestStoreRefusesUnusableParameters(t *testing.T) {
	s := service(t)
	for name, c := range map[string]struct {
		under  string
		change func(c *pyth.EncryptedProgram)
		at     []string
	}{
		"minimum":                       {"a", func(*pyth.EncryptedProgram) {}, nil},
		"maximum":                       {strings.Repeat("a", 128), most, nil},
		"bound to its name":             {"a.B_c-0", func(c *pyth.EncryptedProgram) { c.Name = "a.B_c-0" }, nil},
		"bound to another name":         {"a", func(c *pyth.EncryptedProgram) { c.Name = "b" }, []string{"body.name"}},
		"bound to its name in capitals": {"a", func(c *pyth.EncryptedProgram) { c.Name = "A" }, []string{"body.name"}},
		"no name":                       {"", func(*pyth.EncryptedProgram) {}, []string{"path.name"}},
		"a name that is too long":       {strings.Repeat("a", 129), func(*pyth.EncryptedProgram) {}, []string{"path.name"}},
		"a name of a path":              {"a/b", func(*pyth.EncryptedProgram) {}, []string{"path.name"}},
		"a name of dots":                {"..", func(*pyth.EncryptedProgram) {}, []string{"path.name"}},
		"a name with a line":            {"a\n", func(*pyth.EncryptedProgram) {}, []string{"path.name"}},
		"another language":              {"a", func(c *pyth.EncryptedProgram) { c.Language = "cobol" }, []string{"body.language"}},
		"a short salt":                  {"a", func(c *pyth.EncryptedProgram) { c.KDF.Salt = make([]byte, 15) }, []string{"body.kdf.salt"}},
		"no passes":                     {"a", func(c *pyth.EncryptedProgram) { c.KDF.Time = 0 }, []string{"body.kdf.time"}},
		"too many passes":               {"a", func(c *pyth.EncryptedProgram) { c.KDF.Time = 11 }, []string{"body.kdf.time"}},
		"too little memory":             {"a", func(c *pyth.EncryptedProgram) { c.KDF.MemoryKiB = 7 }, []string{"body.kdf.memoryKiB"}},
		"too much memory":               {"a", func(c *pyth.EncryptedProgram) { c.KDF.MemoryKiB = 262145 }, []string{"body.kdf.memoryKiB"}},
		"too little for its lanes": {
			"a", func(c *pyth.EncryptedProgram) { c.KDF.MemoryKiB, c.KDF.Parallelism = 31, 4 },
			[]string{"body.kdf.memoryKiB"},
		},
		"no lanes":       {"a", func(c *pyth.EncryptedProgram) { c.KDF.Parallelism = 0 }, []string{"body.kdf.parallelism"}},
		"too many lanes": {"a", func(c *pyth.EncryptedProgram) { c.KDF.Parallelism = 17 }, []string{"body.kdf.parallelism"}},
		"numbers out of any range": {
			"a", func(c *pyth.EncryptedProgram) {
				c.KDF = pyth.KDF{Salt: make([]byte, 16), Time: -1 << 62, MemoryKiB: 1 << 62, Parallelism: 1 << 62}
			},
			[]string{"body.kdf.memoryKiB", "body.kdf.parallelism", "body.kdf.time"},
		},
		"a nonce of another cipher":  {"a", func(c *pyth.EncryptedProgram) { c.Nonce = make([]byte, 12) }, []string{"body.cipher.nonce"}},
		"only an authentication tag": {"a", func(c *pyth.EncryptedProgram) { c.Ciphertext = make([]byte, 16) }, []string{"body.ciphertext"}},
		"too large":                  {"a", func(c *pyth.EncryptedProgram) { c.Ciphertext = make([]byte, 1<<20+17) }, []string{"body.ciphertext"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := code()
			c.change(x)
			_, _, err := s.StoreCode(t.Context(), "ada", c.under, x)
			expectFaults(t, err, c.at...)
			if got, lost := s.Code(t.Context(), "ada", c.under); c.at == nil {
				if diff := cmp.Diff(x, got); diff != "" || lost != nil {
					t.Error(lost, diff)
				}
			}
		})
	}
}

func most(c *pyth.EncryptedProgram) {
	c.KDF.Time, c.KDF.MemoryKiB, c.KDF.Parallelism = 10, 262144, 16
	c.Ciphertext = make([]byte, 1<<20+16)
}

func TestStoreListsAndDeletes(t *testing.T) {
	s := service(t, func(c *encrypted.Config) { c.MaxPerUser = 1 })
	if _, created, err := s.StoreCode(t.Context(), "ada", "a", code()); err != nil || !created {
		t.Errorf("%v, %v", created, err)
	}
	if _, _, err := s.StoreCode(t.Context(), "ada", "b", code()); pyth.ErrorCode(err) != pyth.CodeConflict {
		t.Errorf("got %v", err)
	}
	s.NoteExecuted("ada", "a")
	s.Close()
	all, err := s.Codes(t.Context(), "ada")
	want := []*pyth.StoredProgram{{Name: "a", Language: pyth.Python, SizeBytes: 17, CreatedAt: now, UpdatedAt: now, LastExecutedAt: now}}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if err := s.DeleteCode(t.Context(), "ada", "a"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteCode(t.Context(), "ada", "a"); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

func TestReservationsHaveUniqueIDs(t *testing.T) {
	h := new(host)
	s := service(t, func(c *encrypted.Config) { c.Host = h })
	for range 2 {
		if r, err := s.Reserve(t.Context(), "ada"); err != nil || r.ID == "" || r.ExpiresAt.Sub(now) > time.Minute || r.ExpiresAt.Sub(now) < 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if h.user != "ada" || h.ids[0] == h.ids[1] {
		t.Errorf("got %+v", h)
	}
}
