package account_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

const (
	email    = "ada@example.org"
	password = "correct horse battery"
	jwtKey   = "a key of 32 bytes to sign tokens"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// service is a Service for one test. It has a separate store and clock. The Service
// hashes passwords with little cost, because only the tests of the hasher need the usual
// cost.
type service struct {
	*account.Service
	store pyth.Store
	clock *clock
	dir   string
}

func newService(t testing.TB, change ...func(*account.Config)) *service {
	t.Helper()
	s := &service{dir: t.TempDir(), clock: &clock{now: time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)}}
	store, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s.store = store
	keeper, err := vault.OpenOrCreateFileKeeper(filepath.Join(s.dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	config := account.Config{
		Store: store, Vault: vault.New(keeper, store), JWTKey: []byte(jwtKey),
		Issuer: "issuer", Audience: "audience", Clock: s.clock.Now,
	}
	for _, c := range change {
		c(&config)
	}
	if s.Service, err = account.NewWithCheapHashes(config); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) register(t testing.TB, email string) *pyth.Grant {
	t.Helper()
	g, err := s.Register(t.Context(), email, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *service) login(t testing.TB, email, password string) *pyth.Grant {
	t.Helper()
	g, err := s.Login(t.Context(), email, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *service) principal(t testing.TB, g *pyth.Grant) *pyth.Principal {
	t.Helper()
	p, err := s.Authenticate(t.Context(), pyth.Credentials{Bearer: g.Token})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *service) accepts(t testing.TB, c pyth.Credentials) bool {
	t.Helper()
	p, err := s.Authenticate(t.Context(), c)
	if err != nil {
		want(t, err, pyth.CodeUnauthenticated)
	}
	return p != nil
}

// want fails the test unless err has the given code. The code "" means that err must be
// nil.
func want(t testing.TB, err error, code pyth.Code) {
	t.Helper()
	if pyth.ErrorCode(err) != code {
		t.Errorf("got %v, want code %q", err, code)
	}
}

// invalid fails the test unless err has exactly one field error. The error must name
// the location and must not contain the value.
func invalid(t testing.TB, err error, location, value string) {
	t.Helper()
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || e.Code != pyth.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Location != location {
		t.Fatalf("got %v, want an error for %s", err, location)
	}
	if len(value) > 3 && strings.Contains(e.Message+e.Fields[0].Message, value) {
		t.Errorf("the error repeats the value: %+v", e)
	}
}

// race makes n concurrent calls of f and counts them by error code. The key ""
// counts successful calls.
func race(n int, f func(i int) error) map[pyth.Code]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	codes := make(map[pyth.Code]int)
	for i := range n {
		wg.Go(func() {
			code := pyth.ErrorCode(f(i))
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	wg.Wait()
	return codes
}

func (s *service) stored(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return string(all)
}
