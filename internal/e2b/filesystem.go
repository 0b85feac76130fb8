package e2b

import (
	"context"
	"encoding/base64"
	"strings"

	"connectrpc.com/connect"

	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

// maxFileListBytes is the maximum size of a list of files in a response.
const maxFileListBytes = 32 << 20

// filesystemService implements the service filesystem.Filesystem.
type filesystemService struct{ *Server }

var _ filesystem.FilesystemHandler = (*filesystemService)(nil)

// Stat describes a file or a directory. It does not return the content.
func (s *filesystemService) Stat(ctx context.Context, in *filesystem.StatRequest) (*filesystem.StatResponse, error) {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).stat(ctx, name)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.StatResponse{Entry: e}, nil
}

// ListDir lists a directory and its subdirectories, down to the depth in the request.
func (s *filesystemService) ListDir(ctx context.Context, in *filesystem.ListDirRequest) (*filesystem.ListDirResponse, error) {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	entries, err := s.files(ctx).list(ctx, name, max(int(in.GetDepth()), 1))
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.ListDirResponse{Entries: entries}, nil
}

// MakeDir makes a directory and its missing parents.
func (s *filesystemService) MakeDir(ctx context.Context, in *filesystem.MakeDirRequest) (*filesystem.MakeDirResponse, error) {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).makeDir(ctx, name)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.MakeDirResponse{Entry: e}, nil
}

// Move renames a file or a directory. It replaces an existing file.
func (s *filesystemService) Move(ctx context.Context, in *filesystem.MoveRequest) (*filesystem.MoveResponse, error) {
	from, err := locate(ctx, in.GetSource())
	if err != nil {
		return nil, err
	}
	to, err := locate(ctx, in.GetDestination())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).move(ctx, from, to)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.MoveResponse{Entry: e}, nil
}

// Remove deletes a file, or a directory with its files.
func (s *filesystemService) Remove(ctx context.Context, in *filesystem.RemoveRequest) (*filesystem.RemoveResponse, error) {
	name, err := locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	if err := s.files(ctx).remove(ctx, name); err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.RemoveResponse{}, nil
}

// locate checks the user of the request, and returns the path in the sandbox.
func locate(ctx context.Context, name string) (string, error) {
	if err := checkBasicUser(ctx); err != nil {
		return "", err
	}
	full, err := inside(name)
	if err != nil {
		return "", connect.NewError(connect.CodeInvalidArgument, err)
	}
	return full, nil
}

// files gives access to the files of the sandbox to which the request belongs.
func (s *Server) files(ctx context.Context) *guestFiles {
	a := accessOf(ctx)
	return &guestFiles{processes: s.config.Helpers, user: a.user, session: a.id}
}

// failed converts an error of an operation for the client.
func (s *Server) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.connectError(ctx, err)
}

// checkBasicUser returns an error if the request names another user than the user of the
// sandbox. Clients send the user as the name of basic authentication.
func checkBasicUser(ctx context.Context) error {
	call, ok := connect.CallInfoForHandlerContext(ctx)
	if !ok {
		return nil
	}
	scheme, encoded, _ := strings.Cut(call.RequestHeader().Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	name, _, _ := strings.Cut(string(text), ":")
	if err == nil {
		err = checkUser(name)
	}
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}
