package sessionfiles

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// WatchFiles calls the function "to" for each change below a directory.
func (s *Service) WatchFiles(ctx context.Context, user pyth.UserID, session pyth.SessionID, path string, recursive bool, begin func() error, to func(*pyth.FileEvent) error) error {
	if err := checkOrRoot(path); err != nil {
		return err
	}
	c, err := s.call(ctx, user, session, protocol.KindWatch, &protocol.FileRequest{Path: path, Recursive: recursive})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.done(); err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	for {
		// The next change can happen at any time, so Receive has no time-out.
		kind, payload, err := c.Receive()
		switch {
		case err != nil:
			return c.Explain(err)
		case kind == protocol.KindDone:
			_, err := c.result(payload)
			return err
		case kind != protocol.KindEvent:
			return c.Explain(agentcall.ErrAgent)
		}
		e, err := eventOf(payload)
		if err != nil {
			return c.Explain(err)
		}
		if err := to(e); err != nil {
			return err
		}
	}
}

func eventOf(payload []byte) (*pyth.FileEvent, error) {
	var m protocol.Event
	if protocol.Decode(payload, &m) != nil {
		return nil, agentcall.ErrAgent
	}
	e := &pyth.FileEvent{Path: m.Path, From: m.From, Directory: m.Directory}
	switch m.Type {
	case protocol.EventOverflow:
		return &pyth.FileEvent{Type: pyth.FilesOverflow}, nil
	case protocol.EventCreate:
		e.Type = pyth.FileCreated
	case protocol.EventWrite:
		e.Type = pyth.FileWritten
	case protocol.EventRemove:
		e.Type = pyth.FileRemoved
	case protocol.EventRename:
		e.Type = pyth.FileRenamed
	default:
		return nil, agentcall.ErrAgent
	}
	if workpath.Fault(e.Path) != "" || (e.Type == pyth.FileRenamed) != (e.From != "") || e.From != "" && workpath.Fault(e.From) != "" {
		return nil, agentcall.ErrAgent
	}
	return e, nil
}
