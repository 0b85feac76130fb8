package encrypted

import (
	"regexp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

// These constants limit the parameters of encrypted programs (docs/zero-knowledge.md). A
// sandbox derives a key with these parameters. The limits bound the time and the memory
// that the sandbox needs to derive the key.
const (
	maxTime        = 10
	minMemoryKiB   = 8
	maxMemoryKiB   = 256 << 10
	maxParallelism = 16
	// minLaneKiB is the minimum memory for each lane of Argon2 (RFC 9106, section
	// 3.1).
	minLaneKiB = 8
)

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

type faults struct{ pyth.FieldErrors }

func (f *faults) sized(location string, b []byte, size int) {
	if len(b) != size {
		f.Add(location, "must be the base64 encoding of %d bytes", size)
	}
}

// checkLanguage adds an error if the language is unknown. It accepts a known language
// that this server does not support now, because the server may support it later.
func (f *faults) checkLanguage(l pyth.Language) {
	if !l.Known() {
		f.Add("body.language", "must be %s", pyth.AnyOfLanguages())
	}
}

// checkCode checks an encrypted program. The parameter storedName is the name that the
// user gives the stored program.
func checkCode(storedName string, c *pyth.EncryptedProgram) error {
	var f faults
	if !validName.MatchString(storedName) {
		f.Add("path.name", "must have 1 to 128 letters, digits, dots, underscores and hyphens, and begin with a letter or digit")
	}
	f.checkLanguage(c.Language)
	if c.Name != "" && c.Name != storedName {
		f.Add("body.name", "must be the same as the name in the path, because the program was encrypted for the name in this field")
	}
	f.sized("body.kdf.salt", c.KDF.Salt, lockbox.SaltBytes)
	f.Within("body.kdf.time", int64(c.KDF.Time), 1, maxTime)
	f.Within("body.kdf.memoryKiB", int64(c.KDF.MemoryKiB), minMemoryKiB, maxMemoryKiB)
	f.Within("body.kdf.parallelism", int64(c.KDF.Parallelism), 1, maxParallelism)
	if lanes := c.KDF.Parallelism; lanes > 1 && lanes <= maxParallelism && c.KDF.MemoryKiB >= minMemoryKiB && c.KDF.MemoryKiB < minLaneKiB*lanes {
		f.Add("body.kdf.memoryKiB", "must be at least %d for each of the %d lanes", minLaneKiB, lanes)
	}
	f.sized("body.cipher.nonce", c.Nonce, lockbox.NonceBytes)
	if n := len(c.Ciphertext) - lockbox.Overhead; n < 1 || n > pyth.MaxCodeBytes {
		f.Add("body.ciphertext", "must have %d to %d bytes", 1+lockbox.Overhead, pyth.MaxCodeBytes+lockbox.Overhead)
	}
	return f.Err()
}

// checkProgram checks the arguments of Encrypt.
func checkProgram(language pyth.Language, code, password []byte) error {
	var f faults
	f.checkLanguage(language)
	if len(code) < 1 || len(code) > pyth.MaxCodeBytes {
		f.Add("body.code", "must have 1 to %d bytes", pyth.MaxCodeBytes)
	}
	if len(password) < 1 || len(password) > pyth.MaxMasterPassword {
		f.Add("body.masterPassword", "must have 1 to %d bytes in UTF-8", pyth.MaxMasterPassword)
	}
	return f.Err()
}
