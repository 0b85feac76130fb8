package pyth

import (
	"strings"
	"time"
)

// Default limits of a program. They apply if a request sets no limits. The API
// documentation states them.
const (
	DefaultTimeout           = 30 * time.Second
	DefaultMemoryBytes int64 = 256 << 20
	DefaultOutputBytes int64 = 1 << 20
	DefaultDiskBytes   int64 = 100 << 20
	DefaultProcesses         = 64
)

// DefaultLimits returns the default limits without the time-out, which is not a field
// of Limits. CPU is 0, so that only the time-out limits CPU time.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: DefaultMemoryBytes, OutputBytes: DefaultOutputBytes, DiskBytes: DefaultDiskBytes, Processes: DefaultProcesses,
	}
}

// Limits of the API that several packages enforce.
const (
	// MaxCodeBytes is the maximum size of the code of a program.
	MaxCodeBytes = 1 << 20
	// MaxSecretBytes is the maximum size of one secret value.
	MaxSecretBytes = 64 << 10
)

// Beginnings of API keys. E2BKeyPrefix is the beginning of keys with KeyFormatE2B.
const (
	APIKeyPrefix = "pyapi_"
	E2BKeyPrefix = "e2b_"
)

// IsAPIKey reports whether a credential has the beginning of an API key.
func IsAPIKey(credential string) bool {
	return strings.HasPrefix(credential, APIKeyPrefix) || strings.HasPrefix(credential, E2BKeyPrefix)
}

// Statuses of a Check.
const (
	CheckOK          = "ok"
	CheckDegraded    = "degraded"
	CheckUnavailable = "unavailable"
)
