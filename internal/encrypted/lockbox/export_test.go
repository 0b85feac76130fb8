package lockbox

import "crypto/hpke"

// Key derives the key from a password.
func (k *KDF) Key(password []byte) []byte { return k.key(password) }

// AssociatedData returns the associated data of the ciphertext.
func (b *Box) AssociatedData() []byte { return b.associatedData() }

// NewAEAD returns the cipher for programs.
var NewAEAD = newAEAD

// Recipient returns an HPKE recipient for the key. Tests use it with info that does
// not belong to a password.
func (k *Key) Recipient(encapsulated, info []byte) (*hpke.Recipient, error) {
	return k.recipient(encapsulated, info)
}
