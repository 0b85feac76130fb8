package account

import "golang.org/x/crypto/argon2"

// NewWithCheapHashes returns a Service that hashes passwords with little cost: at most 64
// KiB of memory and one pass. The text of a stored hash still names the parameters of a
// normal hash.
func NewWithCheapHashes(config Config) (*Service, error) {
	return newService(config, func(password, salt []byte, _, memoryKiB uint32, parallelism uint8, size uint32) []byte {
		return argon2.IDKey(password, salt, 1, min(memoryKiB, 64), parallelism, size)
	})
}
