package pyth

import (
	"strings"
	"time"
)

// Default limits of a program. The server uses a default limit if the request does not
// set the limit. The API documentation states the defaults.
const (
	DefaultTimeout           = 30 * time.Second
	DefaultMemoryBytes int64 = 256 << 20
	DefaultOutputBytes int64 = 1 << 20
	DefaultDiskBytes   int64 = 100 << 20
	DefaultProcesses         = 64
)

// DefaultLimits returns the default limits of a run. The type Limits has no field for
// the time-out, so the result does not contain the time-out. CPU is 0, so only the
// time-out limits CPU time.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: DefaultMemoryBytes, OutputBytes: DefaultOutputBytes, DiskBytes: DefaultDiskBytes, Processes: DefaultProcesses,
	}
}

// Limits of the API. Several packages enforce these limits.
const (
	// MaxCodeBytes is the maximum size of the code of a program.
	MaxCodeBytes = 1 << 20
	// MaxSecretBytes is the maximum size of one secret value.
	MaxSecretBytes = 64 << 10
)

// Prefixes of API keys. Keys with KeyFormatE2B begin with E2BKeyPrefix.
const (
	APIKeyPrefix = "pyapi_"
	E2BKeyPrefix = "e2b_"
)

// IsAPIKey reports whether a credential begins with a prefix of API keys.
func IsAPIKey(credential string) bool {
	return strings.HasPrefix(credential, APIKeyPrefix) || strings.HasPrefix(credential, E2BKeyPrefix)
}

// Values of Check.Status.
const (
	CheckOK          = "ok"
	CheckDegraded    = "degraded"
	CheckUnavailable = "unavailable"
)
