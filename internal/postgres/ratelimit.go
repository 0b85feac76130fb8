package postgres

import (
	"context"
	"crypto/sha256"
	"time"
)

// takeToken is a statement that first adds the tokens for the time since the last call
// to a bucket. Then it takes a token from the bucket if the bucket has one. It uses only
// the clock of the database, so the clocks of the servers may differ. The parameter $1
// is the bucket, $2 is the size of the bucket, and $3 is the number of tokens per
// second.
const takeToken = `INSERT INTO rate_limits AS b (bucket, tokens, taken, at, full_at)
	VALUES ($1, $2::float8 - 1, true, clock_timestamp(), clock_timestamp() + make_interval(secs => 1 / $3::float8))
	ON CONFLICT (bucket) DO UPDATE SET (tokens, taken, at, full_at) = (
		SELECT filled - take, take = 1, moment, moment + make_interval(secs => ($2::float8 - filled + take) / $3::float8)
		FROM (SELECT moment, filled, CASE WHEN filled >= 1 THEN 1 ELSE 0 END AS take
			FROM (SELECT moment, least($2::float8, b.tokens + $3::float8 * greatest(extract(epoch FROM moment - b.at)::float8, 0)) AS filled
				FROM (SELECT clock_timestamp() AS moment) m) f) t)
	RETURNING tokens, taken`

// TakeToken takes a token from a bucket that all servers share. The bucket gets "size"
// new tokens in each period "per", and never contains more than "size" tokens. TakeToken
// returns the number of remaining tokens, and whether it has taken a token.
func (s *Store) TakeToken(ctx context.Context, name, key string, size int, per time.Duration) (left float64, ok bool, err error) {
	// Store a hash of the key. The hash has a fixed size, and the table then contains no
	// IP addresses.
	bucket := sha256.Sum256([]byte(name + "\x00" + key))
	err = s.row(ctx, takeToken, []any{bucket[:16], float64(size), float64(size) / per.Seconds()}, &left, &ok)
	return left, ok, err
}

// DeleteFullBuckets deletes the full buckets. The database does not need them, because a
// new bucket is also full.
func (s *Store) DeleteFullBuckets(ctx context.Context) error {
	_, err := s.write(ctx, "DELETE FROM rate_limits WHERE full_at < now()")
	return err
}
