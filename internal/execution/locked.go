package execution

import pyth "github.com/pyth-on/pyth-on"

// sealedBytes is by how much a sealed password is longer (RFC 9180): a public
// key and a tag.
const sealedBytes = 32 + 16

// checkLocked checks what is special about an encrypted program. What it takes
// to make the key counts as the program's, so it has to fit.
func checkLocked(f *pyth.FieldErrors, job *pyth.Job) {
	l := job.Encrypted
	if l == nil {
		return
	}
	switch {
	case l.Sandbox == "" && (len(l.Password) < 1 || len(l.Password) > pyth.MaxMasterPassword):
		f.Add("body.masterPassword", "must have 1 to %d bytes in UTF-8", pyth.MaxMasterPassword)
	case l.Sandbox != "" && (len(l.Sealed) <= sealedBytes || len(l.Sealed) > sealedBytes+pyth.MaxMasterPassword):
		f.Add("body.sealedPassword", "must have %d to %d bytes in base64", sealedBytes+1, sealedBytes+pyth.MaxMasterPassword)
	}
	if l.Sandbox != "" && job.Runtime != "" {
		f.Add("body.runtime", "must be left out with a reserved sandbox, which has the runtime that is built in")
	}
	if l.Sandbox != "" && job.Session != "" {
		f.Add("body.sandboxId", "must be left out in a session, which has a sandbox of its own")
	}
	derivation := int64(l.Code.KDF.MemoryKiB) << 10
	if least := derivation + minMemory; job.Limits.MemoryBytes < least {
		f.Add("body.limits.memoryBytes", "must be at least %s bytes: to make the key takes %s bytes, by the parameters that the program was encrypted with", pyth.Digits(least), pyth.Digits(derivation))
	}
}
