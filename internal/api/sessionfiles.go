package api

import (
	"bufio"
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// maxFileBytes bounds a file that is sent. The session's disk may be smaller.
const maxFileBytes = 1 << 30

// SessionFile is a file of a session.
type SessionFile struct {
	Path       string    `json:"path" example:"data/out.csv" doc:"Relative to the session's first working directory."`
	SizeBytes  int64     `json:"sizeBytes"`
	ModifiedAt Timestamp `json:"modifiedAt"`
}

// SessionFileList has the files of a session.
type SessionFileList struct {
	Files []SessionFile `json:"files"`
}

// SessionFileRef names a file of a session. huma looks only into exported types.
type SessionFileRef struct {
	SessionRef
	Path string `path:"path" doc:"The file's path, relative to the session's first working directory. It may have slashes."`
	exchange
}

// exchange is the request and its response, for operations that pass on bytes
// as they come.
type exchange struct {
	r *http.Request
	w http.ResponseWriter
}

var _ huma.Resolver = (*exchange)(nil)

// Resolve notes both.
func (e *exchange) Resolve(ctx huma.Context) []error {
	e.r, e.w = humago.Unwrap(ctx)
	return nil
}

type (
	sessionFilesOutput struct{ Body SessionFileList }
	putFileOutput      struct{ Status int }
	// getFileOutput has been written when it is returned.
	getFileOutput struct{ Body func(huma.Context) }
)

const (
	sessionFilesPath = sessionPath + "/files"
	sessionFilePath  = sessionFilesPath + "/" + filePath
)

func (h *Handler) registerSessionFiles() {
	// What has to do with files waits for its turn, as runs do.
	turn := h.cfg.Limits.MaxTimeout + queueAllowance
	transfer := turn + maxFileBytes/minRate*time.Second
	binary := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	anyType := map[string]*huma.MediaType{"*/*": binary}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listSessionFiles", Method: http.MethodGet, Path: sessionFilesPath,
			Summary: "List the files of a session", Tags: []string{tagSessions},
			Description: "Lists the regular files below the session's first working directory, at most 10,000.",
			Errors:      []int{http.StatusNotFound},
		},
		timeout: turn,
		answer:  map[string]any{"files": []any{map[string]any{"path": "data/out.csv", "sizeBytes": 42, "modifiedAt": "2026-04-04T08:23:21.123Z"}}},
	}, offered(h, h.listSessionFiles))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "putSessionFile", Method: http.MethodPut, Path: sessionFilePath, DefaultStatus: http.StatusOK,
			Summary: "Write a file of a session", Tags: []string{tagSessions},
			Description: "Writes the body, whatever its media type, to the file and makes the directories that it lies in. The file is replaced as a whole, or stays as it was. 201 tells that there was none before. At most " + strconv.Itoa(maxFileBytes) + " bytes, and what the session's disk has room for.",
			Responses:   map[string]*huma.Response{"201": {Description: "Created"}},
			Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
		},
		timeout: transfer,
	}, offered(h, h.putSessionFile))
	documented(h.api.OpenAPI(), http.MethodPut, sessionFilePath).RequestBody = &huma.RequestBody{
		Content: map[string]*huma.MediaType{"application/octet-stream": binary, "*/*": binary},
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "getSessionFile", Method: http.MethodGet, Path: sessionFilePath,
			Summary: "Read a file of a session", Tags: []string{tagSessions},
			Description: "Sends the file's bytes. The media type is told by the name, or else by the content.",
			Responses:   map[string]*huma.Response{"200": {Description: "The file", Content: anyType}},
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: transfer,
	}, offered(h, h.getSessionFile))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteSessionFile", Method: http.MethodDelete, Path: sessionFilePath,
			Summary: "Delete a file of a session", Tags: []string{tagSessions},
			Description: "Deletes the file. The directories that it lies in stay.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: turn,
	}, offered(h, h.deleteSessionFile))
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
	// The bytes are kept as they are: what is packed would stay so unnoticed.
	if err := checkCoding(in.r.Header); err != nil {
		return nil, err
	}
	if err := checkWhole(in.r.Header); err != nil {
		return nil, err
	}
	content, err := newUpload(in.w, in.r, maxFileBytes, h.cfg.BodyTimeout)
	if err != nil {
		return nil, err
	}
	created, err := h.cfg.Sessions.WriteFile(ctx, caller(ctx).User.ID, in.id(), in.Path, content)
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
	begun := false
	err := h.cfg.Sessions.ReadFile(ctx, caller(ctx).User.ID, in.id(), in.Path, func(size int64, content io.Reader) error {
		begun = true
		return h.sendFile(in, size, content)
	})
	if err != nil && !begun {
		return nil, err
	}
	// What was cut short is known by its Content-Length: net/http closes the
	// connection then.
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}

// sniffed is how much of a file is looked at to tell its type.
const sniffed = 512

// sendFile answers with the file, in a way that no browser shows it: it is the
// work of a program that nobody trusts, on the origin of this API.
func (h *Handler) sendFile(in *SessionFileRef, size int64, content io.Reader) error {
	buffered := bufio.NewReaderSize(content, sniffed)
	// Less than asked for is as good.
	start, _ := buffered.Peek(int(min(size, sniffed)))
	header := in.w.Header()
	header.Set("Content-Type", mediaType(in.Path, start))
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(in.Path)}))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	in.w.WriteHeader(http.StatusOK)
	if in.r.Method == http.MethodHead {
		return nil
	}
	_, err := io.CopyN(newDownload(in.w, h.cfg.ResponseTimeout), buffered, size)
	return err
}

func (h *Handler) deleteSessionFile(ctx context.Context, in *SessionFileRef) (*noOutput, error) {
	return nil, h.cfg.Sessions.DeleteFile(ctx, caller(ctx).User.ID, in.id(), in.Path)
}
