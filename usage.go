package pyth

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// UsageTotals contains the sums of the resources that runs used. It also contains the
// sum of the tokens that models used.
type UsageTotals struct {
	// Executions is the number of ended runs for which a sandbox received the program.
	Executions int64
	CPU        time.Duration
	// MemoryMiBMs is the sum of one product for each run: the peak memory in MiB,
	// multiplied by the wall time in milliseconds. Each product is rounded.
	MemoryMiBMs  int64
	NetworkBytes int64
	// StorageBytes is the size of the code and output that the store contains now. The
	// size is measured after encryption.
	StorageBytes int64
	// GenerateTokens is the number of input and output tokens of models.
	GenerateTokens int64
}

// Add adds the totals t to the totals u.
func (u *UsageTotals) Add(t UsageTotals) {
	u.Executions += t.Executions
	u.CPU += t.CPU
	u.MemoryMiBMs += t.MemoryMiBMs
	u.NetworkBytes += t.NetworkBytes
	u.StorageBytes += t.StorageBytes
	u.GenerateTokens += t.GenerateTokens
}

// UsageOrder determines how a usage report is grouped: by days, by languages or by API
// keys.
type UsageOrder string

// Values of UsageOrder.
const (
	UsageByDay      UsageOrder = "day"
	UsageByLanguage UsageOrder = "language"
	UsageByKey      UsageOrder = "key"
)

// UsageOrders returns all values of UsageOrder.
func UsageOrders() []UsageOrder { return []UsageOrder{UsageByDay, UsageByLanguage, UsageByKey} }

// UsageItem is the usage of one group.
type UsageItem struct {
	// Day is set if the usage is grouped by day. It is the time at which the day begins
	// in UTC.
	Day time.Time
	// Language is set if the usage is grouped by language.
	Language Language
	// Key is set if the usage is grouped by API key. It is "" for runs that a user
	// started without an API key.
	Key KeyID
	UsageTotals
}

// UsageQuery selects the usage of a period. The first day of the period begins at
// Since. The last day ends at Until. Since and Until are times at which a day begins in
// UTC.
type UsageQuery struct {
	Since, Until time.Time
	By           UsageOrder
}

// DayOf returns the time at which the day of the given time begins in UTC.
func DayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Totals returns the usage that the record adds to the usage of its user. It returns
// the zero value if the run has not ended, or if no sandbox received its program.
func (r *ExecutionRecord) Totals() UsageTotals {
	if r.State != StateEnded || r.StartedAt.IsZero() {
		return UsageTotals{}
	}
	const mib = 1 << 20
	memory := float64(r.Usage.MemoryPeakBytes) / mib * float64(r.Usage.Wall) / float64(time.Millisecond)
	return UsageTotals{Executions: 1, CPU: r.Usage.CPU, MemoryMiBMs: int64(math.Round(memory)), NetworkBytes: r.NetworkBytes}
}

// UsageCounter contains the values that a store must add to one usage counter. There is
// one counter for each combination of user, day, language and API key.
type UsageCounter struct {
	User     UserID
	Day      time.Time
	Language Language
	Key      KeyID
	UsageTotals
}

// SumUsage adds up the usage of the ended runs in the records. It returns the values
// that a store must add to each usage counter. The counters are sorted, so that
// concurrent transactions change them in the same order. SumUsage ignores records
// without usage.
func SumUsage(records []*ExecutionRecord) []*UsageCounter {
	type key struct {
		user     UserID
		day      time.Time
		language Language
		key      KeyID
	}
	sums := map[key]*UsageCounter{}
	var all []*UsageCounter
	for _, r := range records {
		totals := r.Totals()
		if totals == (UsageTotals{}) {
			continue
		}
		k := key{r.User, DayOf(r.EndedAt), r.Language, r.Key}
		c := sums[k]
		if c == nil {
			c = &UsageCounter{User: k.user, Day: k.day, Language: k.language, Key: k.key}
			sums[k] = c
			all = append(all, c)
		}
		c.Add(totals)
	}
	slices.SortFunc(all, func(a, b *UsageCounter) int {
		return cmp.Or(cmp.Compare(a.User, b.User), a.Day.Compare(b.Day), cmp.Compare(a.Language, b.Language), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// QuotaName identifies a quota of users.
type QuotaName string

// Names of quotas.
const (
	QuotaExecutionsPerDay     QuotaName = "executions_per_day"
	QuotaCPUPerDay            QuotaName = "cpu_ms_per_day"
	QuotaMemoryPerDay         QuotaName = "memory_mib_ms_per_day"
	QuotaStorage              QuotaName = "storage_bytes"
	QuotaGenerateTokensPerDay QuotaName = "generate_tokens_per_day"
	QuotaExecutions           QuotaName = "executions"
	QuotaSessions             QuotaName = "sessions"
	QuotaReservations         QuotaName = "reservations"
	QuotaSecrets              QuotaName = "secrets"
	QuotaEncryptedPrograms    QuotaName = "encrypted_programs"
	QuotaWebhooks             QuotaName = "webhooks"
	QuotaPythonPackages       QuotaName = "python_packages"
	QuotaPythonPackageBytes   QuotaName = "python_package_bytes"
	QuotaNodePackages         QuotaName = "node_packages"
	QuotaNodePackageBytes     QuotaName = "node_package_bytes"
)

// QuotaNames returns the names of all quotas.
func QuotaNames() []QuotaName {
	return []QuotaName{
		QuotaExecutionsPerDay, QuotaCPUPerDay, QuotaMemoryPerDay, QuotaStorage, QuotaGenerateTokensPerDay, QuotaExecutions, QuotaSessions, QuotaReservations,
		QuotaSecrets, QuotaEncryptedPrograms, QuotaWebhooks, QuotaPythonPackages, QuotaPythonPackageBytes, QuotaNodePackages, QuotaNodePackageBytes,
	}
}

// UserQuotaNames returns the names of the quotas that an administrator can set for each
// user.
func UserQuotaNames() []QuotaName {
	return []QuotaName{
		QuotaExecutionsPerDay, QuotaCPUPerDay, QuotaMemoryPerDay, QuotaStorage, QuotaGenerateTokensPerDay, QuotaSessions,
	}
}

// UserLimits returns the limits of individual users. These limits replace the limits of
// the server. UserLimits is safe for concurrent use.
type UserLimits interface {
	// Limits returns the limits of the user. If a quota is not in the returned map, the
	// limit of the server applies. The caller must not change the map. Limits must be
	// fast, because each run calls it.
	Limits(ctx context.Context, user UserID) (map[QuotaName]int64, error)
}

// Quota is a limit of a user. Used is the part of the limit that the user already uses.
type Quota struct {
	Name        QuotaName
	Limit, Used int64
	// ResetsAt is the time when Used becomes 0. It is zero if Used decreases only when
	// the user ends or deletes an object.
	ResetsAt time.Time
}

// QuotaSource returns quotas of users. Each service that limits users implements
// QuotaSource.
type QuotaSource interface {
	Quotas(ctx context.Context, user UserID) ([]Quota, error)
}

// UsageReport contains the usage and the quotas of a user.
type UsageReport struct {
	UsageQuery
	Items  []UsageItem
	Total  UsageTotals
	Quotas []Quota
}

// UsageService reports the usage of users. It is safe for concurrent use.
type UsageService interface {
	// Usage returns the usage of a period. The period begins with the day that contains
	// Since. It ends with the day that contains the last moment before Until. Usage fails
	// with CodeInvalid if the period has too many days. Items are sorted by group: by day
	// (earliest first), by language or by key.
	Usage(ctx context.Context, user UserID, q UsageQuery) (*UsageReport, error)
}

// UsageStore stores the usage of users. When the state of a record becomes StateEnded,
// ExecutionStore.PutExecutions adds the run to the usage in the same transaction. The
// counters do not change when records are deleted.
type UsageStore interface {
	// Usage returns the usage of the user in each group, sorted by group. If the usage
	// is grouped by key, it returns no more than "limit" keys. It prefers the keys with
	// the most runs.
	Usage(ctx context.Context, user UserID, q UsageQuery, limit int) ([]UsageItem, error)
	// DayUsage returns the usage of each given user on the day, without StorageBytes.
	// Users without usage are not in the result.
	DayUsage(ctx context.Context, users []UserID, day time.Time) (map[UserID]UsageTotals, error)
	// AddGenerateTokens adds tokens to the usage of a day. It does nothing if the user
	// does not exist.
	AddGenerateTokens(ctx context.Context, user UserID, day time.Time, language Language, key KeyID, tokens int64) error
	// StorageBytes returns the size of the user's code and output in the store. The
	// size is measured after encryption.
	StorageBytes(ctx context.Context, user UserID) (int64, error)
}
