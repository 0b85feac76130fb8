package api_test

import (
	"context"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// sessionTree is a FileService whose methods succeed. It has one file, a.txt.
type sessionTree struct{ pyth.FileService }

func (sessionTree) StatFile(_ context.Context, _ pyth.UserID, _ pyth.SessionID, path string) (*pyth.FileEntry, error) {
	return &pyth.FileEntry{Path: path, Type: pyth.FileDirectory}, nil
}

func (sessionTree) ListDirectory(context.Context, pyth.UserID, pyth.SessionID, string, int) ([]pyth.FileEntry, error) {
	return nil, nil
}

func (sessionTree) MakeDirectory(context.Context, pyth.UserID, pyth.SessionID, string) (bool, error) {
	return true, nil
}

func (sessionTree) RemovePath(context.Context, pyth.UserID, pyth.SessionID, string, bool) error {
	return nil
}

func (sessionTree) MovePath(context.Context, pyth.UserID, pyth.SessionID, string, string, bool) error {
	return nil
}

func (sessionTree) CopyPath(context.Context, pyth.UserID, pyth.SessionID, string, string, bool) error {
	return nil
}

func (sessionTree) PackFiles(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ string, _ pyth.ArchiveFormat, begin func(), w io.Writer) error {
	begin()
	_, err := io.WriteString(w, "archive")
	return err
}

func (sessionTree) UnpackFiles(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ string, _ pyth.ArchiveFormat, content io.Reader) (int, error) {
	_, err := io.Copy(io.Discard, content)
	return 1, err
}

func (sessionTree) WatchFiles(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ string, _ bool, begin func() error, _ func(*pyth.FileEvent) error) error {
	return begin()
}

// sharedPorts is a PortService that signs an address of any port.
type sharedPorts struct{ pyth.PortService }

func (sharedPorts) SharePort(_ context.Context, _ pyth.UserID, session pyth.SessionID, port int, lifetime time.Duration) (*pyth.PortShare, error) {
	return &pyth.PortShare{Session: session, Port: port, Signature: "AAAB", ExpiresAt: created.Add(lifetime)}, nil
}
