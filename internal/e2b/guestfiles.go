package e2b

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // For files.py.
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

//go:embed files.py
var filesProgram string

const (
	// filesProcess is the name of the processes that serve files. Clients do not see
	// these processes.
	filesProcess = "e2b files"
	// filesTimeout is the time-out of one operation.
	filesTimeout = time.Minute
	// maxFilesOutput is the maximum size of the result of an operation.
	maxFilesOutput = 16 << 20
	// filesFailed is the exit code if the operation failed for a known reason.
	filesFailed = 3
	// maxListEntries is the maximum number of entries in one list. It is equal to
	// MAX_ENTRIES in files.py.
	maxListEntries = 10_000
	// anyDepth is the depth limit for a whole directory tree.
	anyDepth = 1000
)

// guestFiles works with the files of a sandbox. For each operation, it runs a program in
// the sandbox (files.py). This program does not wait for the interpreter, and has the
// rights of the sandbox's user. Other programs in the sandbox can manipulate this program
// and its results. All paths are paths in the sandbox.
type guestFiles struct {
	processes Processes
	user      pyth.UserID
	session   pyth.SessionID
}

// guestEntry is a file or a directory in the results of the program.
type guestEntry struct {
	Path        string `json:"path"`
	Kind        string `json:"kind"`
	Size        int64  `json:"size"`
	Mode        uint32 `json:"mode"`
	Permissions string `json:"permissions"`
	ModifiedNs  int64  `json:"modifiedNs"`
	Root        bool   `json:"root"`
	Target      string `json:"target"`
}

// info converts an entry for the client.
func (e *guestEntry) info() *filesystem.EntryInfo {
	owner := userName
	if e.Root {
		owner = "root"
	}
	name := shown(e.Path)
	out := &filesystem.EntryInfo{
		Name: path.Base(name), Path: name, Size: e.Size, Mode: e.Mode, Permissions: e.Permissions, Owner: owner, Group: owner,
		ModifiedTime: timestamppb.New(time.Unix(0, e.ModifiedNs)),
	}
	switch e.Kind {
	case "directory":
		out.Type = filesystem.FileType_FILE_TYPE_DIRECTORY
	case "symlink":
		out.Type = filesystem.FileType_FILE_TYPE_SYMLINK
		target := shown(e.Target)
		out.SymlinkTarget = &target
	default:
		out.Type = filesystem.FileType_FILE_TYPE_FILE
	}
	return out
}

func (f *guestFiles) stat(ctx context.Context, name string) (*filesystem.EntryInfo, error) {
	return f.entry(ctx, "stat", name)
}

func (f *guestFiles) makeDir(ctx context.Context, name string) (*filesystem.EntryInfo, error) {
	return f.entry(ctx, "make", name)
}

func (f *guestFiles) move(ctx context.Context, from, to string) (*filesystem.EntryInfo, error) {
	return f.entry(ctx, "move", from, to)
}

func (f *guestFiles) list(ctx context.Context, name string, depth int) ([]*filesystem.EntryInfo, error) {
	data, err := f.run(ctx, nil, "list", name, strconv.Itoa(min(depth, anyDepth)))
	if err != nil {
		return nil, err
	}
	entries, err := decodeList(data)
	if err != nil {
		return nil, errManipulated(err)
	}
	return entries, nil
}

// decodeList decodes the result of the operation "list". It decodes one entry at a time,
// because many small entries need much more memory than their JSON text.
func decodeList(data []byte) ([]*filesystem.EntryInfo, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, cmp.Or(err, errors.New("the list is not an array"))
	}
	var entries []*filesystem.EntryInfo
	for d.More() {
		if len(entries) == maxListEntries {
			return nil, fmt.Errorf("the list has more than %d entries", maxListEntries)
		}
		var e guestEntry
		if err := d.Decode(&e); err != nil {
			return nil, err
		}
		if e.Path == "" {
			return nil, errNoPath
		}
		entries = append(entries, e.info())
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, cmp.Or(err, errors.New("the list has text after its end"))
	}
	return entries, nil
}

// errNoPath is the error for an entry that is null or lacks its path.
var errNoPath = errors.New("an entry has no path")

func (f *guestFiles) remove(ctx context.Context, name string) error {
	_, err := f.run(ctx, nil, "remove", name)
	return err
}

// read returns the content of a file. The program in the sandbox limits the size of the
// file.
func (f *guestFiles) read(ctx context.Context, name string) ([]byte, error) {
	return f.run(ctx, nil, "read", name)
}

func (f *guestFiles) write(ctx context.Context, name string, content io.Reader) error {
	_, err := f.run(ctx, content, "write", name)
	return err
}

func (f *guestFiles) entry(ctx context.Context, operation string, names ...string) (*filesystem.EntryInfo, error) {
	data, err := f.run(ctx, nil, operation, names...)
	if err != nil {
		return nil, err
	}
	var e guestEntry
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, errManipulated(err)
	}
	if e.Path == "" {
		return nil, errManipulated(errNoPath)
	}
	return e.info(), nil
}

// errManipulated is the error for a result that files.py cannot have written. Another
// program in the sandbox has changed the result or has replaced Python.
func errManipulated(err error) error {
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The sandbox gave an invalid answer to an operation on files.", Err: err}
}

// filesRequest returns the request for a process that runs one operation.
func filesRequest(operation string, names ...string) *pyth.ProcessRequest {
	return &pyth.ProcessRequest{
		Args: append([]string{"python3", "-I", "-S", "-c", filesProgram, operation}, names...), Name: filesProcess,
	}
}

// run runs one operation and returns its result. The parameter "input" may be nil.
func (f *guestFiles) run(ctx context.Context, input io.Reader, operation string, names ...string) ([]byte, error) {
	request := filesRequest(operation, names...)
	request.Timeout, request.Stdin = filesTimeout, input != nil
	var stdout bytes.Buffer
	ended, err := f.processes.RunProcess(ctx, f.user, f.session, request, func(p *pyth.Process) error {
		if input == nil {
			return nil
		}
		return f.processes.WriteProcess(ctx, f.user, f.session, p.ID, input, true)
	}, func(o *pyth.ProcessOutput) error {
		if o.Stream != pyth.Stdout {
			return nil
		}
		if o.Dropped > 0 || stdout.Len()+len(o.Data) > maxFilesOutput {
			return connect.NewError(connect.CodeResourceExhausted, errors.New("the result of the operation is too large"))
		}
		stdout.Write(o.Data)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case ended.ExitCode != nil && *ended.ExitCode == 0:
		return stdout.Bytes(), nil
	case ended.ExitCode != nil && *ended.ExitCode == filesFailed:
		return nil, guestError(stdout.Bytes(), names[0])
	case ended.TimedOut:
		return nil, connect.NewError(connect.CodeDeadlineExceeded, fmt.Errorf("the operation took longer than %s", filesTimeout))
	}
	return nil, errManipulated(fmt.Errorf("exit code %v, signal %q", ended.ExitCode, ended.Signal))
}

// guestError converts an error that the program in the sandbox has reported.
func guestError(data []byte, name string) error {
	var failed struct{ Code, Message string }
	if err := json.Unmarshal(data, &failed); err != nil {
		return errManipulated(err)
	}
	code := connect.CodeInvalidArgument
	switch failed.Code {
	case "not_found":
		code = connect.CodeNotFound
	case "already_exists":
		code = connect.CodeAlreadyExists
	case "permission_denied":
		code = connect.CodePermissionDenied
	case "resource_exhausted":
		code = connect.CodeResourceExhausted
	}
	return connect.NewError(code, fmt.Errorf("%s: '%s'", clip(failed.Message), clip(shown(name))))
}

// watch calls "changed" with each change below a directory, until ctx ends. Before the
// first change, it calls "begun", as soon as it has read the state of the directory.
func (f *guestFiles) watch(ctx context.Context, name string, depth int, begun func() error, changed func(kind string, e *guestEntry) error) error {
	var id pyth.ProcessID
	defer func() {
		if id != 0 {
			// The process must not outlive the watcher. Ignore the error, because the
			// process may have ended.
			_ = f.processes.SignalProcess(context.WithoutCancel(ctx), f.user, f.session, id, "SIGKILL")
		}
	}()
	lines := &lineReader{line: func(data []byte) error {
		var change struct {
			Type  string
			Entry *guestEntry
		}
		switch err := json.Unmarshal(data, &change); {
		case err != nil:
			return errManipulated(err)
		case change.Type == "start":
			return begun()
		case change.Entry == nil:
			return guestError(data, name)
		case change.Entry.Path == "":
			return errManipulated(errNoPath)
		}
		return changed(change.Type, change.Entry)
	}}
	_, err := f.processes.RunProcess(ctx, f.user, f.session, filesRequest("watch", name, strconv.Itoa(depth)), func(p *pyth.Process) error {
		id = p.ID
		return nil
	}, func(o *pyth.ProcessOutput) error {
		if o.Stream != pyth.Stdout {
			return nil
		}
		if o.Dropped > 0 {
			return connect.NewError(connect.CodeResourceExhausted, errors.New("the client read the changes too slowly, so some changes are missing"))
		}
		return lines.add(o.Data)
	})
	if err == nil {
		err = connect.NewError(connect.CodeNotFound, errors.New("the watched directory no longer exists"))
	}
	return err
}

// lineReader calls a function with each whole line.
type lineReader struct {
	rest []byte
	line func([]byte) error
}

// maxLine is the maximum length of a line in bytes.
const maxLine = 64 << 10

func (r *lineReader) add(data []byte) error {
	r.rest = append(r.rest, data...)
	for {
		i := bytes.IndexByte(r.rest, '\n')
		if i < 0 {
			break
		}
		if err := r.line(r.rest[:i]); err != nil {
			return err
		}
		r.rest = r.rest[i+1:]
	}
	if len(r.rest) > maxLine {
		return errManipulated(errors.New("a line is too long"))
	}
	return nil
}
