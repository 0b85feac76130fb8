package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// putUsage is a statement that adds values to one counter of usage. It does nothing if
// the user does not exist.
const putUsage = `INSERT INTO usage_days (user_id, day, language, key_id, executions, cpu, memory, network_bytes, generate_tokens)
	SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM users WHERE id = ?1
	ON CONFLICT (user_id, day, language, key_id) DO UPDATE SET
	executions = executions + ?5, cpu = cpu + ?6, memory = memory + ?7, network_bytes = network_bytes + ?8, generate_tokens = generate_tokens + ?9`

func addUsage(ctx context.Context, tx *sql.Tx, counters []*pyth.UsageCounter) error {
	for _, c := range counters {
		if _, err := tx.ExecContext(ctx, putUsage, column.UsageValues(c)...); err != nil {
			return err
		}
	}
	return nil
}

// selectUsage is a query that sums the counters and the sizes of the stored contents in
// each group. The parameters are the user, the first and the last day, and the maximum
// number of groups. The placeholder %[1]s is the SQL expression of the group for
// counters. The placeholder %[2]s is the SQL expression of the group for contents.
const selectUsage = `WITH groups AS (
	SELECT %[1]s AS name, executions, cpu, memory, network_bytes, 0 AS bytes, generate_tokens
	FROM usage_days WHERE user_id = ?1 AND day >= ?2 AND day < ?3
	UNION ALL
	SELECT %[2]s, 0, 0, 0, 0, bytes, 0
	FROM execution_contents WHERE user_id = ?1 AND ended_at >= ?2 * 86400000000 AND ended_at < ?3 * 86400000000),
	sums AS (SELECT name, sum(executions) AS executions, sum(cpu) AS cpu, sum(memory) AS memory,
	sum(network_bytes) AS network_bytes, sum(bytes) AS bytes, sum(generate_tokens) AS generate_tokens
	FROM groups GROUP BY name)
	SELECT * FROM (SELECT * FROM sums ORDER BY executions DESC, name LIMIT ?4) ORDER BY name`

func usageQuery(user pyth.UserID, q pyth.UsageQuery, limit int) (query string, args []any) {
	counters, contents := "day", "ended_at / 86400000000"
	switch q.By {
	case pyth.UsageByDay:
		limit = -1
	case pyth.UsageByLanguage:
		counters, contents, limit = "language", "language", -1
	case pyth.UsageByKey:
		counters, contents = "key_id", "key_id"
	}
	return fmt.Sprintf(selectUsage, counters, contents), []any{user, column.DayValue(q.Since), column.DayValue(q.Until), limit}
}

// Usage returns the usage of the user in each group, sorted by group.
func (s *Store) Usage(ctx context.Context, user pyth.UserID, q pyth.UsageQuery, limit int) (all []pyth.UsageItem, err error) {
	query, args := usageQuery(user, q, limit)
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var item pyth.UsageItem
		var group any = column.Day(&item.Day)
		switch q.By {
		case pyth.UsageByDay:
		case pyth.UsageByLanguage:
			group = &item.Language
		case pyth.UsageByKey:
			group = &item.Key
		}
		if err := rows.Scan(group, &item.Executions, &item.CPU, &item.MemoryMiBMs, &item.NetworkBytes, &item.StorageBytes, &item.GenerateTokens); err != nil {
			return nil, failure(err)
		}
		all = append(all, item)
	}
	return all, failure(rows.Err())
}

const selectDayUsage = `SELECT user_id, sum(executions), sum(cpu), sum(memory), sum(network_bytes), sum(generate_tokens)
	FROM usage_days WHERE user_id IN (SELECT value FROM json_each(?1)) AND day = ?2 GROUP BY user_id`

// DayUsage returns the usage of each of the given users on the given day.
func (s *Store) DayUsage(ctx context.Context, users []pyth.UserID, day time.Time) (map[pyth.UserID]pyth.UsageTotals, error) {
	ids, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, selectDayUsage, string(ids), column.DayValue(day))
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	all := map[pyth.UserID]pyth.UsageTotals{}
	for rows.Next() {
		var user pyth.UserID
		var t pyth.UsageTotals
		if err := rows.Scan(&user, &t.Executions, &t.CPU, &t.MemoryMiBMs, &t.NetworkBytes, &t.GenerateTokens); err != nil {
			return nil, failure(err)
		}
		all[user] = t
	}
	return all, failure(rows.Err())
}

// AddGenerateTokens adds tokens to the usage of a day.
func (s *Store) AddGenerateTokens(ctx context.Context, user pyth.UserID, day time.Time, language pyth.Language, key pyth.KeyID, tokens int64) error {
	c := pyth.UsageCounter{User: user, Day: day, Language: language, Key: key}
	c.GenerateTokens = tokens
	_, err := s.write(ctx, putUsage, column.UsageValues(&c)...)
	return err
}

// count executes a query and returns the number in the only row of its result.
func (s *Store) count(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = s.reader.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, failure(err)
}

// CountSecrets returns the number of the user's secrets.
func (s *Store) CountSecrets(ctx context.Context, user pyth.UserID) (int64, error) {
	return s.count(ctx, "SELECT count(*) FROM secrets WHERE user_id = ?", user)
}

// CountCodes returns the number of the user's encrypted programs.
func (s *Store) CountCodes(ctx context.Context, user pyth.UserID) (int64, error) {
	return s.count(ctx, "SELECT count(*) FROM encrypted_code WHERE user_id = ?", user)
}

// TokensTaken returns the number of tokens that were taken from the user's budget of
// the day.
func (s *Store) TokensTaken(ctx context.Context, user pyth.UserID, day time.Time) (int64, error) {
	return s.count(ctx, selectTokens, user, column.DayValue(day))
}
