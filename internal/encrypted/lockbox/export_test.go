package lockbox

import "crypto/hpke"

func (k *KDF) Key(password []byte) []byte { return k.key(password) }

func (b *Box) AssociatedData() []byte { return b.associatedData() }

var NewAEAD = newAEAD

// Recipient returns an HPKE recipient for the key. Unlike Unseal, it accepts any
// info.
func (k *Key) Recipient(encapsulated, info []byte) (*hpke.Recipient, error) {
	return k.recipient(encapsulated, info)
}
