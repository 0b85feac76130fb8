package execution

import pyth "github.com/pyth-on/pyth-on"

// sealedBytes is the number of additional bytes in a sealed password: a public key and a
// tag (RFC 9180).
const sealedBytes = 32 + 16

// checkEncrypted checks an encrypted program. The key derivation counts towards the
// memory limit of the run. So this limit must be at least the sum of minMemory and the
// memory for the key derivation.
func checkEncrypted(f *pyth.FieldErrors, job *pyth.Job) {
	l := job.Encrypted
	if l == nil {
		return
	}
	switch {
	case l.Sandbox == "" && (len(l.Password) < 1 || len(l.Password) > pyth.MaxMasterPassword):
		f.Add("body.masterPassword", "must have 1 to %d bytes in UTF-8", pyth.MaxMasterPassword)
	case l.Sandbox != "" && (len(l.Sealed) <= sealedBytes || len(l.Sealed) > sealedBytes+pyth.MaxMasterPassword):
		f.Add("body.sealedPassword", "must be the base64 encoding of %d to %d bytes", sealedBytes+1, sealedBytes+pyth.MaxMasterPassword)
	}
	if l.Sandbox != "" && job.Runtime != "" {
		f.Add("body.runtime", "must not be set together with sandboxId, because reserved sandboxes have the built-in runtime")
	}
	if l.Sandbox != "" && job.Session != "" {
		f.Add("body.sandboxId", "must not be set together with sessionId, because a session has its own sandbox")
	}
	derivation := int64(l.Code.KDF.MemoryKiB) << 10
	if least := derivation + minMemory; job.Limits.MemoryBytes < least {
		f.Add("body.limits.memoryBytes", "must be at least %s bytes, because the key derivation of the encrypted program needs %s bytes", pyth.Digits(least), pyth.Digits(derivation))
	}
}
