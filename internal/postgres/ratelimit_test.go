package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestTakeTokenOfSeveralServers(t *testing.T) {
	url := cluster.Database(t)
	a, b := open(t, url), open(t, url)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		s := a
		if i%2 == 0 {
			s = b
		}
		wg.Go(func() {
			left, ok, err := s.TakeToken(t.Context(), "login", "ada", 10, 1000*time.Hour)
			if err != nil || left < 0 || left > 9 {
				t.Errorf("%v tokens left, %v", left, err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 10 {
		t.Errorf("%d tokens were taken, want 10", taken.Load())
	}
	for _, other := range [][2]string{{"login", "bob"}, {"user", "ada"}, {"log", "inada"}} {
		if left, ok, err := a.TakeToken(t.Context(), other[0], other[1], 10, 1000*time.Hour); err != nil || !ok || left != 9 {
			t.Errorf("%q: %v tokens left, %v, %v", other, left, ok, err)
		}
	}
}

func TestTakeTokenFillsBuckets(t *testing.T) {
	name, err := cluster.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, cluster.URL(name))
	take := func(wanted bool, least, most float64) {
		t.Helper()
		left, ok, err := s.TakeToken(t.Context(), "login", "ada", 2, 1000*time.Hour)
		if err != nil || ok != wanted || left < least || left > most {
			t.Errorf("%v tokens left, %v, %v", left, ok, err)
		}
	}
	// pass simulates that time has passed. It replaces the times of the bucket by
	// earlier times.
	pass := func(d string) {
		t.Helper()
		if err := cluster.Exec(t.Context(), name, "UPDATE rate_limits SET at = at - $1::interval, full_at = full_at - $1::interval", d); err != nil {
			t.Fatal(err)
		}
	}
	take(true, 1, 1)
	take(true, 0, 0.01)
	take(false, 0, 0.01)
	pass("250 hours")
	take(false, 0.5, 0.51)
	pass("251 hours")
	take(true, 0, 0.01)
	pass("-1 hours") // The clock of the database was set back.
	take(false, 0, 0.01)
	if err := s.DeleteFullBuckets(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(false, 0, 0.01)
	pass("1001 hours")
	if err := s.DeleteFullBuckets(t.Context()); err != nil {
		t.Fatal(err)
	}
	take(true, 1, 1)
}
