package lockbox

import "crypto/hpke"

// Key is the key of a password.
func (k *KDF) Key(password []byte) []byte { return k.key(password) }

// AssociatedData returns the data that the ciphertext is bound to.
func (b *Box) AssociatedData() []byte { return b.associatedData() }

// NewAEAD is the cipher that programs are encrypted with.
var NewAEAD = newAEAD

// Recipient opens what was sealed with other information than a password's.
func (k *Key) Recipient(encapsulated, info []byte) (*hpke.Recipient, error) {
	return k.recipient(encapsulated, info)
}
