package protocol

// Kind identifies the content of a frame. Unless the comment of a kind names
// another payload, the payload is the message with the same name.
type Kind byte

// Frames from the host.
const (
	KindPrepare Kind = 'N' // start an interpreter; the guest answers with Hello
	KindJob     Kind = 'J'
	KindCode    Kind = 'C' // bytes: the program's source
	KindStdin   Kind = 'I' // bytes: the whole standard input
	// KindFile carries a file of the run. A frame from the host contains the whole file.
	// A frame from the guest contains only the path. The guest then sends Data frames
	// with the content. After the content it sends End, or Abort if an error has
	// occurred.
	KindFile   Kind = 'F'
	KindSecret Kind = 'V' // bytes: NAME=VALUE, an additional environment variable
	KindStart  Kind = 'G' // empty: the job is complete, so start its program
	KindStop   Kind = 'K' // empty: stop the run, if there is one; the guest answers with Exit
	// The next kinds are for operations on a session's files between its runs. The
	// payload of Put, Get and Remove is a path.
	//
	// After Put, the host sends Data frames, and then End or Abort. After Get, the
	// guest first sends a Done with the size, then Data frames. The host can end a
	// Get early with Abort. After List, the guest sends Entry frames. At the end of
	// each operation the guest sends Done.
	KindPut    Kind = 'P'
	KindGet    Kind = 'T'
	KindRemove Kind = 'U'
	KindList   Kind = 'L' // empty
	KindData   Kind = 'd' // bytes: a part of a file, in both directions
	KindEnd    Kind = 'E' // empty: the file is complete
	KindAbort  Kind = 'A' // empty: the rest of the file does not follow
	KindServe  Kind = 'w' // a session begins: serve its streams
	// The next kinds are for encrypted programs.
	KindEncrypted Kind = 'Z'
	KindCipher    Kind = 'B' // bytes: the ciphertext
	KindPassword  Kind = 'W' // bytes: the password in plain text
	KindSealed    Kind = 'S' // bytes: the password, encrypted with the guest's public key
	KindKey       Kind = 'Y' // empty: generate a key pair; the guest answers with Key and the public key
	KindPrivate   Kind = 'Q' // bytes: the private key, from the agent to the decrypting process
)

// Frames from the guest.
const (
	KindHello   Kind = 'H' // an interpreter is ready
	KindStdout  Kind = 'o' // bytes: standard output
	KindStderr  Kind = 'e' // bytes: standard error
	KindResult  Kind = 'D' // a rich value, encoded by EncodeResult
	KindReport  Kind = 'R' // an uncaught exception
	KindSkipped Kind = 's'
	KindExit    Kind = 'X' // the run has ended
	KindEntry   Kind = 'y'
	KindDone    Kind = 'q'
)

// Frames between the agent and a hook. The hook also sends Hello (empty), Result
// and Report.
const (
	KindLaunch  Kind = 'l'
	KindImports Kind = 'i' // modules to import before the next checkpoint
	KindSocket  Kind = 'c' // empty: a descriptor comes with the frame and replaces the control socket
	KindRun     Kind = 'r'
	KindEnded   Kind = 'x'
)
