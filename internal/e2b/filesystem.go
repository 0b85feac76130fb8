package e2b

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

// maxFileListBytes is the maximum size of a list of files in a response.
const maxFileListBytes = 16 << 20

// entry is a file or a directory below the home directory.
type entry struct {
	// The field "path" is relative to the home directory.
	path       string
	kind       filesystem.FileType
	size       int64
	mode       fs.FileMode
	modifiedAt time.Time
	target     string
}

// filesystemService implements the service filesystem.Filesystem.
type filesystemService struct{ *Server }

var _ filesystem.FilesystemHandler = (*filesystemService)(nil)

// Stat returns a file or a directory.
func (s *filesystemService) Stat(ctx context.Context, in *filesystem.StatRequest) (*filesystem.StatResponse, error) {
	rel, err := s.locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).stat(ctx, rel)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.StatResponse{Entry: info(e)}, nil
}

// ListDir lists a directory, and its directories down to the depth in the request.
func (s *filesystemService) ListDir(ctx context.Context, in *filesystem.ListDirRequest) (*filesystem.ListDirResponse, error) {
	rel, err := s.locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	entries, err := s.files(ctx).list(ctx, rel, max(int(in.GetDepth()), 1))
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	out := &filesystem.ListDirResponse{Entries: make([]*filesystem.EntryInfo, len(entries))}
	for i, e := range entries {
		out.Entries[i] = info(e)
	}
	return out, nil
}

// MakeDir makes a directory and its missing parents.
func (s *filesystemService) MakeDir(ctx context.Context, in *filesystem.MakeDirRequest) (*filesystem.MakeDirResponse, error) {
	rel, err := s.locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).makeDir(ctx, rel)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.MakeDirResponse{Entry: info(e)}, nil
}

// Move renames a file or a directory. It replaces an existing file.
func (s *filesystemService) Move(ctx context.Context, in *filesystem.MoveRequest) (*filesystem.MoveResponse, error) {
	from, err := s.locate(ctx, in.GetSource())
	if err != nil {
		return nil, err
	}
	to, err := s.locate(ctx, in.GetDestination())
	if err != nil {
		return nil, err
	}
	e, err := s.files(ctx).move(ctx, from, to)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.MoveResponse{Entry: info(e)}, nil
}

// Remove deletes a file, or a directory with its files.
func (s *filesystemService) Remove(ctx context.Context, in *filesystem.RemoveRequest) (*filesystem.RemoveResponse, error) {
	rel, err := s.locate(ctx, in.GetPath())
	if err != nil {
		return nil, err
	}
	if rel == "." {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the home directory cannot be removed"))
	}
	if err := s.files(ctx).remove(ctx, rel); err != nil {
		return nil, s.failed(ctx, err)
	}
	return &filesystem.RemoveResponse{}, nil
}

// locate checks the user of the request, and returns the path relative to the home
// directory.
func (s *filesystemService) locate(ctx context.Context, name string) (string, error) {
	if err := checkBasicUser(ctx); err != nil {
		return "", err
	}
	rel, err := relative(name)
	if err != nil {
		return "", connect.NewError(connect.CodeInvalidArgument, err)
	}
	return rel, nil
}

// files returns the files of the sandbox of the request.
func (s *filesystemService) files(ctx context.Context) *sandboxFiles {
	a := accessOf(ctx)
	return &sandboxFiles{sessions: s.config.Sessions, user: a.user, session: a.id}
}

// failed converts an error of a file operation for the client.
func (s *Server) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e
	}
	status, _, text := s.config.Gate.Explain(ctx, err)
	return connect.NewError(codeOf(status), errors.New(text))
}

// checkBasicUser refuses all users but that of the sandbox. Clients send the user as the
// name of basic authentication.
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

func noEntry(name string) error {
	return connect.NewError(connect.CodeNotFound, fmt.Errorf("path '%s' does not exist", clip(absolute(name))))
}

// info describes an entry for the client.
func info(e *entry) *filesystem.EntryInfo {
	out := &filesystem.EntryInfo{
		Name: path.Base(absolute(e.path)), Type: e.kind, Path: absolute(e.path), Size: e.size, Mode: uint32(e.mode.Perm()),
		Permissions: e.mode.String(), Owner: userName, Group: userName,
	}
	if !e.modifiedAt.IsZero() {
		out.ModifiedTime = timestamppb.New(e.modifiedAt)
	}
	if e.target != "" {
		out.SymlinkTarget = &e.target
	}
	return out
}

// sandboxFiles are the files of a sandbox, by the operations that a session has for its
// files. Sessions list only files, so directories are those that contain a file.
type sandboxFiles struct {
	sessions Sessions
	user     pyth.UserID
	session  pyth.SessionID
}

// Modes that clients see. A session does not tell the modes of its files.
const (
	fileMode      fs.FileMode = 0o644
	directoryMode fs.FileMode = fs.ModeDir | 0o755
)

// tree returns all files and directories below the home directory, sorted by path.
func (f *sandboxFiles) tree(ctx context.Context) ([]*entry, error) {
	files, err := f.sessions.Files(ctx, f.user, f.session)
	if err != nil {
		return nil, err
	}
	var all []*entry
	directories := map[string]*entry{}
	for _, file := range files {
		for dir := path.Dir(file.Path); dir != "."; dir = path.Dir(dir) {
			if d := directories[dir]; d != nil {
				if d.modifiedAt.Before(file.ModifiedAt) {
					d.modifiedAt = file.ModifiedAt
				}
				continue
			}
			d := &entry{path: dir, kind: filesystem.FileType_FILE_TYPE_DIRECTORY, mode: directoryMode, modifiedAt: file.ModifiedAt}
			directories[dir] = d
			all = append(all, d)
		}
		all = append(all, &entry{
			path: file.Path, kind: filesystem.FileType_FILE_TYPE_FILE, size: file.SizeBytes, mode: fileMode, modifiedAt: file.ModifiedAt,
		})
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

func (f *sandboxFiles) stat(ctx context.Context, name string) (*entry, error) {
	if name == "." {
		return &entry{path: ".", kind: filesystem.FileType_FILE_TYPE_DIRECTORY, mode: directoryMode}, nil
	}
	all, err := f.tree(ctx)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(e *entry) bool { return e.path == name }); i >= 0 {
		return all[i], nil
	}
	return nil, noEntry(name)
}

func (f *sandboxFiles) list(ctx context.Context, name string, depth int) ([]*entry, error) {
	all, err := f.tree(ctx)
	if err != nil {
		return nil, err
	}
	var below []*entry
	found := name == "."
	for _, e := range all {
		rel := e.path
		if name != "." {
			if e.path == name && e.kind != filesystem.FileType_FILE_TYPE_DIRECTORY {
				return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("path '%s' is not a directory", clip(absolute(name))))
			}
			found = found || e.path == name
			var ok bool
			if rel, ok = strings.CutPrefix(e.path, name+"/"); !ok {
				continue
			}
		}
		if strings.Count(rel, "/") < depth {
			below = append(below, e)
		}
	}
	if !found {
		return nil, noEntry(name)
	}
	return below, nil
}

func (f *sandboxFiles) makeDir(ctx context.Context, name string) (*entry, error) {
	e, err := f.stat(ctx, name)
	if err == nil {
		if e.kind == filesystem.FileType_FILE_TYPE_DIRECTORY {
			return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("directory '%s' already exists", clip(absolute(name))))
		}
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("path '%s' exists and is not a directory", clip(absolute(name))))
	}
	if connect.CodeOf(err) != connect.CodeNotFound {
		return nil, err
	}
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New("empty directories cannot be made on this server; write a file, and its directories are made"))
}

func (*sandboxFiles) move(context.Context, string, string) (*entry, error) {
	return nil, connect.NewError(connect.CodeUnimplemented, errors.New("files cannot be moved on this server"))
}

func (f *sandboxFiles) remove(ctx context.Context, name string) error {
	e, err := f.stat(ctx, name)
	if connect.CodeOf(err) == connect.CodeNotFound {
		return nil // As at E2B, nothing is left to do.
	}
	if err != nil {
		return err
	}
	if e.kind == filesystem.FileType_FILE_TYPE_FILE {
		return f.sessions.DeleteFile(ctx, f.user, f.session, name)
	}
	below, err := f.list(ctx, name, 1<<10)
	if err != nil {
		return err
	}
	for _, e := range below {
		if e.kind != filesystem.FileType_FILE_TYPE_FILE {
			continue
		}
		if err := f.sessions.DeleteFile(ctx, f.user, f.session, e.path); err != nil && pyth.ErrorCode(err) != pyth.CodeNotFound {
			return err
		}
	}
	return nil
}
