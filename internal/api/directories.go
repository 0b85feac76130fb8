package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// FileType is the type of an entry of a directory.
type FileType string

// Schema returns a schema that refers to the component FileType.
func (FileType) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "FileType", "The type of an entry. `link`: a symbolic link. `other`: a FIFO, a socket or another special file.", pyth.FileTypes()...)
}

// FileEntry describes an entry of a directory in a session.
type FileEntry struct {
	_ struct{} `doc:"An entry of a directory of a session."`

	Path       string    `json:"path" doc:"The path, relative to the initial working directory of the session." example:"data/out.csv"`
	Type       FileType  `json:"type" doc:"The type of the entry." example:"file"`
	SizeBytes  int64     `json:"sizeBytes" minimum:"0" doc:"The size of a file. 0 for all other types." example:"42"`
	ModifiedAt Timestamp `json:"modifiedAt" doc:"When the entry was last changed."`
	Mode       string    `json:"mode" doc:"The permissions in octal digits." example:"0644"`
	Target     string    `json:"target,omitzero" doc:"The target of a symbolic link." example:"out.csv"`
}

// Directory contains the entries of a directory in a session.
type Directory struct {
	_ struct{} `doc:"The entries of a directory of a session."`

	Entries []FileEntry `json:"entries" doc:"The entries, sorted by name. The entries of a subdirectory follow the entry of the subdirectory."`
}

// FileTransfer is the body of moveSessionFile and copySessionFile.
type FileTransfer struct {
	_ struct{} `doc:"The old and the new path of a file or a directory."`

	From      string `json:"from" minLength:"1" maxLength:"1024" doc:"The path of a file or a directory." example:"data/out.csv"`
	To        string `json:"to" minLength:"1" maxLength:"1024" doc:"The new path. The server creates missing directories above this path." example:"results/out.csv"`
	Overwrite bool   `json:"overwrite,omitempty" doc:"Whether to replace an existing file or directory at the new path. A directory is replaced with all of its content. Without overwrite, the call fails if the new path exists."`
}

type (
	directoryInput struct {
		SessionRef
		Path  string `query:"path" maxLength:"1024" doc:"The path of the directory, relative to the initial working directory of the session. The default is this working directory." example:"data"`
		Depth int    `query:"depth" minimum:"1" maximum:"64" default:"1" doc:"The number of levels of directories to list. With 1, the list contains only the entries of the directory itself."`
	}
	directoryOutput      struct{ Body Directory }
	makeDirectoryInput   struct{ SessionFileRef }
	removeDirectoryInput struct {
		SessionFileRef
		Recursive bool `query:"recursive" doc:"Whether to delete the content of the directory too. Without recursive, the directory must be empty."`
	}
	fileTransferInput struct {
		SessionRef
		jsonBody[FileTransfer]
	}
)

const (
	directoriesPath = sessionPath + "/directories"
	directoryPath   = directoriesPath + "/" + filePath
)

// registerDirectories registers operations on trees of files. These operations do not
// wait for the runs of the session.
func (h *Handler) registerDirectories() {
	conflict := []int{http.StatusNotFound, http.StatusConflict}
	disk := append([]int{http.StatusRequestEntityTooLarge}, conflict...)
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "listDirectory", Method: http.MethodGet, Path: directoriesPath,
			Summary: "List a directory of a session", Tags: []string{tagSessions},
			Description: "Lists files, directories, links and special files, at most 10,000 entries. The list does not contain entries with names that are not valid in this API. The call does not wait for the runs of the session, and does not follow links.",
			Errors:      conflict,
		},
		answer: map[string]any{"entries": []any{map[string]any{"path": "data/out.csv", "type": "file", "sizeBytes": 42, "modifiedAt": "2026-04-04T08:23:21.123Z", "mode": "0644"}}},
	}, ifFiles(h, h.listDirectory))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "createDirectory", Method: http.MethodPost, Path: directoryPath, DefaultStatus: http.StatusOK,
			Summary: "Create a directory of a session", Tags: []string{tagSessions},
			Description: "Creates the directory and the missing directories above it. The status is 201 for a new directory, and 200 if the directory exists. The call does not wait for the runs of the session.",
			Responses:   map[string]*huma.Response{"201": {Description: "Created"}},
			Errors:      disk,
		},
	}, ifFiles(h, h.makeDirectory))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "deleteDirectory", Method: http.MethodDelete, Path: directoryPath,
			Summary: "Delete a directory of a session", Tags: []string{tagSessions},
			Description: "Deletes an empty directory. With recursive, the call also deletes the content of the directory. The call deletes links in the directory, but not the targets of these links. The call does not wait for the runs of the session.",
			Errors:      conflict,
		},
	}, ifFiles(h, h.removeDirectory))
	transfer := map[string]any{"from": "data/out.csv", "to": "results/out.csv"}
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "moveSessionFile", Method: http.MethodPost, Path: sessionFilesPath + ":move", DefaultStatus: http.StatusNoContent,
			Summary: "Move a file or a directory of a session", Tags: []string{tagSessions},
			Description: "Moves a file or a directory to a new path. The call does not wait for the runs of the session.",
			Errors:      disk,
		},
		example: transfer,
	}, ifFiles(h, h.moveFile))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "copySessionFile", Method: http.MethodPost, Path: sessionFilesPath + ":copy", DefaultStatus: http.StatusNoContent,
			Summary: "Copy a file or a directory of a session", Tags: []string{tagSessions},
			Description: "Copies a file, or a directory with its content. The copy of a link is also a link. The call does not copy special files. The copy becomes visible after it is complete. The call does not wait for the runs of the session.",
			Errors:      disk,
		},
		example: transfer,
	}, ifFiles(h, h.copyFile))
}

func ifFiles[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return ifEnabled(h.cfg.Files != nil, "directories and archives of sessions", handle)
}

func (h *Handler) listDirectory(ctx context.Context, in *directoryInput) (*directoryOutput, error) {
	entries, err := h.cfg.Files.ListDirectory(ctx, caller(ctx).User.ID, in.id(), in.Path, in.Depth)
	if err != nil {
		return nil, err
	}
	out := Directory{Entries: make([]FileEntry, len(entries))}
	for i := range entries {
		out.Entries[i] = fileEntry(&entries[i])
	}
	return &directoryOutput{Body: out}, nil
}

func fileEntry(e *pyth.FileEntry) FileEntry {
	return FileEntry{
		Path: e.Path, Type: FileType(e.Type), SizeBytes: e.SizeBytes, ModifiedAt: Timestamp(e.ModifiedAt),
		Mode: "0" + string([]byte{octal(e.Mode >> 6), octal(e.Mode >> 3), octal(e.Mode)}), Target: e.Target,
	}
}

func octal(mode int) byte { return byte('0' + mode&7) }

func (h *Handler) makeDirectory(ctx context.Context, in *makeDirectoryInput) (*putFileOutput, error) {
	return createdOutput(h.cfg.Files.MakeDirectory(ctx, caller(ctx).User.ID, in.id(), in.Path))
}

func (h *Handler) removeDirectory(ctx context.Context, in *removeDirectoryInput) (*noOutput, error) {
	user := caller(ctx).User.ID
	e, err := h.cfg.Files.StatFile(ctx, user, in.id(), in.Path)
	if err != nil {
		return nil, err
	}
	if e.Type != pyth.FileDirectory {
		return nil, pyth.Errorf(pyth.CodeConflict, "The path is not a directory. To delete a file, use DELETE /api/v1/sessions/{id}/files/{path}.")
	}
	return nil, h.cfg.Files.RemovePath(ctx, user, in.id(), in.Path, in.Recursive)
}

func (h *Handler) moveFile(ctx context.Context, in *fileTransferInput) (*noOutput, error) {
	return nil, atBody(h.cfg.Files.MovePath(ctx, caller(ctx).User.ID, in.id(), in.Value.From, in.Value.To, in.Value.Overwrite))
}

func (h *Handler) copyFile(ctx context.Context, in *fileTransferInput) (*noOutput, error) {
	return nil, atBody(h.cfg.Files.CopyPath(ctx, caller(ctx).User.ID, in.id(), in.Value.From, in.Value.To, in.Value.Overwrite))
}
