// Package protocol defines the messages between the host and the guest agent over
// the control socket of a sandbox. It also defines the messages between the
// agent, the decrypting process and the hooks of interpreters.
//
// # Codec
//
// A stream is a sequence of frames. A frame has one byte for the kind, four bytes
// for the payload length (big endian), and the payload. The payload is either raw
// bytes or a message. A message is a sequence of fields, each after its length in
// four bytes (big endian). A field is bytes, text in UTF-8, a decimal number, "1"
// or "0" for true or false, or a list. A list is a sequence of fields too. The
// fields of a message have a fixed order, and none is optional. Only a Result can
// have any number of fields.
//
// Reader is the only decoder of frames, and AppendFrames the only encoder. The
// hooks have the same codec in python/protocol.py and javascript/protocol.cjs.
// Three streams do not use it. yamux multiplexes the network connections. The
// standard streams of programs carry plain bytes. Node and the TypeScript
// compiler, which is a child process of Node, exchange JSON.
//
// # Host and agent
//
// The host starts with Prepare. The guest starts an interpreter and answers with
// Hello, whose version must match. The host then sends the parts of one job (Job,
// Code, Stdin, File …) and Start. The guest sends output as it appears, then
// Report, File and Skipped frames, and Exit. After that the host may send the
// next Prepare.
//
// For an encrypted program the host sends Encrypted, Cipher and Password instead
// of Code. If the host requested a key with Key before, it sends Sealed instead
// of Password. The agent forwards these frames over another socket to a
// decrypting process.
//
// # Agent and hooks
//
// The hook of an interpreter sends Hello when it waits for a job. The agent
// answers with Launch. The interpreter of a session then gets a Run for each job
// and answers with Ended. Rich values arrive as Result frames over a FIFO.
// Outside a session, a file contains the Report frame about an uncaught
// exception.
//
// # Trust
//
// The host treats all frames of the guest as hostile, and the agent all frames of
// hooks. The receiver checks each length before it allocates memory. The host
// enforces limits outside the sandbox as well.
package protocol

import "time"

// DefaultDiskBytes is the default disk size of a run, in bytes. The guest mounts a file
// system of this size before the job arrives.
const DefaultDiskBytes = 100 << 20

// Paths in a sandbox: the first process of each run, and the interpreters' hooks.
const (
	InitPath          = "/pyth-on/init"
	PythonHookDir     = "/pyth-on/python"
	JavaScriptHookDir = "/pyth-on/javascript"
)

// Version is increased with every incompatible change of the protocol.
const Version = 7

// MaxPayload is the maximum payload of a frame, in bytes. It has room for the largest
// file of a job and its path.
const MaxPayload = 12 << 20

// MaxListed is the maximum number of files in the list of a session. Guest and host
// enforce it.
const MaxListed = 10_000

// MaxData is the maximum size of a Data frame's payload, in bytes.
const MaxData = 256 << 10

// InterruptGrace limits the time that the interpreter of a session has to end an
// interrupted run. Then the interpreter is killed. The limit is long enough for a busy machine,
// because killing the interpreter loses the session.
const InterruptGrace = 4 * time.Second
