// Package ratelimit limits the rate of events for each key. A key is, for example, an
// address, an account or a user.
//
// A limiter stores at most a fixed number of keys, so its memory is limited. It removes
// full buckets first, because a full bucket is equal to a new bucket. If no bucket is
// full, it removes the least recently used bucket. This bucket is nearly full, so its
// removal hardly changes later decisions.
package ratelimit

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate allows Count events in a period. A burst can have up to Count events. Per is the
// length of the period. The zero Rate allows all events.
type Rate struct {
	Count int
	Per   time.Duration
}

// Off reports whether the rate allows all events.
func (r Rate) Off() bool { return r.Count <= 0 || r.Per <= 0 }

// Decision is the result of one call of Allow.
type Decision struct {
	Allowed bool
	// Limit is the size of the bucket. Remaining is the number of tokens left in the
	// bucket.
	Limit     int
	Remaining int
	// Reset is the time until the bucket is full again.
	Reset time.Duration
	// RetryAfter is the time until the next attempt can succeed. It is zero if this
	// attempt succeeded.
	RetryAfter time.Duration
}

// Limiter has one token bucket for each key. It is safe for concurrent use.
type Limiter struct {
	rate    Rate
	maxKeys int
	now     func() time.Time

	mu      sync.Mutex
	buckets map[string]*list.Element
	// The field "recent" contains the buckets, with the most recently used bucket first.
	recent *list.List
}

type bucket struct {
	key    string
	tokens *rate.Limiter
}

// New returns a Limiter that stores at most maxKeys keys. r.Off() must be false. The
// function "now" returns the current time.
func New(r Rate, maxKeys int, now func() time.Time) *Limiter {
	return &Limiter{
		rate:    r,
		maxKeys: max(maxKeys, 1),
		now:     now,
		buckets: map[string]*list.Element{},
		recent:  list.New(),
	}
}

// Rate returns the rate of the limiter.
func (l *Limiter) Rate() Rate { return l.rate }

// Len returns the number of stored keys.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.buckets)
}

// Allow takes a token from the bucket of the key. If the bucket is empty, the event
// is not allowed.
func (l *Limiter) Allow(key string) Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	tokens := l.bucket(key, now).tokens

	allowed := tokens.AllowN(now, 1)
	return l.rate.Decide(tokens.TokensAt(now), allowed)
}

// Decide returns the decision for a bucket with "left" remaining tokens.
func (r Rate) Decide(left float64, allowed bool) Decision {
	d := Decision{Allowed: allowed, Limit: r.Count, Remaining: max(int(math.Floor(left)), 0), Reset: r.timeFor(float64(r.Count) - left)}
	if !allowed {
		d.RetryAfter = r.timeFor(1 - left)
	}
	return d
}

// timeFor returns the time that a bucket needs to gain the given number of tokens.
func (r Rate) timeFor(tokens float64) time.Duration {
	return max(time.Duration(math.Ceil(tokens*float64(r.Per)/float64(r.Count))), 0)
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

// evict removes buckets before a new key is added. It examines only the two least
// recently used buckets, so it needs constant time. If both buckets are full, it removes
// both.
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
