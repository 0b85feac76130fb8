package protocol

// Kind identifies the content of a frame. The payload is the message with the
// same name, unless the comment of the kind says otherwise.
type Kind byte

// Frames from the host.
const (
	KindPrepare Kind = 'N' // start an interpreter; the answer is Hello
	KindJob     Kind = 'J'
	KindCode    Kind = 'C' // bytes: the program's source
	KindStdin   Kind = 'I' // bytes: the whole standard input
	// KindFile carries a file of the run. A frame from the host contains the whole
	// file. After a frame from the guest, the content follows in Data frames, and
	// then End. After an error, Abort follows instead of End.
	KindFile   Kind = 'F'
	KindSecret Kind = 'V' // bytes: NAME=VALUE, one more environment variable
	KindStart  Kind = 'G' // empty: the job is complete, start it
	KindStop   Kind = 'K' // empty: stop the run; the answer is Exit; without a run it has no effect
	// The next kinds are for files of a session between runs. The payload of Put,
	// Get and Remove is a path. The guest answers with Done. Before Done it sends
	// Entry frames for List, and Data frames for Get. After Put the host sends
	// Data frames and End, or Abort. Abort also ends a Get early; otherwise it
	// has no effect.
	KindPut    Kind = 'P'
	KindGet    Kind = 'T'
	KindRemove Kind = 'U'
	KindList   Kind = 'L' // empty
	KindData   Kind = 'd' // bytes of a file, in both directions
	KindEnd    Kind = 'E' // empty: the file is complete
	KindAbort  Kind = 'A' // empty: the rest of the file is not sent
	// The next kinds are for encrypted programs.
	KindEncrypted Kind = 'Z'
	KindCipher    Kind = 'B' // bytes: the ciphertext
	KindPassword  Kind = 'W' // bytes: the password in plain text
	KindSealed    Kind = 'S' // bytes: the password, encrypted to the guest's key
	KindKey       Kind = 'Y' // empty: create a key pair; the answer is Key with the public key
	KindPrivate   Kind = 'Q' // bytes: the private key, from the agent to the decrypting process
)

// Frames from the guest.
const (
	KindHello   Kind = 'H' // the interpreter is ready
	KindStdout  Kind = 'o' // bytes of standard output
	KindStderr  Kind = 'e' // bytes of standard error
	KindResult  Kind = 'D' // a rich value, in the format of EncodeResult
	KindReport  Kind = 'R' // an uncaught exception
	KindSkipped Kind = 's'
	KindExit    Kind = 'X' // the run has ended; the interpreter of a session stays
	KindEntry   Kind = 'y'
	KindDone    Kind = 'q'
)

// Frames between the agent and a hook. The hook also sends Result, Report and an
// empty Hello.
const (
	KindLaunch Kind = 'l'
	KindSocket Kind = 'c' // empty: carries a descriptor, which replaces the control socket
	KindRun    Kind = 'r'
	KindEnded  Kind = 'x'
)
