package account

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"

	pyth "github.com/pyth-on/pyth-on"
)

func TestVerifyAcceptsOnlyTheHashedPassword(t *testing.T) {
	h := newHasher(1, argon2.IDKey)
	for _, password := range []string{"correct horse battery", "", "a\x00b", strings.Repeat("é", 128)} {
		encoded, err := h.hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		again, err := h.hash(t.Context(), password)
		if err != nil || again == encoded {
			t.Errorf("the second hash of %q is %q: %v; want another than the first", password, again, err)
		}
		for given, want := range map[string]bool{password: true, password + "x": false, "another": false} {
			ok, stale, err := h.verify(t.Context(), encoded, given)
			if ok != want || stale || err != nil {
				t.Errorf("%q for %q: %v, stale %v, %v", given, password, ok, stale, err)
			}
		}
	}
}

// TestVerifyReadsHashesOfOtherImplementations uses a test vector of Argon2's
// reference implementation.
func TestVerifyReadsHashesOfOtherImplementations(t *testing.T) {
	const vector = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	ok, stale, err := newHasher(1, argon2.IDKey).verify(t.Context(), vector, "password")
	if !ok || !stale || err != nil {
		t.Errorf("%v, stale %v, %v", ok, stale, err)
	}
}

func TestHashUsesTheOWASPParameters(t *testing.T) {
	encoded, err := newHasher(1, argon2.IDKey).hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePHC(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if p.memoryKiB < 19*1024 || p.time < 2 || p.parallelism < 1 || len(p.salt) < 16 || len(p.hash) < 32 {
		t.Errorf("got %s", encoded)
	}
}

// slow is a hasher that needs one second for each hash. The field "now" is the number of
// hashes in progress. The field "most" is the highest number of hashes that were in
// progress at the same time.
type slow struct {
	*hasher
	mu        sync.Mutex
	now, most int
	all       []parameters
}

func newSlow(concurrent int) *slow {
	s := &slow{hasher: newHasher(concurrent, nil)}
	s.derive = func(_, _ []byte, costs, memoryKiB uint32, parallelism uint8, size uint32) []byte {
		s.mu.Lock()
		s.now++
		s.most = max(s.most, s.now)
		s.all = append(s.all, parameters{memoryKiB, costs, parallelism})
		s.mu.Unlock()
		time.Sleep(time.Second)
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
		return make([]byte, size)
	}
	return s
}

func TestHashBoundsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers, bound = 200, 3
		s := newSlow(bound)
		begun := time.Now()
		codes := map[pyth.Code]int{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				_, err := s.hash(t.Context(), "password")
				mu.Lock()
				defer mu.Unlock()
				codes[pyth.ErrorCode(err)]++
				if e, ok := errors.AsType[*pyth.Error](err); ok && e.RetryAfter <= 0 {
					t.Errorf("got %+v", e)
				}
			})
		}
		wg.Wait()
		if s.most != bound {
			t.Errorf("%d hashes were computed concurrently", s.most)
		}
		// A login that would wait longer than maxHashWait fails.
		served := bound * int(maxHashWait/time.Second)
		if n := codes[""]; n < served || n > served+bound || codes[""]+codes[pyth.CodeOverloaded] != callers {
			t.Errorf("got %v", codes)
		}
		if took := time.Since(begun); took > maxHashWait+2*time.Second {
			t.Errorf("all calls together took %v", took)
		}
	})
}

func TestHashLeavesQueueWhenContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow(1)
		if err := s.turns.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if _, err := s.hash(ctx, "password"); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		begun := time.Now()
		next := make(chan error)
		go func() {
			_, err := s.hash(t.Context(), "password")
			next <- err
		}()
		synctest.Wait()
		s.turns.Release(1)
		if err := <-next; err != nil || time.Since(begun) != time.Second {
			t.Errorf("the next caller waited for %v, %v", time.Since(begun), err)
		}
		if len(s.all) != 1 {
			t.Errorf("%d hashes were computed for canceled callers, want 0", len(s.all)-1)
		}
	})
}

type accounts struct {
	pyth.Store
	user *pyth.User
}

func (a accounts) UserByEmail(_ context.Context, email string) (*pyth.User, error) {
	if email == a.user.Email {
		return a.user, nil
	}
	return nil, pyth.Errorf(pyth.CodeNotFound, "There is no such user.")
}

// TestLoginHashesOnceForMissingAccounts counts hashes. It does not measure the time of a
// login, because this time varies too much.
func TestLoginHashesOnceForMissingAccounts(t *testing.T) {
	encoded, err := newHasher(1, argon2.IDKey).hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	absent, err := newHasher(1, argon2.IDKey).hash(t.Context(), "the password of nobody")
	if err != nil {
		t.Fatal(err)
	}
	for name, email := range map[string]string{
		"existing account":       "ada@example.org",
		"missing account":        "nobody@example.org",
		"invalid e-mail address": "nobody",
		"nothing":                "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hasher := newSlow(1)
				s := &Service{hasher: hasher.hasher, dummyHash: absent}
				s.config.Store = accounts{user: &pyth.User{Email: "ada@example.org", PasswordHash: encoded}}
				_, err := s.Login(t.Context(), email, "not the password", "")
				if pyth.ErrorCode(err) != pyth.CodeInvalidCredentials {
					t.Errorf("got %v", err)
				}
				if diff := cmp.Diff([]parameters{current}, hasher.all, cmp.AllowUnexported(parameters{})); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
