package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// reserve makes a reservation with this ID for ann.
func (s *scene) reserve(id pyth.ReservationID) {
	s.Helper()
	before := time.Now()
	r, err := s.Reserve(s.Context(), "ann", pyth.Layers{}, id)
	if err != nil {
		s.Fatal(err)
	}
	want := &pyth.Reservation{ID: id, PublicKey: []byte("public"), ExpiresAt: time.Now().Add(reservationTTL)}
	if diff := cmp.Diff(want, r); diff != "" || time.Since(before) > 2*bootTime {
		s.Errorf("the reservation took %v (-want +got):\n%s", time.Since(before), diff)
	}
}

// The function "sealed" makes the job use the reservation "r".
func sealed(j *pyth.Job) *pyth.Job {
	j.Encrypted = &pyth.EncryptedJob{Sandbox: "r"}
	return j
}

func (s *scene) expectNotReserved(tenant pyth.UserID) {
	s.Helper()
	if _, err := pyth.Dispatch(s.Context(), s, sealed(job(tenant, 0)), nil); pyth.ErrorCode(err) != pyth.CodeNotFound {
		s.Errorf("got %v", err)
	}
}

func TestReservation(t *testing.T) {
	on(t, "runs one job of its tenant, and no other tenant's job", nil, func(s *scene) {
		s.warm()
		s.reserve("r")
		s.expectNotReserved("bob")
		other := s.run(job("ann", 0))
		c := s.run(sealed(job("ann", time.Minute)))
		if s.home(c) != s.first() || s.home(other) == s.home(c) {
			t.Error("the job did not run in its reservation, or another job did")
		}
		s.expectNotReserved("ann")
		s.sleep(bootTime)
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 1})
	})

	on(t, "expires if it is not used", nil, func(s *scene) {
		s.warm()
		s.reserve("r")
		s.sleep(bootTime)
		s.expectStats(pool.Stats{Warm: 1, Reserved: 1})
		s.sleep(reservationTTL)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Expired: 1})
		s.expectNotReserved("ann")
	})

	on(t, "does not expire while its job runs", nil, func(s *scene) {
		s.reserve("r")
		c := s.begin(sealed(job("ann", 2*reservationTTL)))
		s.expect(c, pyth.StatusSucceeded)
		s.sleep(bootTime)
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 1})
	})

	on(t, "is refused beyond the limits of the tenant and of sessions", nil, func(s *scene) {
		s.reserve("r")
		s.reserve("q")
		if _, err := s.Reserve(s.Context(), "ann", pyth.Layers{}, "p"); pyth.ErrorCode(err) != pyth.CodeQuotaExceeded {
			t.Errorf("got %v", err)
		}
		s.open("bob", "a")
		if _, err := s.Reserve(s.Context(), "bob", pyth.Layers{}, "p"); pyth.ErrorCode(err) != pyth.CodeOverloaded {
			t.Errorf("got %v", err)
		}
		if err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "b", Tenant: "bob"}); pyth.ErrorCode(err) != pyth.CodeOverloaded {
			t.Errorf("got %v", err)
		}
		s.run(sealed(job("ann", 0)))
		s.reserve("p")
	})

	on(t, "respects the limit under concurrent requests", nil, func(s *scene) {
		results := make(chan error)
		for _, id := range []pyth.ReservationID{"a", "b", "c", "d"} {
			go func() {
				_, err := s.Reserve(s.Context(), "ann", pyth.Layers{}, id)
				results <- err
			}()
		}
		got := map[pyth.Code]int{}
		for range 4 {
			got[pyth.ErrorCode(<-results)]++
		}
		if diff := cmp.Diff(map[pyth.Code]int{"": 2, pyth.CodeQuotaExceeded: 2}, got); diff != "" {
			t.Error(diff)
		}
	})

	on(t, "that is canceled during its creation leaves nothing", nil, func(s *scene) {
		s.warm()
		ctx, cancel := context.WithCancel(s.Context())
		failed := make(chan error)
		go func() {
			_, err := s.Reserve(ctx, "ann", pyth.Layers{}, "r")
			failed <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-failed; err == nil {
			t.Error("the canceled reservation succeeded")
		}
		s.sleep(bootTime)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
		s.reserve("p")
		s.reserve("q")
	})

	on(t, "ends if its sandbox dies", nil, func(s *scene) {
		s.reserve("r")
		s.first().die()
		synctest.Wait()
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
		s.expectNotReserved("ann")
	})

	on(t, "ends if its sandbox does not start the job, without a retry", nil, func(s *scene) {
		s.reserve("r")
		s.set(func() { s.runFails = func(int) bool { return true } })
		if _, err := pyth.Dispatch(s.Context(), s, sealed(job("ann", 0)), nil); pyth.ErrorCode(err) != pyth.CodeUnavailable || s.runs != 1 {
			t.Errorf("got %v after %d runs", err, s.runs)
		}
		s.set(func() { s.runFails = nil })
		s.expectNotReserved("ann")
	})

	on(t, "is removed if its job is canceled at its turn", nil, func(s *scene) {
		s.warm()
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		for range 20 { // The pool's select chooses randomly among ready channels, so try often.
			s.reserve("r")
			if o, err := pyth.Dispatch(canceled, s, sealed(job("ann", 0)), nil); err != nil || o.Status != pyth.StatusCanceled {
				t.Fatalf("got %+v, %v", o, err)
			}
			s.expectNotReserved("ann")
			s.sleep(2 * bootTime)
			s.expectStats(pool.Stats{Warm: 1})
		}
	})

	on(t, "waits for running jobs", func(m *machine) { m.MaxRunning, m.MaxPerTenant = 1, 1 }, func(s *scene) {
		s.reserve("r")
		c := s.begin(job("bob", time.Minute))
		waits := s.begin(sealed(job("ann", 0)))
		s.expect(c, pyth.StatusSucceeded)
		s.expectQueued(waits, time.Minute)
	})

	on(t, "ends with the pool", nil, func(s *scene) {
		s.reserve("r")
		_ = s.Close()
		s.expectStats(pool.Stats{})
		if _, err := s.Reserve(s.Context(), "ann", pyth.Layers{}, "p"); pyth.ErrorCode(err) != pyth.CodeDraining {
			t.Errorf("got %v", err)
		}
	})
}
