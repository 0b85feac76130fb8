package pyth

import "time"

// Limits of a program that sets none. The API documents them.
const (
	DefaultTimeout           = 30 * time.Second
	DefaultMemoryBytes int64 = 256 << 20
	DefaultOutputBytes int64 = 1 << 20
	DefaultDiskBytes   int64 = 100 << 20
	DefaultProcesses         = 64
)

// DefaultLimits returns the limits of a program that sets none.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: DefaultMemoryBytes, OutputBytes: DefaultOutputBytes, DiskBytes: DefaultDiskBytes, Processes: DefaultProcesses,
	}
}

// Limits of the API that several packages enforce.
const (
	// MaxCodeBytes is the maximum size of a program.
	MaxCodeBytes = 1 << 20
	// MaxSecretBytes is the maximum size of the value of a secret.
	MaxSecretBytes = 64 << 10
)

// APIKeyPrefix is the beginning of each API key.
const APIKeyPrefix = "pyapi_"

// Statuses of a Check.
const (
	CheckOK          = "ok"
	CheckDegraded    = "degraded"
	CheckUnavailable = "unavailable"
)
