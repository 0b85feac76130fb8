// Package session keeps users' sessions: who has which, whose turn it is in
// each, and when they end.
//
// It promises that in a session one run, or one operation on a file, goes on at
// a time, in the order in which they were asked for; that a session which is
// not used ends, however long what it last did took, and that none outlives the
// greatest age; that whatever waits or runs in a session ends with it; that
// nobody learns of another user's sessions; and that when Close returns the host
// has no session left.
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
)

// Config says what sessions there may be. Zero values of what is optional mean
// the defaults.
type Config struct {
	Host pyth.SessionHost
	// Limits are the defaults and maxima of sessions' limits, as of programs'.
	Limits pyth.ExecutionLimits
	// Languages are those that can run here.
	Languages []pyth.LanguageInfo
	// Network says what programs may ask for; nil when they have no network.
	Network execution.NetworkPolicy
	// Secrets tell which there are; nil where there are none.
	Secrets Secrets
	// Packages are nil where there are none.
	Packages pyth.PackageSource
	// Clock is optional.
	Clock func() time.Time
	// MaxPerUser bounds the sessions of one user: 20.
	MaxPerUser int
	// Max bounds all sessions; 0 leaves that to the host.
	Max int
	// DefaultIdle is how long a session is kept unused if its user does not say:
	// 10 minutes; MaxIdle the most that may be asked for: 24 hours.
	DefaultIdle, MaxIdle time.Duration
	// MaxAge is how old a session gets, used or not: 24 hours.
	MaxAge time.Duration
	// MaxWaiting bounds what waits for its turn in one session: 32.
	MaxWaiting int
}

// Secrets list users' secrets.
type Secrets interface {
	Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error)
}

// minIdle leaves time to use a session that was just opened.
const minIdle = time.Second

// Service is a pyth.SessionService and a pyth.SessionTurns.
type Service struct {
	config Config
	// busy is what is being opened or closed at the host.
	busy sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[pyth.SessionID]*session
	// places counts the sessions of each user, with those that are being opened
	// or closed; total counts all.
	places map[pyth.UserID]int
	total  int
}

var (
	_ pyth.SessionService = (*Service)(nil)
	_ pyth.SessionTurns   = (*Service)(nil)
)

// New makes a Service. It has nothing to be closed until it has sessions.
func New(config Config) *Service {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	config.MaxPerUser = cmp.Or(config.MaxPerUser, 20)
	config.DefaultIdle = cmp.Or(config.DefaultIdle, 10*time.Minute)
	config.MaxIdle = cmp.Or(config.MaxIdle, 24*time.Hour)
	config.MaxAge = cmp.Or(config.MaxAge, 24*time.Hour)
	config.MaxWaiting = cmp.Or(config.MaxWaiting, 32)
	config.DefaultIdle = min(config.DefaultIdle, config.MaxIdle)
	return &Service{
		config:   config,
		sessions: map[pyth.SessionID]*session{},
		places:   map[pyth.UserID]int{},
	}
}

// OpenSession opens a session.
func (s *Service) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	spec, idle, err := s.spec(user, r)
	if err != nil {
		return nil, err
	}
	if err := s.checkSecrets(ctx, user, r.Secrets); err != nil {
		return nil, err
	}
	if err := s.takePlace(user); err != nil {
		return nil, err
	}
	defer s.busy.Done()
	if err := s.open(ctx, spec); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leavePlace(user)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := newSession(spec, idle, s.config.Clock())
	// Nobody would learn of a session whose user has gone away.
	if err := ctx.Err(); err != nil {
		s.dispose(x)
		return nil, err
	}
	if s.closed {
		s.dispose(x)
		return nil, draining()
	}
	s.sessions[spec.ID] = x
	s.grow(x)
	s.rest(x)
	return s.told(x), nil
}

// open has the host open the session, with the packages that its user has now.
func (s *Service) open(ctx context.Context, spec *pyth.SessionSpec) (err error) {
	// Packages are made for the interpreters that are built in.
	if s.config.Packages != nil && spec.Runtime == "" {
		if spec.Layers, err = s.config.Packages.Layers(ctx, spec.Tenant); err != nil {
			return err
		}
	}
	return s.config.Host.OpenSession(ctx, spec)
}

// spec checks the request and fills in its defaults.
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
	idle := cmp.Or(r.IdleTimeout, s.config.DefaultIdle)
	if idle < minIdle || idle > s.config.MaxIdle {
		faults.Add("body.idleTimeoutMs", "must be between %s and %s ms", pyth.Digits(minIdle.Milliseconds()), pyth.Digits(s.config.MaxIdle.Milliseconds()))
	}
	if err := faults.Err(); err != nil {
		return nil, 0, err
	}
	return spec, idle, nil
}

// checkSecrets refuses secrets that are not there: no run could have them.
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

// takePlace counts a session that is to be opened, if there is room for it, and
// who opens it as busy.
func (s *Service) takePlace(user pyth.UserID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return draining()
	case s.places[user] >= s.config.MaxPerUser:
		return pyth.Errorf(pyth.CodeQuotaExceeded, "You have %d sessions, as many as one user may. Close one.", s.places[user])
	case s.config.Max > 0 && s.total >= s.config.Max:
		return pyth.Errorf(pyth.CodeOverloaded, "The server has as many sessions as it can. Try again later.")
	}
	s.places[user]++
	s.total++
	s.busy.Add(1)
	return nil
}

// leavePlace is the reverse. The caller holds the lock.
func (s *Service) leavePlace(user pyth.UserID) {
	s.total--
	if s.places[user]--; s.places[user] == 0 {
		delete(s.places, user)
	}
}

// Sessions lists the user's, in the order in which they were asked for.
func (s *Service) Sessions(_ context.Context, user pyth.UserID) ([]*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*pyth.Session
	for _, x := range s.sessions {
		if x.spec.Tenant == user {
			all = append(all, s.told(x))
		}
	}
	// Ids of version 7 begin with the time.
	slices.SortFunc(all, func(a, b *pyth.Session) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Session is one of the user's.
func (s *Service) Session(_ context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(user, id)
	if err != nil {
		return nil, err
	}
	return s.told(x), nil
}

// CloseSession returns when the host has closed it.
func (s *Service) CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	s.mu.Lock()
	x, err := s.find(user, id)
	if err == nil {
		s.end(x, notFound())
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return wait(ctx, x.gone)
}

// Interrupt returns when the run in progress has ended.
func (s *Service) Interrupt(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	s.mu.Lock()
	x, err := s.find(user, id)
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

// Close ends all sessions and returns when the host has closed them. There will
// be no others.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for _, x := range s.sessions {
		s.end(x, notFound())
	}
	s.mu.Unlock()
	s.busy.Wait()
}

// find is the user's session. The caller holds the lock.
func (s *Service) find(user pyth.UserID, id pyth.SessionID) (*session, error) {
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
	return pyth.Errorf(pyth.CodeNotFound, "There is no such session. It may have ended; open another.")
}

func draining() error {
	return pyth.Errorf(pyth.CodeDraining, "The server is shutting down. Try again.")
}
