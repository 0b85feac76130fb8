package pool

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// reservation is a sandbox that waits for one job of its tenant.
type reservation struct {
	id     pyth.ReservationID
	tenant pyth.UserID
	member *member
	expiry *time.Timer
}

// reservationOf is the reservation that the job is to use; "" for none.
func reservationOf(job *pyth.Job) pyth.ReservationID {
	if job.Encrypted == nil {
		return ""
	}
	return job.Encrypted.Sandbox
}

// Reserve takes a fresh sandbox, when it is the tenant's turn as for a job, and
// keeps it until its job comes, or the time is over.
func (p *Pool) Reserve(ctx context.Context, user pyth.UserID, layers pyth.Layers, id pyth.ReservationID) (*pyth.Reservation, error) {
	if err := p.admitReservation(user); err != nil {
		return nil, err
	}
	// What the job will be is not known; most are in Python.
	job := &pyth.Job{Tenant: user, Language: pyth.Python, Isolation: pyth.IsolationExecution, Layers: layers}
	m, err := p.acquire(ctx, job, false)
	var public []byte
	if err == nil {
		public, err = m.sandbox.Key(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	if m != nil {
		defer p.all.Done()
		defer p.schedule()
		p.stop(m, job)
	}
	if err == nil {
		err = unusable(ctx, m)
	}
	switch {
	case m == nil:
	case p.closed:
		p.remove(m, Drained)
		err = draining()
	case err != nil:
		p.remove(m, Broken)
		err = unavailable(err)
	}
	if err != nil {
		p.countReservation(user, -1)
		return nil, err
	}
	r := &reservation{id: id, tenant: user, member: m}
	m.reservation = r
	p.reserved[id] = r
	r.expiry = time.AfterFunc(p.config.ReservationTTL, func() { p.expireReservation(r) })
	return &pyth.Reservation{ID: id, PublicKey: public, ExpiresAt: time.Now().Add(p.config.ReservationTTL)}, nil
}

// unusable is why nobody will use a sandbox that has made its key.
func unusable(ctx context.Context, m *member) error {
	select {
	case <-m.sandbox.Done():
		// Nobody else will see that it ended while it was in use.
		return errors.New("the sandbox has ended")
	default:
		// Nobody would learn of one whose user has gone away.
		return ctx.Err()
	}
}

func (p *Pool) admitReservation(user pyth.UserID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return draining()
	case p.reservations[user] >= p.config.MaxReservations:
		return pyth.Errorf(pyth.CodeQuotaExceeded, "You have %d sandboxes reserved, as many as one user may. Use one, or wait until one expires.", p.reservations[user])
	case p.held() >= p.config.MaxSessions:
		p.config.Observer.Refused()
		return overloaded("The server keeps as many sandboxes for sessions and sealed passwords as it can. Try again later.")
	}
	p.opening++
	p.countReservation(user, 1)
	return nil
}

func (p *Pool) countReservation(user pyth.UserID, by int) {
	if p.reservations[user] += by; p.reservations[user] == 0 {
		delete(p.reservations, user)
	}
}

// startReserved gives a job the sandbox that is reserved for it. The caller holds
// the lock.
func (p *Pool) startReserved(t *tenant, w *waiter) {
	p.dequeue(t, 0)
	r := p.reserved[reservationOf(w.job)]
	if r == nil || r.tenant != t.id {
		w.assigned <- assignment{err: pyth.Errorf(pyth.CodeNotFound, "There is no such sandbox. It may have been used, or have expired; reserve another.")}
		p.forget(t)
		return
	}
	p.unreserve(r)
	p.begin(r.member, t, w.job)
	w.assigned <- assignment{member: r.member}
}

// unreserve ends the waiting of a sandbox, which belongs to nobody then. The
// caller holds the lock.
func (p *Pool) unreserve(r *reservation) {
	r.expiry.Stop()
	r.member.reservation = nil
	delete(p.reserved, r.id)
	p.countReservation(r.tenant, -1)
}

func (p *Pool) expireReservation(r *reservation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Its job may have come before this got the lock.
	if p.reserved[r.id] != r {
		return
	}
	p.unreserve(r)
	p.remove(r.member, Expired)
	p.schedule()
}
