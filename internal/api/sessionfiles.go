package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// maxFileBytes is the maximum size of an uploaded file in bytes. The disk limit of a
// session may be lower.
const maxFileBytes = 1 << 30

// SessionFile describes a file in a session.
type SessionFile struct {
	_ struct{} `doc:"A file of a session."`

	Path       string    `json:"path" doc:"The path, relative to the initial working directory of the session." example:"data/out.csv"`
	SizeBytes  int64     `json:"sizeBytes" doc:"The size of the file." example:"42"`
	ModifiedAt Timestamp `json:"modifiedAt" doc:"When the file was last changed."`
}

// SessionFileList contains the files in a session.
type SessionFileList struct {
	_ struct{} `doc:"The files of a session."`

	Files []SessionFile `json:"files" doc:"The files, sorted by path."`
}

// SessionFileRef contains the path parameters that identify a file in a session. It
// is exported because huma ignores unexported types.
type SessionFileRef struct {
	SessionRef
	Path string `path:"path" doc:"The path of the file, relative to the initial working directory of the session. The path may contain slashes." example:"data/out.csv"`
}

type (
	sessionFilesOutput struct{ Body SessionFileList }
	putFileOutput      struct{ Status int }
	// getFileOutput is the output of an operation whose handler writes the response
	// itself. So its field Body writes nothing.
	getFileOutput struct{ Body func(huma.Context) }
)

const (
	sessionFilesPath = sessionPath + "/files"
	sessionFilePath  = sessionFilesPath + "/" + filePath
)

func (h *Handler) registerSessionFiles() {
	// An operation on files waits until all earlier runs in the session have ended.
	turn := h.cfg.Limits.MaxTimeout + queueAllowance
	transfer := turn + maxFileBytes/minRate*time.Second
	binary := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The bytes of a file."}}
	anyType := map[string]*huma.MediaType{"*/*": {Schema: binary.Schema, Example: "a,b\n1,2\n"}}
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "listSessionFiles", Method: http.MethodGet, Path: sessionFilesPath,
			Summary: "List the files of a session", Tags: []string{tagSessions},
			Description: "Lists the regular files below the initial working directory of the session, at most 10,000.",
			Errors:      []int{http.StatusNotFound},
		},
		timeout: turn,
		answer:  map[string]any{"files": []any{map[string]any{"path": "data/out.csv", "sizeBytes": 42, "modifiedAt": "2026-04-04T08:23:21.123Z"}}},
	}, ifSessions(h, h.listSessionFiles))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "writeSessionFile", Method: http.MethodPut, Path: sessionFilePath, DefaultStatus: http.StatusOK,
			Summary: "Write a file of a session", Tags: []string{tagSessions},
			Description: fmt.Sprintf("Writes the body to the file and creates missing directories. The Content-Type may have any value except multipart/form-data. The status is 201 for a new file, and 200 for a replaced file. If the write fails, an existing file does not change. The maximum size is %s bytes.", pyth.Digits(maxFileBytes)),
			RequestBody: &huma.RequestBody{
				Description: "The bytes of the file. Every Content-Type is accepted, except multipart/form-data.",
				Required:    true,
				Content:     map[string]*huma.MediaType{"application/octet-stream": binary},
			},
			Responses: map[string]*huma.Response{"201": {Description: "Created"}},
			Errors:    []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
		},
		timeout: transfer,
	}, ifSessions(h, h.putSessionFile))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "readSessionFile", Method: http.MethodGet, Path: sessionFilePath,
			Summary: "Read a file of a session", Tags: []string{tagSessions},
			Description: "Returns the bytes of the file. The Content-Type is determined from the file name, or from the content if the name has no known extension. With the header Range, the response contains one part of the file. A call with this header does not wait for the runs of the session.",
			Responses: map[string]*huma.Response{
				"200": {Description: "The file", Content: anyType},
				"206": {Description: "The part of the file that the header Range selects", Content: anyType},
			},
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestedRangeNotSatisfiable},
		},
		timeout: transfer,
	}, ifSessions(h, h.getSessionFile))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "deleteSessionFile", Method: http.MethodDelete, Path: sessionFilePath,
			Summary: "Delete a file of a session", Tags: []string{tagSessions},
			Description: "Deletes the file. Empty directories are kept.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: turn,
	}, ifSessions(h, h.deleteSessionFile))
}

func (h *Handler) listSessionFiles(ctx context.Context, in *sessionByIDInput) (*sessionFilesOutput, error) {
	files, err := h.cfg.Sessions.Files(ctx, caller(ctx).User.ID, in.id())
	if err != nil {
		return nil, err
	}
	out := SessionFileList{Files: make([]SessionFile, len(files))}
	for i, f := range files {
		out.Files[i] = SessionFile{Path: f.Path, SizeBytes: f.SizeBytes, ModifiedAt: Timestamp(f.ModifiedAt)}
	}
	return &sessionFilesOutput{Body: out}, nil
}

func (h *Handler) putSessionFile(ctx context.Context, in *SessionFileRef) (*putFileOutput, error) {
	content, err := h.fileUpload(ctx)
	if err != nil {
		return nil, err
	}
	return createdOutput(h.cfg.Sessions.WriteFile(ctx, caller(ctx).User.ID, in.id(), in.Path, content))
}

// fileUpload returns the body of a request with a file or an archive.
func (h *Handler) fileUpload(ctx context.Context) (*upload, error) {
	req := requestOf(ctx)
	// Reject compressed bodies, because the server would store the compressed bytes as
	// the file.
	if err := body.CheckCoding(req.r.Header); err != nil {
		return nil, err
	}
	if err := body.CheckWhole(req.r.Header); err != nil {
		return nil, err
	}
	return newUpload(req.w, req.r, maxFileBytes, h.cfg.BodyTimeout)
}

// createdOutput returns the answer of a call that creates or replaces an object.
func createdOutput(created bool, err error) (*putFileOutput, error) {
	switch {
	case err != nil:
		return nil, err
	case created:
		return &putFileOutput{Status: http.StatusCreated}, nil
	default:
		return &putFileOutput{Status: http.StatusOK}, nil
	}
}

func (h *Handler) getSessionFile(ctx context.Context, in *SessionFileRef) (*getFileOutput, error) {
	if part, ok := requestedRange(requestOf(ctx).r.Header); ok && h.cfg.Files != nil {
		return h.getFilePart(ctx, in, part)
	}
	begun := false
	err := h.cfg.Sessions.ReadFile(ctx, caller(ctx).User.ID, in.id(), in.Path, func(size int64, content io.Reader) error {
		begun = true
		return h.sendFile(requestOf(ctx), in.Path, size, content)
	})
	if err != nil && !begun {
		return nil, err
	}
	// The status was already sent, so the response can no longer report an error.
	// net/http closes the connection. The client then receives fewer bytes than
	// Content-Length says.
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}

// sniffBytes is the number of bytes that http.DetectContentType reads.
const sniffBytes = 512

// sendFile sends the content of a file as the response. The headers of the response
// prevent browsers from displaying the file. An untrusted program may have written the
// file. If a browser displayed the file, the file would have the same origin as this API.
func (h *Handler) sendFile(req *request, name string, size int64, content io.Reader) error {
	buffered := bufio.NewReaderSize(content, sniffBytes)
	// Ignore the error, because the file may be shorter than sniffBytes.
	start, _ := buffered.Peek(int(min(size, sniffBytes)))
	header := req.w.Header()
	header.Set("Content-Type", mediaType(name, start))
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	header.Set("Accept-Ranges", "bytes")
	asAttachment(header, path.Base(name))
	req.w.WriteHeader(http.StatusOK)
	if req.r.Method == http.MethodHead {
		return nil
	}
	_, err := io.CopyN(newDownload(req.w, h.cfg.ResponseTimeout), buffered, size)
	return err
}

// asAttachment sets headers that prevent browsers from displaying the response.
func asAttachment(header http.Header, name string) {
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

func (h *Handler) deleteSessionFile(ctx context.Context, in *SessionFileRef) (*noOutput, error) {
	return nil, h.cfg.Sessions.DeleteFile(ctx, caller(ctx).User.ID, in.id(), in.Path)
}

// isSessionFilePath reports whether a URL path leads to a file or a directory in a session.
func isSessionFilePath(path string) bool {
	rest, ok := strings.CutPrefix(path, sessionsPath+"/")
	id, rest, _ := strings.Cut(rest, "/")
	return ok && id != "" && id != "." && id != ".." && (strings.HasPrefix(rest, "files/") || strings.HasPrefix(rest, "directories/"))
}
