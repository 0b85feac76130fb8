package wire

import pyth "github.com/pyth-on/pyth-on"

// SessionFile is the JSON of a KindWrite, KindRead or KindDelete message. The JSON of
// KindCloseSession and KindFiles has no path.
type SessionFile struct {
	Session pyth.SessionID
	Path    string
}

// Reserve is the JSON of a KindReserve message.
type Reserve struct {
	User   pyth.UserID
	Layers pyth.Layers
	ID     pyth.ReservationID
}

// Reserved is the answer to KindReserve, in a KindDone message. It contains the
// lifetime of the reservation instead of its end, because the clocks of machines can
// differ.
type Reserved struct {
	PublicKey  []byte
	LifetimeMs int64
}

// Written is the answer to KindWrite, in a KindDone message.
type Written struct{ Created bool }

// Size is the JSON of a KindSize message.
type Size struct{ Bytes int64 }

// NeedLayer is the JSON of a KindNeedLayer message.
type NeedLayer struct{ ID pyth.LayerID }

// NeedImage is the JSON of a KindNeedImage message. The field Key identifies an image
// in the manifest of the layer.
type NeedImage struct {
	Layer pyth.LayerID
	Key   string
}
