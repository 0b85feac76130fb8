package pyth

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// UsageTotals contains the sums of the resources that runs used, and of the tokens
// that models used.
type UsageTotals struct {
	// Executions is the number of ended runs whose program a sandbox has received.
	Executions int64
	CPU        time.Duration
	// MemoryMiBMs is the sum over all runs of the peak memory in MiB, multiplied by
	// the wall time in milliseconds. The product is rounded for each run.
	MemoryMiBMs  int64
	NetworkBytes int64
	// StorageBytes is the encrypted size of the code and output that the store
	// contains now.
	StorageBytes int64
	// GenerateTokens is the number of input and output tokens of models.
	GenerateTokens int64
}

// Add adds the totals t to u.
func (u *UsageTotals) Add(t UsageTotals) {
	u.Executions += t.Executions
	u.CPU += t.CPU
	u.MemoryMiBMs += t.MemoryMiBMs
	u.NetworkBytes += t.NetworkBytes
	u.StorageBytes += t.StorageBytes
	u.GenerateTokens += t.GenerateTokens
}

// UsageOrder determines the groups of a usage report: days, languages or API keys.
type UsageOrder string

// Groups of usage.
const (
	UsageByDay      UsageOrder = "day"
	UsageByLanguage UsageOrder = "language"
	UsageByKey      UsageOrder = "key"
)

// UsageOrders returns all groups of usage.
func UsageOrders() []UsageOrder { return []UsageOrder{UsageByDay, UsageByLanguage, UsageByKey} }

// UsageItem is the usage of one group.
type UsageItem struct {
	// Day is set if the usage is grouped by day. It is the beginning of a day in UTC.
	Day time.Time
	// Language is set if the usage is grouped by language.
	Language Language
	// Key is set if the usage is grouped by API key. It is "" for runs that were
	// started without an API key.
	Key KeyID
	UsageTotals
}

// UsageQuery selects the usage of the days from Since on and before Until. Since and
// Until are beginnings of days in UTC.
type UsageQuery struct {
	Since, Until time.Time
	By           UsageOrder
}

// DayOf returns the beginning of the day in UTC that contains the time.
func DayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Totals returns what the record adds to the usage of its user. It returns the zero
// value if the run has not ended, or if no sandbox received its program.
func (r *ExecutionRecord) Totals() UsageTotals {
	if r.State != StateEnded || r.StartedAt.IsZero() {
		return UsageTotals{}
	}
	const mib = 1 << 20
	memory := float64(r.Usage.MemoryPeakBytes) / mib * float64(r.Usage.Wall) / float64(time.Millisecond)
	return UsageTotals{Executions: 1, CPU: r.Usage.CPU, MemoryMiBMs: int64(math.Round(memory)), NetworkBytes: r.NetworkBytes}
}

// UsageCounter contains values that a store must add to one counter of usage. A
// counter is for one user, day, language and API key.
type UsageCounter struct {
	User     UserID
	Day      time.Time
	Language Language
	Key      KeyID
	UsageTotals
}

// SumUsage returns the counters that the ended records change. The counters are
// sorted, so that concurrent transactions change them in the same order. SumUsage
// ignores records without usage.
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

// QuotaName is the name of a quota of users.
type QuotaName string

// Quotas of users.
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

// UserLimits returns limits of single users that replace the limits of the server. It is
// safe for concurrent use.
type UserLimits interface {
	// Limits returns the limits of the user. For quotas that are not in the map, the
	// limits of the server apply. The caller must not change the map. Limits must be
	// fast, because each run calls it.
	Limits(ctx context.Context, user UserID) (map[QuotaName]int64, error)
}

// Quota is a limit of a user. Used is how much of the limit the user uses.
type Quota struct {
	Name        QuotaName
	Limit, Used int64
	// ResetsAt is the time when Used becomes 0; zero if Used decreases only when the
	// user ends or deletes an object.
	ResetsAt time.Time
}

// QuotaSource returns quotas of users. Services that limit users implement it.
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
	// Usage returns the usage of the days that contain the times from Since on and
	// before Until. It fails with CodeInvalid if there are too many days. Items are
	// sorted by their group: days from the earliest on, then languages or keys.
	Usage(ctx context.Context, user UserID, q UsageQuery) (*UsageReport, error)
}

// UsageStore stores the usage of users. PutExecutions of ExecutionStore counts each run
// when the state of its record becomes StateEnded, in the same transaction. A deletion
// of records does not change the counters.
type UsageStore interface {
	// Usage returns the usage of the user in each group, sorted by group. If the
	// usage is grouped by key, it returns at most "limit" keys: the keys with the
	// most runs.
	Usage(ctx context.Context, user UserID, q UsageQuery, limit int) ([]UsageItem, error)
	// DayUsage returns the usage of each of the users on the day, without StorageBytes.
	// Users without usage are not in the result.
	DayUsage(ctx context.Context, users []UserID, day time.Time) (map[UserID]UsageTotals, error)
	// AddGenerateTokens adds tokens to the usage of a day. It does nothing if the user
	// does not exist.
	AddGenerateTokens(ctx context.Context, user UserID, day time.Time, language Language, key KeyID, tokens int64) error
	// StorageBytes returns the encrypted size of the user's code and output in the store.
	StorageBytes(ctx context.Context, user UserID) (int64, error)
}
