package pool

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Reserve reserves a warm sandbox for one job, until this job arrives or the
// reservation expires. Like a job of the tenant, Reserve waits in the queue.
func (p *Pool) Reserve(ctx context.Context, user pyth.UserID, layers pyth.Layers, id pyth.ReservationID) (*pyth.Reservation, error) {
	if err := p.admitReservation(user); err != nil {
		return nil, err
	}
	// The language of the job is unknown. Most jobs are in Python, so use a sandbox for
	// Python.
	job := &pyth.Job{Tenant: user, Language: pyth.Python, Isolation: pyth.IsolationExecution, Layers: layers}
	e, err := p.acquire(ctx, job, false)
	var public []byte
	if err == nil {
		public, err = e.sandbox.Key(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases.opening--
	if e != nil {
		defer p.all.Done()
		defer p.scheduleLocked()
		p.stopLocked(e, job)
	}
	if err == nil {
		err = checkReserved(ctx, e)
	}
	switch {
	case e == nil:
	case p.closed:
		p.removeLocked(e, Drained)
		err = draining()
	case err != nil:
		p.removeLocked(e, Broken)
		err = unavailable(err)
	}
	if err != nil {
		p.leases.countReservation(user, -1)
		return nil, err
	}
	r := &reservation{id: id, tenant: user, entry: e}
	p.leases.reserve(r)
	r.expiry = time.AfterFunc(p.config.ReservationTTL, func() { p.expireReservation(r) })
	return &pyth.Reservation{ID: id, PublicKey: public, ExpiresAt: time.Now().Add(p.config.ReservationTTL)}, nil
}

// checkReserved returns an error if the reservation is useless. This is the case if the
// sandbox has ended. It is also the case if the caller has disconnected, because the
// caller then never learns the reservation's ID.
func checkReserved(ctx context.Context, e *entry) error {
	if e.ended() {
		return errors.New("sandbox has ended")
	}
	return ctx.Err()
}

func (p *Pool) admitReservation(user pyth.UserID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return draining()
	case p.leases.perTenant[user] >= p.config.MaxReservations:
		return pyth.Errorf(pyth.CodeQuotaExceeded, "You have reached the maximum of %d reservations. Use a reservation, or wait until one expires.", p.leases.perTenant[user])
	case p.leases.full():
		p.config.Observer.Refused()
		return overloaded("The server has reached its maximum number of sessions and reservations. Try again later.")
	}
	p.leases.opening++
	p.leases.countReservation(user, 1)
	return nil
}

// expireReservation ends a reservation if no job has used it.
func (p *Pool) expireReservation(r *reservation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A job may have used the reservation before expireReservation got the lock.
	if p.leases.reserved[r.id] != r {
		return
	}
	p.leases.unreserve(r)
	p.removeLocked(r.entry, Expired)
	p.scheduleLocked()
}
