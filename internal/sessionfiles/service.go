package sessionfiles

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// Service implements pyth.FileService.
type Service struct{ streams pyth.SessionStreams }

var _ pyth.FileService = (*Service)(nil)

// New returns a Service.
func New(streams pyth.SessionStreams) *Service { return &Service{streams} }

// check returns an error if the path is not valid. The location is the name of the input
// in errors.
func check(location, path string) error {
	if fault := workpath.Fault(path); fault != "" {
		return pyth.Invalid(location, "%s", fault)
	}
	return nil
}

// checkOrRoot also accepts the working directory.
func checkOrRoot(path string) error {
	if path == "" {
		return nil
	}
	return check("path", path)
}

// entryOf decodes a Node.
func entryOf(payload []byte) (*pyth.FileEntry, error) {
	var n protocol.Node
	if protocol.Decode(payload, &n) != nil || n.SizeBytes < 0 || n.Mode&^0o777 != 0 || n.Path != "" && workpath.Fault(n.Path) != "" {
		return nil, agentcall.ErrAgent
	}
	e := &pyth.FileEntry{
		Path: n.Path, SizeBytes: n.SizeBytes, ModifiedAt: agentcall.Time(n.ModifiedMs), Mode: n.Mode, Target: workpath.Display(n.Target),
	}
	switch n.Type {
	case protocol.NodeFile:
		e.Type = pyth.FileRegular
	case protocol.NodeDirectory:
		e.Type = pyth.FileDirectory
	case protocol.NodeLink:
		e.Type = pyth.FileLink
	case protocol.NodeOther:
		e.Type = pyth.FileOther
	default:
		return nil, agentcall.ErrAgent
	}
	return e, nil
}

// node receives a Node.
func (c *call) node() (*pyth.FileEntry, error) {
	kind, payload, err := c.receive()
	switch {
	case err != nil:
		return nil, err
	case kind == protocol.KindNode:
		e, err := entryOf(payload)
		if err != nil {
			return nil, c.Explain(err)
		}
		return e, nil
	case kind == protocol.KindDone:
		if _, err := c.result(payload); err != nil {
			return nil, err
		}
	}
	return nil, c.Explain(agentcall.ErrAgent)
}

// StatFile describes an entry.
func (s *Service) StatFile(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string) (*pyth.FileEntry, error) {
	if err := checkOrRoot(path); err != nil {
		return nil, err
	}
	c, err := s.call(ctx, user, session, protocol.KindStat, &protocol.FileRequest{Path: path})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.node()
}

// ListDirectory returns the entries below a directory.
func (s *Service) ListDirectory(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, depth int) ([]pyth.FileEntry, error) {
	if err := checkOrRoot(path); err != nil {
		return nil, err
	}
	if depth < 1 || depth > workpath.MaxDepth {
		return nil, pyth.Invalid("depth", "must be between 1 and %d", workpath.MaxDepth)
	}
	c, err := s.call(ctx, user, session, protocol.KindListDirectory, &protocol.FileRequest{Path: path, Depth: depth})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var entries []pyth.FileEntry
	for {
		kind, payload, err := c.receive()
		switch {
		case err != nil:
			return nil, err
		case kind == protocol.KindDone:
			if _, err := c.result(payload); err != nil {
				return nil, err
			}
			return entries, nil
		case kind != protocol.KindNode || len(entries) >= protocol.MaxListed:
			return nil, c.Explain(agentcall.ErrAgent)
		}
		e, err := entryOf(payload)
		if err != nil || e.Path == "" {
			return nil, c.Explain(agentcall.ErrAgent)
		}
		entries = append(entries, *e)
	}
}

// MakeDirectory creates a directory.
func (s *Service) MakeDirectory(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string) (created bool, err error) {
	if err := check("path", path); err != nil {
		return false, err
	}
	d, err := s.simple(ctx, user, session, protocol.KindMakeDirectory, &protocol.FileRequest{Path: path})
	if err != nil {
		return false, err
	}
	return d.Created, nil
}

// RemovePath removes a file or a directory.
func (s *Service) RemovePath(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, recursive bool) error {
	if err := check("path", path); err != nil {
		return err
	}
	_, err := s.simple(ctx, user, session, protocol.KindRemovePath, &protocol.FileRequest{Path: path, Recursive: recursive})
	return err
}

// MovePath renames a file or a directory.
func (s *Service) MovePath(ctx context.Context, user pyth.UserID, session pyth.SessionID, from, to string, overwrite bool) error {
	return s.transfer(ctx, user, session, protocol.KindMove, from, to, overwrite)
}

// CopyPath copies a file or a directory.
func (s *Service) CopyPath(ctx context.Context, user pyth.UserID, session pyth.SessionID, from, to string, overwrite bool) error {
	return s.transfer(ctx, user, session, protocol.KindCopy, from, to, overwrite)
}

func (s *Service) transfer(ctx context.Context, user pyth.UserID, session pyth.SessionID, kind protocol.Kind, from, to string, overwrite bool) error {
	if err := check("from", from); err != nil {
		return err
	}
	if err := check("to", to); err != nil {
		return err
	}
	_, err := s.simple(ctx, user, session, kind, &protocol.FileRequest{Path: from, To: to, Overwrite: overwrite})
	return err
}

// simple makes a request that the agent answers with a Done.
func (s *Service) simple(ctx context.Context, user pyth.UserID, session pyth.SessionID, kind protocol.Kind, m *protocol.FileRequest) (*protocol.Done, error) {
	c, err := s.call(ctx, user, session, kind, m)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.done()
}
