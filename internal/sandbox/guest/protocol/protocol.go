// Package protocol defines the messages between the host and the guest agent over
// the control socket of a sandbox. It also defines the messages between the agent,
// the decrypting process and the hooks of interpreters.
//
// # Codec
//
// A stream is a sequence of frames. A frame consists of one byte for the kind, four
// bytes for the length of the payload (big endian), and the payload. The payload is
// either raw bytes or a message.
//
// A message is a sequence of fields. Before each field, there are four bytes with the
// length of the field (big endian). A field is one of the following: bytes, text in
// UTF-8, a decimal number, a boolean ("1" or "0"), or a list, which is again a sequence
// of fields. A message always has all its fields, in a fixed order. Only a Result can
// have any number of fields.
//
// All frames are decoded by Reader and encoded by AppendFrames. The hooks implement
// the same codec in python/protocol.py and javascript/protocol.cjs. Three streams do
// not use this codec directly:
//   - yamux multiplexes the network connections, and the streams of a session.
//   - The standard streams of programs carry plain bytes.
//   - Node exchanges JSON with the TypeScript compiler, which is a child process of
//     Node.
//
// # Host and agent
//
// First the host sends Prepare. The guest starts an interpreter and answers with
// Hello, whose version must match. Then the host sends the parts of one job (Job,
// Code, Stdin, File …) and Start. The guest sends output as it appears. At the end it
// sends Report, File and Skipped frames, and then Exit. After Exit the host may send
// the next Prepare.
//
// For an encrypted program, the host sends Encrypted, Cipher and Password instead of
// Code. If the host has requested a public key with Key, it sends Sealed instead of
// Password. The agent forwards these frames to a decrypting process, over another
// socket.
//
// # Streams
//
// In a session, the host can open any number of streams to the agent over a third
// socket, also while a program runs. The host first sends Serve over the control socket.
// Each stream is one operation: the host sends a frame with the request, and both sides
// then send frames until the agent closes the stream. The agent answers an unknown
// request with a Done whose Failure is ENOSYS. If the host closes a stream, the agent
// ends the operation. In a session with a network, the agent opens a stream for each
// connection of a process that the host has started.
//
// # Agent and hooks
//
// The hook of an interpreter sends Hello when it waits for a job. The agent answers
// with Launch. In a session, the agent then sends a Run for each job, and the
// interpreter answers with Ended. Rich values arrive as Result frames over a FIFO.
// Outside a session, the hook writes the Report frame about an uncaught exception to
// a file.
//
// # Trust
//
// The host treats all frames from the guest as hostile. In the same way, the agent
// treats all frames from hooks as hostile. A receiver checks each length before it
// allocates memory. The host also enforces each limit that the guest enforces.
package protocol

import "time"

// DefaultDiskBytes is the default size of a run's disk in bytes. The guest mounts
// a disk of this size before a job arrives.
const DefaultDiskBytes = 100 << 20

// Paths in a sandbox: the first process of each run, and the interpreters' hooks.
const (
	InitPath          = "/pyth-on/init"
	PythonHookDir     = "/pyth-on/python"
	JavaScriptHookDir = "/pyth-on/javascript"
	BashHookDir       = "/pyth-on/bash"
)

// Version is increased with every incompatible change of the protocol.
const Version = 10

// MaxPayload is the maximum size of a frame's payload in bytes. A payload can hold the
// largest file of a job, together with the path of the file.
const MaxPayload = 12 << 20

// MaxListed is the maximum number of files in the list of a session's files. Both
// guest and host enforce it.
const MaxListed = 10_000

// MaxData is the maximum size of a Data frame's payload in bytes.
const MaxData = 256 << 10

// InterruptGrace is the time that the interpreter of a session has to end an interrupted
// run. After this time, the interpreter is killed and the session is lost. So the time
// is long enough even for a busy machine.
const InterruptGrace = 4 * time.Second
