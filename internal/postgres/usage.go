package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// putUsage is a statement that adds values to one counter of usage. It does nothing if
// the user does not exist.
const putUsage = `INSERT INTO usage_days AS u (user_id, day, language, key_id, executions, cpu, memory, network_bytes, generate_tokens)
	SELECT id, $2::bigint, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint FROM users WHERE id = $1
	ON CONFLICT (user_id, day, language, key_id) DO UPDATE SET
	executions = u.executions + excluded.executions, cpu = u.cpu + excluded.cpu, memory = u.memory + excluded.memory,
	network_bytes = u.network_bytes + excluded.network_bytes, generate_tokens = u.generate_tokens + excluded.generate_tokens`

func addUsage(ctx context.Context, tx pgx.Tx, counters []*pyth.UsageCounter) error {
	if len(counters) == 0 {
		return nil
	}
	batch := new(pgx.Batch)
	for _, c := range counters {
		batch.Queue(putUsage, column.UsageValues(c)...)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// selectUsage is a query that sums the counters and the sizes of the stored contents in
// each group. The parameters are the user, the first and the last day, and the maximum
// number of groups. The placeholder %[1]s is the SQL expression of the group for
// counters. The placeholder %[2]s is the SQL expression of the group for contents.
const selectUsage = `WITH groups AS (
	SELECT %[1]s AS name, executions, cpu, memory, network_bytes, 0 AS bytes, generate_tokens
	FROM usage_days WHERE user_id = $1 AND day >= $2::bigint AND day < $3::bigint
	UNION ALL
	SELECT %[2]s, 0, 0, 0, 0, bytes, 0
	FROM execution_contents WHERE user_id = $1 AND ended_at >= $2::bigint * 86400000000 AND ended_at < $3::bigint * 86400000000),
	sums AS (SELECT name, sum(executions)::bigint AS executions, sum(cpu)::bigint AS cpu, sum(memory)::bigint AS memory,
	sum(network_bytes)::bigint AS network_bytes, sum(bytes)::bigint AS bytes, sum(generate_tokens)::bigint AS generate_tokens
	FROM groups GROUP BY name)
	SELECT * FROM (SELECT * FROM sums ORDER BY executions DESC, name LIMIT $4) top ORDER BY name`

// Usage returns the usage of the user in each group, sorted by group.
func (s *Store) Usage(ctx context.Context, user pyth.UserID, q pyth.UsageQuery, limit int) ([]pyth.UsageItem, error) {
	counters, contents, maximum := "day", "ended_at / 86400000000", any(nil)
	switch q.By {
	case pyth.UsageByDay:
	case pyth.UsageByLanguage:
		counters, contents = "language", "language"
	case pyth.UsageByKey:
		counters, contents, maximum = "key_id", "key_id", limit
	}
	scan := func(row pgx.CollectableRow) (item pyth.UsageItem, err error) {
		var group any = column.Day(&item.Day)
		switch q.By {
		case pyth.UsageByDay:
		case pyth.UsageByLanguage:
			group = &item.Language
		case pyth.UsageByKey:
			group = &item.Key
		}
		err = row.Scan(group, &item.Executions, &item.CPU, &item.MemoryMiBMs, &item.NetworkBytes, &item.StorageBytes, &item.GenerateTokens)
		return item, err
	}
	return collect(ctx, s, scan, fmt.Sprintf(selectUsage, counters, contents), user, column.DayValue(q.Since), column.DayValue(q.Until), maximum)
}

const selectDayUsage = `SELECT user_id, sum(executions)::bigint, sum(cpu)::bigint, sum(memory)::bigint, sum(network_bytes)::bigint, sum(generate_tokens)::bigint
	FROM usage_days WHERE user_id = ANY($1) AND day = $2 GROUP BY user_id`

// DayUsage returns the usage of each of the given users on the given day.
func (s *Store) DayUsage(ctx context.Context, users []pyth.UserID, day time.Time) (map[pyth.UserID]pyth.UsageTotals, error) {
	type usage struct {
		user pyth.UserID
		pyth.UsageTotals
	}
	scan := func(row pgx.CollectableRow) (u usage, err error) {
		err = row.Scan(&u.user, &u.Executions, &u.CPU, &u.MemoryMiBMs, &u.NetworkBytes, &u.GenerateTokens)
		return u, err
	}
	rows, err := collect(ctx, s, scan, selectDayUsage, users, column.DayValue(day))
	if err != nil {
		return nil, err
	}
	all := make(map[pyth.UserID]pyth.UsageTotals, len(rows))
	for _, u := range rows {
		all[u.user] = u.UsageTotals
	}
	return all, nil
}

// AddGenerateTokens adds tokens to the usage of a day.
func (s *Store) AddGenerateTokens(ctx context.Context, user pyth.UserID, day time.Time, language pyth.Language, key pyth.KeyID, tokens int64) error {
	c := pyth.UsageCounter{User: user, Day: day, Language: language, Key: key}
	c.GenerateTokens = tokens
	_, err := s.write(ctx, putUsage, column.UsageValues(&c)...)
	return err
}

// CountSecrets returns the number of the user's secrets.
func (s *Store) CountSecrets(ctx context.Context, user pyth.UserID) (n int64, err error) {
	err = s.row(ctx, "SELECT count(*) FROM secrets WHERE user_id = $1", []any{user}, &n)
	return n, err
}

// CountCodes returns the number of the user's encrypted programs.
func (s *Store) CountCodes(ctx context.Context, user pyth.UserID) (n int64, err error) {
	err = s.row(ctx, "SELECT count(*) FROM encrypted_code WHERE user_id = $1", []any{user}, &n)
	return n, err
}

// TokensTaken returns the number of tokens that were taken from the user's budget of
// the day.
func (s *Store) TokensTaken(ctx context.Context, user pyth.UserID, day time.Time) (n int64, err error) {
	err = s.row(ctx, selectTokens, []any{user, column.DayValue(day)}, &n)
	return n, err
}
