package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	pyth "github.com/pyth-on/pyth-on"
)

// FrameKind is the kind of a frame. Frames are the bodies of envelopes.
type FrameKind byte

// Kinds of frames. The frames of calls are FrameData to FrameReset. The other kinds
// establish which processes are alive.
const (
	// FrameData carries a part of a message.
	FrameData FrameKind = iota + 1
	// FrameAck carries only the fields Next and Limit.
	FrameAck
	// FrameEnd says that the sender has forgotten the call. The recipient must not
	// answer.
	FrameEnd
	// FrameReset is the answer to a frame of an unknown or refused call.
	FrameReset
	// FrameAnnounce carries an Announcement of a worker to all servers.
	FrameAnnounce
	// FrameBeat carries a Beat, the answer of a server to an Announcement.
	FrameBeat
	// FrameHello asks all workers for an Announcement.
	FrameHello
	// FrameFind asks all workers for the owner of a session or reservation. The
	// owner answers with FrameFound. The payload is the ID.
	FrameFind
	FrameFound
)

// Frame is the unit that processes send. Calls are full-duplex. Each direction has
// separate sequence numbers and a separate limit.
type Frame struct {
	Kind FrameKind
	// Call identifies the call. The server that opened the call chose it.
	Call uint64
	// Seq is the number of a data frame. In each direction, the numbers begin with 0.
	Seq uint64
	// Next is the sequence number that the sender of the frame expects next. So Next
	// acknowledges all frames with lower numbers.
	Next uint64
	// Limit is the sum of the costs of all frames that the recipient may send.
	Limit uint64
	// Last is true for the last part of a message.
	Last    bool
	Payload []byte
}

// frameHeader is the size of an encoded frame without its payload.
const frameHeader = 1 + 8 + 8 + 8 + 8 + 1

// FrameOverhead is the size of a frame's envelope and header.
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

// Announcement is the state of a worker. Workers send it each half second.
type Announcement struct {
	// Seq is the number of the announcement. Each worker counts its announcements.
	Seq    uint64
	Status Status
	// Heard maps the ID of each server to the number (Seq) of the last beat from this
	// server. So the server learns, without a comparison of clocks, that its messages
	// reach the worker.
	Heard map[string]uint64
}

// Beat is the answer of a server to an Announcement. It shows that the server is alive.
type Beat struct {
	// Seq is the number of the beat. A server counts its beats to each worker
	// separately. Heard is the field Seq of the announcement that the beat answers.
	Seq, Heard uint64
	// CountTenants is true if the server needs the field Tenants of the Status.
	CountTenants bool `json:",omitempty"`
}

// Status describes a worker. Workers of all versions of the protocol announce their
// Status, so unknown fields are ignored.
type Status struct {
	Protocol int
	// Name is the name of the worker in logs and metrics. Version is the version of its
	// program.
	Name, Version string
	// PublicKey encrypts secrets for the worker (see Seal).
	PublicKey []byte
	// Traces is true if the worker records traces. Workers without this field do not
	// know the field Trace of a Run.
	Traces bool `json:",omitempty"`
	// Draining is true if the worker accepts no new jobs. Leaving is true if the
	// worker has ended.
	Draining, Leaving bool
	// Runtimes maps each runtime of the worker to its version.
	Runtimes map[string]string
	// MaxRunning, MaxPerTenant and MaxQueued are limits of the worker's pool of
	// sandboxes. Running and Queued are the numbers of running and queued jobs in this
	// pool.
	MaxRunning, MaxPerTenant, MaxQueued, Running, Queued int
	// MaxQueuedPerTenant is the maximum number of queued jobs of a tenant; 0 if it is
	// not known.
	MaxQueuedPerTenant int `json:",omitempty"`
	// Tenants contains the numbers of running and queued jobs: a map from each server
	// to a map from each tenant. It is nil if no server needs it. When a server
	// receives it, the Node removes the jobs of this server.
	Tenants map[string]map[pyth.UserID]int `json:",omitempty"`
	// MaxSessions limits the sum of Sessions and Reserved.
	MaxSessions, Sessions, Reserved int
	// MemoryBytes is the memory for programs. ReservedBytes is the part of MemoryBytes
	// that programs use. FreeBytes is the free memory of the machine.
	MemoryBytes, ReservedBytes, FreeBytes int64
}

// EncodeJSON returns an Announcement or a Beat as the payload of a frame.
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
