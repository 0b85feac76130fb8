package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
)

// FrameKind is the kind of a frame. The body of each envelope is a frame.
type FrameKind byte

// Kinds of frames. The kinds FrameData to FrameReset belong to calls. The other kinds
// show which processes are alive, or find sessions.
const (
	// FrameData carries a part of a message.
	FrameData FrameKind = iota + 1
	// FrameAck carries no payload. Only its fields Next and Limit are used.
	FrameAck
	// FrameEnd says that the sender has ended the call and forgotten it. The recipient
	// must not answer this frame.
	FrameEnd
	// FrameReset is the answer to a frame of a call that is unknown or was refused.
	FrameReset
	// FrameAnnounce carries an Announcement of a worker to all servers.
	FrameAnnounce
	// FrameBeat carries a Beat. A Beat is the answer of a server to an Announcement.
	FrameBeat
	// FrameHello asks all workers for an Announcement.
	FrameHello
	// FrameFind asks all workers which of them has a session or reservation. The worker
	// that has it answers with FrameFound. The payload is the ID of the session or
	// reservation.
	FrameFind
	FrameFound
)

// Frame is the unit of data that processes send. Both sides of a call can send at the
// same time. Each direction has its own sequence numbers and its own limit.
type Frame struct {
	Kind FrameKind
	// Call is the ID of the call. The server that opened the call chose this ID.
	Call uint64
	// Seq is the sequence number of a data frame. In each direction, the first frame
	// has the number 0.
	Seq uint64
	// Next is the next sequence number that the sender of this frame expects. So Next
	// acknowledges all frames with lower numbers.
	Next uint64
	// Limit is the maximum total cost of all frames that the recipient may send.
	Limit uint64
	// Last is true if the frame contains the last part of a message.
	Last    bool
	Payload []byte
}

// frameHeader is the size of an encoded frame without its payload.
const frameHeader = 1 + 8 + 8 + 8 + 8 + 1

// FrameOverhead is the total size of the envelope and the header of a frame.
const FrameOverhead = Overhead + frameHeader

// ErrInvalid reports a message that does not have the right format.
var ErrInvalid = errors.New("wire: invalid message")

// Encode returns the frame as the body of an envelope.
func (f *Frame) Encode() []byte {
	b := make([]byte, 0, frameHeader+len(f.Payload))
	b = append(b, byte(f.Kind))
	for _, n := range []uint64{f.Call, f.Seq, f.Next, f.Limit} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	last := byte(0)
	if f.Last {
		last = 1
	}
	return append(append(b, last), f.Payload...)
}

// DecodeFrame decodes the body of an envelope. The payload shares the memory of b.
func DecodeFrame(b []byte) (*Frame, error) {
	if len(b) < frameHeader || b[0] < byte(FrameData) || b[frameHeader-1] > 1 {
		return nil, ErrInvalid
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	return &Frame{
		Kind: FrameKind(b[0]), Call: number(0), Seq: number(1), Next: number(2), Limit: number(3),
		Last: b[frameHeader-1] == 1, Payload: b[frameHeader:],
	}, nil
}

// Announcement contains the state of a worker. Each worker sends an announcement every
// half second.
type Announcement struct {
	// Seq is the number of the announcement. Each worker counts its own announcements.
	Seq    uint64
	Status Status
	// Heard maps the ID of each server to the field Seq of the last beat from this
	// server. So the server learns that its messages reach the worker, and does not
	// have to compare clocks.
	Heard map[string]uint64
}

// Beat is the answer of a server to an Announcement. It shows the worker that the
// server is alive.
type Beat struct {
	// Seq is the number of the beat. A server counts the beats to each worker
	// separately. Heard is the field Seq of the Announcement to which the beat is the
	// answer.
	Seq, Heard uint64
	// CountTenants is true if the server needs the field Tenants of Status.
	CountTenants bool `json:",omitempty"`
}

// Status describes a worker. Workers of all protocol versions announce their Status, so
// a decoder ignores unknown fields.
type Status struct {
	Protocol int
	// Name is the name of the worker in logs and metrics. Version is the version of the
	// worker's program.
	Name, Version string
	// PublicKey is the key with which servers encrypt secrets for the worker (see
	// Seal).
	PublicKey []byte
	// Traces is true if the worker records traces. Older workers do not have the field
	// Traces, and do not know the field Trace of a Run.
	Traces bool `json:",omitempty"`
	// Draining is true if the worker accepts no new jobs. Leaving is true if the worker
	// is leaving the cluster.
	Draining, Leaving bool
	// Runtimes maps each runtime of the worker to its version.
	Runtimes map[string]string
	// MaxRunning, MaxPerTenant and MaxQueued are limits of the worker's pool of
	// sandboxes. Running and Queued are the numbers of running and queued jobs in this
	// pool.
	MaxRunning, MaxPerTenant, MaxQueued, Running, Queued int
	// MaxQueuedPerTenant is the maximum number of queued jobs of a tenant. It is 0 if
	// the limit is not known.
	MaxQueuedPerTenant int `json:",omitempty"`
	// Tenants contains the numbers of running and queued jobs. It maps each server to a
	// map from tenants to numbers. It is nil if no server needs these numbers. When a
	// server receives Tenants, the Node removes the jobs of this server.
	Tenants map[string]map[pyth.UserID]int `json:",omitempty"`
	// MaxSessions is the maximum value of the sum of Sessions and Reserved.
	MaxSessions, Sessions, Reserved int
	// MemoryBytes is the memory that programs may use. ReservedBytes is the part of
	// MemoryBytes that is reserved for running programs. FreeBytes is the free memory
	// of the machine.
	MemoryBytes, ReservedBytes, FreeBytes int64
}

// EncodeJSON encodes an Announcement or a Beat as the payload of a frame.
func EncodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // The types of this package can be encoded.
	}
	return b
}

// DecodeJSON decodes the payload of a frame.
func DecodeJSON(b []byte, v any) error {
	if json.Unmarshal(b, v) != nil {
		return ErrInvalid
	}
	return nil
}
