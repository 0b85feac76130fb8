package execution

import pyth "github.com/pyth-on/pyth-on"

// Bounds of what opens an encrypted program (docs/zero-knowledge.md).
const (
	maxPasswordBytes = 1024
	// sealedBytes is by how much a sealed password is longer (RFC 9180): a public
	// key and a tag.
	sealedBytes = 32 + 16
)

// checkLocked checks what is special about an encrypted program. What it takes
// to make the key counts as the program's, so it has to fit.
func checkLocked(f *faults, job *pyth.Job) {
	l := job.Locked
	if l == nil {
		return
	}
	switch {
	case l.Sandbox == "" && (len(l.Password) < 1 || len(l.Password) > maxPasswordBytes):
		f.add("body.masterPassword", "must have 1 to %d bytes in UTF-8", maxPasswordBytes)
	case l.Sandbox != "" && (len(l.Sealed) <= sealedBytes || len(l.Sealed) > sealedBytes+maxPasswordBytes):
		f.add("body.sealedPassword", "must have %d to %d bytes in base64", sealedBytes+1, sealedBytes+maxPasswordBytes)
	}
	if l.Sandbox != "" && job.Runtime != "" {
		f.add("body.runtime", "must be left out with a reserved sandbox, which has the runtime that is built in")
	}
	if l.Sandbox != "" && job.Session != "" {
		f.add("body.sandboxId", "must be left out in a session, which has a sandbox of its own")
	}
	derivation := int64(l.Code.KDF.MemoryKiB) << 10
	if least := derivation + minMemory; job.Limits.MemoryBytes < least {
		f.add("body.limits.memoryBytes", "must be at least %d: to make the key takes %d bytes, by the parameters that the program was encrypted with", least, derivation)
	}
}
