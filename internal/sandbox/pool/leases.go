package pool

import (
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// leases holds the sandboxes of sessions and reservations. The pool's lock
// protects it.
type leases struct {
	config   *Config
	sessions map[pyth.SessionID]*entry
	reserved map[pyth.ReservationID]*reservation
	// perTenant contains the number of reservations of each tenant, including the
	// reservations that have no sandbox yet.
	perTenant map[pyth.UserID]int
	// The field "opening" is the number of sessions and reservations that do not have a
	// sandbox yet.
	opening int
}

// reservation is a sandbox reserved for one job of its tenant.
type reservation struct {
	id     pyth.ReservationID
	tenant pyth.UserID
	entry  *entry
	expiry *time.Timer
}

func newLeases(config *Config) leases {
	return leases{
		config: config, sessions: make(map[pyth.SessionID]*entry),
		reserved: make(map[pyth.ReservationID]*reservation), perTenant: make(map[pyth.UserID]int),
	}
}

// The method "full" returns true if the maximum of sessions and reservations is
// reached.
func (l *leases) full() bool {
	return len(l.sessions)+len(l.reserved)+l.opening >= l.config.MaxSessions
}

func (l *leases) openSession(id pyth.SessionID, e *entry) {
	e.session = id
	l.sessions[id] = e
}

func (l *leases) endSession(e *entry) {
	delete(l.sessions, e.session)
	e.session = ""
}

// session returns the sandbox of a session. It returns nil if the session does not
// exist, or if a job or a file operation is using the sandbox.
func (l *leases) session(id pyth.SessionID) *entry {
	if e := l.sessions[id]; e != nil && !e.inUse() {
		return e
	}
	return nil
}

// idleSessions returns the number of sessions without a running job.
func (l *leases) idleSessions() int {
	n := 0
	for _, e := range l.sessions {
		if e.user == nil {
			n++
		}
	}
	return n
}

func (l *leases) reserve(r *reservation) {
	r.entry.reservation = r
	l.reserved[r.id] = r
}

func (l *leases) unreserve(r *reservation) {
	r.expiry.Stop()
	r.entry.reservation = nil
	delete(l.reserved, r.id)
	l.countReservation(r.tenant, -1)
}

func (l *leases) countReservation(user pyth.UserID, by int) {
	if l.perTenant[user] += by; l.perTenant[user] == 0 {
		delete(l.perTenant, user)
	}
}

// reservationOf returns the reservation that the job uses, or "".
func reservationOf(job *pyth.Job) pyth.ReservationID {
	if job.Encrypted == nil {
		return ""
	}
	return job.Encrypted.Sandbox
}
