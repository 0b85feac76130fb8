package wire

import pyth "github.com/pyth-on/pyth-on"

// SessionFile is the JSON part of a KindWrite, KindRead or KindDelete message. The
// messages KindCloseSession, KindFiles and KindStream use the same type without a path.
type SessionFile struct {
	Session pyth.SessionID
	Path    string
}

// Reserve is the JSON part of a KindReserve message.
type Reserve struct {
	User   pyth.UserID
	Layers pyth.Layers
	ID     pyth.ReservationID
}

// Reserved is the JSON part of the KindDone message that answers KindReserve. It
// contains the remaining lifetime of the reservation and not its end, because the
// clocks of two machines can differ.
type Reserved struct {
	PublicKey  []byte
	LifetimeMs int64
}

// Written is the JSON part of the KindDone message that answers KindWrite.
type Written struct{ Created bool }

// Size is the JSON part of a KindSize message.
type Size struct{ Bytes int64 }

// NeedLayer is the JSON part of a KindNeedLayer message.
type NeedLayer struct{ ID pyth.LayerID }

// NeedImage is the JSON part of a KindNeedImage message. The field Key identifies an
// image in the manifest of the layer.
type NeedImage struct {
	Layer pyth.LayerID
	Key   string
}
