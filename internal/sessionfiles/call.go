// Package sessionfiles implements pyth.FileService. It calls the agents in the sandboxes of
// sessions. The agents may be hostile: the package limits the time between two messages,
// and it refuses values that no correct agent sends.
package sessionfiles

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// answerTimeout is the time within which the agent must send its next message. Operations
// on large trees send nothing until they have ended.
const answerTimeout = 2 * time.Minute

// call is a call with a request about files.
type call struct{ *agentcall.Call }

// call sends a request. The caller must call Close.
func (s *Service) call(ctx context.Context, user pyth.UserID, session pyth.SessionID, kind protocol.Kind, m *protocol.FileRequest) (*call, error) {
	c, err := agentcall.Open(ctx, s.streams, user, session, answerTimeout, kind, m)
	if err != nil {
		return nil, err
	}
	return &call{c}, nil
}

// receive returns the next message of the agent.
func (c *call) receive() (protocol.Kind, []byte, error) {
	c.Limit(answerTimeout)
	kind, payload, err := c.Receive()
	c.NoLimit() // The caller may take any time to use the message.
	if err != nil {
		return 0, nil, c.Explain(err)
	}
	return kind, payload, nil
}

// done receives the result of an operation.
func (c *call) done() (*protocol.Done, error) {
	kind, payload, err := c.receive()
	if err != nil {
		return nil, err
	}
	if kind != protocol.KindDone {
		return nil, c.Explain(agentcall.ErrAgent)
	}
	return c.result(payload)
}

// result decodes a Done. It returns an error if the operation failed.
func (c *call) result(payload []byte) (*protocol.Done, error) {
	d := new(protocol.Done)
	if protocol.Decode(payload, d) != nil {
		return nil, c.Explain(agentcall.ErrAgent)
	}
	return d, failure(d.Failure)
}

// failure converts the name of an error of the guest, for example ENOENT, to an error for
// the user. It returns nil for "".
func failure(name string) error {
	switch name {
	case "":
		return nil
	case "ENOENT":
		return pyth.Errorf(pyth.CodeNotFound, "The path does not exist in the session.")
	case "ENOTDIR":
		return pyth.Errorf(pyth.CodeConflict, "The path, or a part of the path, is not a directory in the session.")
	case "ELOOP":
		return pyth.Errorf(pyth.CodeConflict, "The path leads through a symbolic link. The server does not follow links. Use the path of the target.")
	case "EISDIR":
		return pyth.Errorf(pyth.CodeConflict, "The path is not a regular file in the session. Choose another path.")
	case "EEXIST":
		return pyth.Errorf(pyth.CodeConflict, "The path already exists in the session. Choose another path, or set overwrite.")
	case "ENOTEMPTY":
		return pyth.Errorf(pyth.CodeConflict, "The directory is not empty. To remove it with its content, set recursive.")
	case "EINVAL":
		return pyth.Errorf(pyth.CodeConflict, "The operation is not possible with this path. For example, a directory cannot be moved into itself.")
	case "ENOSPC", "EDQUOT":
		return pyth.Errorf(pyth.CodeTooLarge, "The disk of the session is full. Delete files, or open a session with a larger limits.diskBytes.")
	case "EFBIG":
		return pyth.Errorf(pyth.CodeConflict, "The files are larger than the disk limit of the session, because they are sparse or have hard links. Choose fewer files.")
	case "EMFILE", "ENFILE":
		return pyth.Errorf(pyth.CodeConflict, "The directory has too many entries, or the session has too many open files. Choose a smaller directory.")
	case "ENAMETOOLONG":
		return pyth.Errorf(pyth.CodeConflict, "The directory has too many levels of subdirectories. Choose one of its subdirectories.")
	case "ECANCELED":
		return pyth.Errorf(pyth.CodeUnavailable, "The transfer was interrupted. Try again.")
	default:
		return pyth.Errorf(pyth.CodeConflict, "The operation failed in the session. A program may have changed the files at the same time.")
	}
}
