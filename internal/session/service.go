// Package session manages users' sessions. It checks who owns a session, schedules
// runs, and ends sessions when they expire.
//
// A session executes one run or file operation at a time, in the order of the requests.
// It ends at its maximum age or after its idle time-out. The idle time-out starts at the
// end of each turn. When a session ends, its current run and all waiting requests also
// end.
//
// A user cannot find out whether another user has a certain session. When Close returns,
// the host has no open sessions.
package session

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// Config configures a Service. Some fields are optional and have defaults.
type Config struct {
	Host pyth.SessionHost
	// Limits contains the default limits and the maximum limits of sessions. The same
	// limits apply to programs without a session.
	Limits pyth.ExecutionLimits
	// Languages contains the languages that this server offers, with their runtimes.
	Languages []pyth.LanguageInfo
	// Network checks the hosts that a request for a session contains. If Network is nil,
	// sessions have no network access.
	Network execution.NetworkPolicy
	// Secrets provides the secrets of users. If Secrets is nil, there are no secrets.
	Secrets Secrets
	// Packages provides the packages of users. If Packages is nil, there are no
	// packages.
	Packages pyth.PackageSource
	// Clock returns the current time. The default is time.Now.
	Clock func() time.Time
	// MaxPerUser is the maximum number of sessions per user. The default is 20.
	MaxPerUser int
	// UserLimits returns limits that replace MaxPerUser for single users. If UserLimits
	// is nil, MaxPerUser applies to all users.
	UserLimits pyth.UserLimits
	// Max is the maximum number of sessions of all users together. If Max is 0, only the
	// host limits this number.
	Max int
	// DefaultIdle is the idle time-out of a session if the request sets no idle
	// time-out. Zero means 10 minutes. MaxIdle is the maximum idle time-out. Zero means
	// 24 hours.
	DefaultIdle, MaxIdle time.Duration
	// MaxAge is the maximum age of a session. At this age, the session ends even if it
	// is in use. The default is 24 hours.
	MaxAge time.Duration
	// MaxWaiting is the maximum number of requests that may wait for a turn of one
	// session. The default is 32.
	MaxWaiting int
}

// Secrets returns the secrets of a user.
type Secrets interface {
	Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error)
}

// minIdle is the minimum idle time-out. With a shorter time-out, a new session could end
// before its first use.
const minIdle = time.Second

// Service implements pyth.SessionService and pyth.SessionTurns. It is safe for
// concurrent use.
type Service struct {
	config Config
	// The field "busy" is a wait group. It waits for the sessions that are being opened
	// or closed at the host.
	busy sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[pyth.SessionID]*session
	// The field "places" contains the number of sessions of each user. It includes
	// sessions that are being opened or closed at the host. The field "total" is the
	// number of sessions of all users.
	places map[pyth.UserID]int
	total  int
	// The field "streams" contains the number of open streams of each user.
	streams map[pyth.UserID]int
}

var (
	_ pyth.SessionService = (*Service)(nil)
	_ pyth.SessionTurns   = (*Service)(nil)
)

// These constants are the defaults of Config.MaxPerUser and Config.DefaultIdle.
const (
	defaultMaxPerUser = 20
	usualIdle         = 10 * time.Minute
)

// New returns a Service. Call Close to end all sessions.
func New(config Config) *Service {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	config.MaxIdle = cmp.Or(config.MaxIdle, 24*time.Hour)
	config.MaxAge = cmp.Or(config.MaxAge, 24*time.Hour)
	config.MaxWaiting = cmp.Or(config.MaxWaiting, 32)
	s := &Service{
		config:   config,
		sessions: map[pyth.SessionID]*session{},
		places:   map[pyth.UserID]int{},
		streams:  map[pyth.UserID]int{},
	}
	s.SetLimits(config.MaxPerUser, config.DefaultIdle)
	return s
}

// OpenSession opens a session at the host. The programs of the session get the current
// packages of the user. Later changes of the packages do not affect the session.
func (s *Service) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	spec, idle, err := s.spec(user, r)
	if err != nil {
		return nil, err
	}
	if err := s.checkSecrets(ctx, user, r.Secrets); err != nil {
		return nil, err
	}
	limit, err := s.maxOf(ctx, user)
	if err != nil {
		return nil, err
	}
	if err := s.takePlace(user, limit); err != nil {
		return nil, err
	}
	defer s.busy.Done()
	if err := s.open(ctx, spec); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leavePlaceLocked(user)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := newSession(spec, idle, s.config.Clock())
	x.name, x.labels = r.Name, slices.Clone(r.Labels)
	// If the client has disconnected, it does not receive the ID of the session.
	// Therefore close the session.
	if err := ctx.Err(); err != nil {
		s.disposeLocked(x)
		return nil, err
	}
	if s.closed {
		s.disposeLocked(x)
		return nil, draining()
	}
	s.sessions[spec.ID] = x
	s.startAgeLocked(x)
	s.startIdleLocked(x)
	return s.viewLocked(x), nil
}

// The method "open" adds the user's packages to spec and opens the session at the host.
func (s *Service) open(ctx context.Context, spec *pyth.SessionSpec) (err error) {
	// Custom images do not support the packages of users.
	if s.config.Packages != nil && spec.Runtime == "" {
		if spec.Layers, err = s.config.Packages.Layers(ctx, spec.Tenant); err != nil {
			return err
		}
	}
	ctx, span := tracing.Start(ctx, "session.open")
	err = s.config.Host.OpenSession(ctx, spec)
	span.End(err)
	return err
}

// spec checks the request. It returns the settings of the session and the idle time-out.
// The settings contain defaults for missing fields.
func (s *Service) spec(user pyth.UserID, r *pyth.SessionRequest) (*pyth.SessionSpec, time.Duration, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, 0, err
	}
	spec := &pyth.SessionSpec{
		ID:       pyth.SessionID(id.String()),
		Tenant:   user,
		Language: cmp.Or(r.Language, pyth.Python),
		Limits:   execution.WithDefaults(r.Limits, s.config.Limits.Default),
		Network:  r.Network,

		Secrets:    r.Secrets,
		AllSecrets: r.AllSecrets,
	}
	if spec.Runtime, err = execution.FindRuntime(r.Runtime, spec.Language, s.config.Languages); err != nil {
		return nil, 0, err
	}
	if err := execution.CheckNetwork(spec.Network, s.config.Network); err != nil {
		return nil, 0, err
	}
	faults := execution.LimitFaults(spec.Limits, s.config.Limits.Max)
	idle := cmp.Or(r.IdleTimeout, s.defaultIdle())
	s.checkIdle(&faults, idle)
	checkName(&faults, r.Name)
	execution.CheckLabels(&faults, r.Labels)
	if err := faults.Err(); err != nil {
		return nil, 0, err
	}
	return spec, idle, nil
}

// checkSecrets returns an error if the user lacks one of the named secrets. Runs in the
// session could not use a secret that does not exist.
func (s *Service) checkSecrets(ctx context.Context, user pyth.UserID, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var all []*pyth.Secret
	if s.config.Secrets != nil {
		var err error
		if all, err = s.config.Secrets.Secrets(ctx, user); err != nil {
			return err
		}
	}
	return pyth.CheckSecretNames(names, all)
}

// maxOf returns the maximum number of sessions of the user.
func (s *Service) maxOf(ctx context.Context, user pyth.UserID) (int, error) {
	if s.config.UserLimits != nil {
		own, err := s.config.UserLimits.Limits(ctx, user)
		if err != nil {
			return 0, err
		}
		if n, ok := own[pyth.QuotaSessions]; ok {
			return int(n), nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.MaxPerUser, nil
}

// SetLimits changes the maximum number of sessions per user and the default idle
// time-out. Existing sessions continue.
func (s *Service) SetLimits(maxPerUser int, defaultIdle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.MaxPerUser = cmp.Or(maxPerUser, defaultMaxPerUser)
	s.config.DefaultIdle = min(cmp.Or(defaultIdle, usualIdle), s.config.MaxIdle)
}

// defaultIdle returns the idle time-out for sessions whose request sets no idle
// time-out.
func (s *Service) defaultIdle() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.DefaultIdle
}

// takePlace reserves a place for a new session of the user, and adds 1 to the field
// "busy". It returns an error if the user already has the maximum number of sessions
// (the parameter "limit"). It also returns an error if the server already has its
// maximum number of sessions.
func (s *Service) takePlace(user pyth.UserID, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return draining()
	case limit == 0:
		return pyth.Errorf(pyth.CodeQuotaExceeded, "You may not open sessions. Ask the operator for a higher quota.")
	case s.places[user] >= limit:
		return pyth.Errorf(pyth.CodeQuotaExceeded, "You have reached the maximum of %d sessions. Close a session first.", limit)
	case s.config.Max > 0 && s.total >= s.config.Max:
		return pyth.Errorf(pyth.CodeOverloaded, "The server has reached its maximum number of sessions. Try again later.")
	}
	s.places[user]++
	s.total++
	s.busy.Add(1)
	return nil
}

// leavePlaceLocked removes a session of the user from the counts in the fields "places"
// and "total".
func (s *Service) leavePlaceLocked(user pyth.UserID) {
	s.total--
	if s.places[user]--; s.places[user] == 0 {
		delete(s.places, user)
	}
}

// Sessions returns the user's sessions, oldest first.
func (s *Service) Sessions(_ context.Context, user pyth.UserID) ([]*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*pyth.Session
	for _, x := range s.sessions {
		if x.spec.Tenant == user {
			all = append(all, s.viewLocked(x))
		}
	}
	// Sort by ID. IDs are UUIDs of version 7, which sort by the time of creation.
	slices.SortFunc(all, func(a, b *pyth.Session) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Session returns the session and restarts its idle time-out. It returns CodeNotFound if
// the session does not exist or belongs to another user.
func (s *Service) Session(_ context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.findLocked(user, id)
	if err != nil {
		return nil, err
	}
	s.touchLocked(x)
	return s.viewLocked(x), nil
}

// CloseSession ends the session and returns when the host has closed it.
func (s *Service) CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	s.mu.Lock()
	x, err := s.findLocked(user, id)
	if err == nil {
		s.endLocked(x, notFound())
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return wait(ctx, x.gone)
}

// Interrupt cancels the current run and returns when the run has ended. If no program is
// running, Interrupt does nothing.
func (s *Service) Interrupt(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	s.mu.Lock()
	x, err := s.findLocked(user, id)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	t := x.current
	s.mu.Unlock()
	if t == nil || !t.runs {
		return nil
	}
	t.cancel(errInterrupted)
	return wait(ctx, t.released)
}

// Close ends all sessions and returns when the host has closed them. Later calls of
// OpenSession return CodeDraining.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for _, x := range s.sessions {
		s.endLocked(x, notFound())
	}
	s.mu.Unlock()
	s.busy.Wait()
}

// findLocked returns the session. It returns CodeNotFound if the session does not
// exist or belongs to another user.
func (s *Service) findLocked(user pyth.UserID, id pyth.SessionID) (*session, error) {
	if x := s.sessions[id]; x != nil && x.spec.Tenant == user {
		return x, nil
	}
	return nil, notFound()
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func notFound() error {
	return pyth.Errorf(pyth.CodeNotFound, "You have no session with this ID. The session may have ended. Open a new session.")
}

func draining() error {
	return pyth.Errorf(pyth.CodeDraining, "The server is shutting down. Try again in a few seconds.")
}

// Count returns the number of sessions of all users. It includes sessions that are being
// opened or closed.
func (s *Service) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Quotas returns the quota for the user's sessions.
func (s *Service) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	limit, err := s.maxOf(ctx, user)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return []pyth.Quota{{Name: pyth.QuotaSessions, Limit: int64(limit), Used: int64(s.places[user])}}, nil
}
