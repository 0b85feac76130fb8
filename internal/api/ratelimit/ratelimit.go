// Package ratelimit bounds how often something may be done for each of many
// keys: addresses, accounts, users.
//
// It promises that memory stays flat however many keys are seen: a limiter
// holds at most the number of keys that it was made for. A bucket that has
// filled up again is the same as one that was never used and is dropped first;
// when all are in use the one that was used longest ago makes room, as it is
// the nearest to being full.
package ratelimit

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how much is allowed: Count in every Per, and at most Count at once.
// The zero Rate allows everything.
type Rate struct {
	Count int
	Per   time.Duration
}

// Off tells whether the rate allows everything.
func (r Rate) Off() bool { return r.Count <= 0 || r.Per <= 0 }

// Decision is what a Limiter says to one attempt.
type Decision struct {
	Allowed bool
	// Limit is the size of the bucket, Remaining what is left in it.
	Limit     int
	Remaining int
	// Reset is the time until the bucket is full again.
	Reset time.Duration
	// RetryAfter is the time until the next attempt can succeed; zero when
	// this one did.
	RetryAfter time.Duration
}

// Limiter keeps one token bucket a key. It is safe for concurrent use.
type Limiter struct {
	rate    Rate
	maxKeys int
	now     func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element
	// recent has the buckets, the last used in front.
	recent *list.List
}

type bucket struct {
	key    string
	tokens *rate.Limiter
}

// New makes a Limiter that holds at most maxKeys keys. The rate must not be
// off: a caller who wants no limit needs no Limiter.
func New(r Rate, maxKeys int, now func() time.Time) *Limiter {
	return &Limiter{
		rate:    r,
		maxKeys: max(maxKeys, 1),
		now:     now,
		buckets: map[string]*list.Element{},
		recent:  list.New(),
	}
}

// Rate is the rate that the limiter was made with.
func (l *Limiter) Rate() Rate { return l.rate }

// Len is the number of keys that are held.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// Allow takes a token from the key's bucket, if there is one.
func (l *Limiter) Allow(key string) Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	tokens := l.bucket(key, now).tokens

	d := Decision{Allowed: tokens.AllowN(now, 1), Limit: l.rate.Count}
	left := tokens.TokensAt(now)
	d.Remaining = max(int(math.Floor(left)), 0)
	d.Reset = l.timeFor(float64(l.rate.Count) - left)
	if !d.Allowed {
		d.RetryAfter = l.timeFor(1 - left)
	}
	return d
}

// timeFor is how long it takes to gain the tokens.
func (l *Limiter) timeFor(tokens float64) time.Duration {
	return max(time.Duration(math.Ceil(tokens*float64(l.rate.Per)/float64(l.rate.Count))), 0)
}

func (l *Limiter) bucket(key string, now time.Time) *bucket {
	if e, ok := l.buckets[key]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	l.evict(now)
	every := rate.Limit(float64(l.rate.Count) / l.rate.Per.Seconds())
	b := &bucket{key: key, tokens: rate.NewLimiter(every, l.rate.Count)}
	l.buckets[key] = l.recent.PushFront(b)
	return b
}

// evict makes room for one key. It looks at two buckets for each that is
// added, so full ones go faster than new ones come, at constant cost.
func (l *Limiter) evict(now time.Time) {
	for range 2 {
		oldest := l.recent.Back()
		if oldest == nil {
			return
		}
		b := oldest.Value.(*bucket)
		full := b.tokens.TokensAt(now) >= float64(l.rate.Count)
		if !full && len(l.buckets) < l.maxKeys {
			return
		}
		l.recent.Remove(oldest)
		delete(l.buckets, b.key)
	}
}
