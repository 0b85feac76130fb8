package lockbox

import "crypto/hpke"

func (k *KDF) Key(password []byte) []byte { return k.key(password) }

func (b *Box) AssociatedData() []byte { return b.associatedData() }

var NewAEAD = newAEAD

// Recipient returns an HPKE recipient for the key. In contrast to Unseal, it accepts any
// value of the parameter "info".
func (k *Key) Recipient(encapsulated, info []byte) (*hpke.Recipient, error) {
	return k.recipient(encapsulated, info)
}
