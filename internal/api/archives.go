package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ArchiveFormat is the format of an archive.
type ArchiveFormat string

// Schema returns a schema that refers to the component ArchiveFormat.
func (ArchiveFormat) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "ArchiveFormat", "The format of an archive.", pyth.ArchiveFormats()...)
}

// UnpackedArchive is the response of writeArchive.
type UnpackedArchive struct {
	_ struct{} `doc:"The result of unpacking an archive."`

	Entries int `json:"entries" minimum:"0" doc:"The number of files and directories in the archive." example:"3"`
}

type (
	// ArchiveRef contains the parameters that identify an archive. It is exported because
	// huma ignores unexported types.
	ArchiveRef struct {
		SessionRef
		Path   string        `query:"path" maxLength:"1024" doc:"The path of a directory, relative to the initial working directory of the session. The default is this working directory. readArchive also accepts the path of a file." example:"data"`
		Format ArchiveFormat `query:"format" default:"tar.gz" doc:"The format of the archive."`
	}
	unpackOutput struct{ Body UnpackedArchive }
)

const archivePath = sessionPath + "/archive"

func (h *Handler) registerArchives() {
	transfer := queueAllowance + maxFileBytes/minRate*time.Second
	binary := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The bytes of an archive."}}
	archives := map[string]*huma.MediaType{}
	for _, f := range pyth.ArchiveFormats() {
		archives[archiveMediaType(f)] = &huma.MediaType{Schema: binary.Schema, Example: "(the bytes of the archive)"}
	}
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "readArchive", Method: http.MethodGet, Path: archivePath,
			Summary: "Download files of a session as an archive", Tags: []string{tagSessions},
			Description: "Returns an archive of one file, or of a directory with all files and directories below it. Paths in the archive are relative to this directory. The archive contains no links and no special files. The call does not wait for the runs of the session.",
			Responses:   map[string]*huma.Response{"200": {Description: "The archive", Content: archives}},
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		timeout: transfer,
	}, ifFiles(h, h.readArchive))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "writeArchive", Method: http.MethodPut, Path: archivePath,
			Summary: "Unpack an archive into a session", Tags: []string{tagSessions},
			Description: fmt.Sprintf("Unpacks the body into a directory. If the directory does not exist, the server creates it. The archive replaces existing files. The archive may contain only files and directories with valid paths, and each path only once. The server refuses an archive with a link, a device, an absolute path or a path with .. in it. If the server refuses the archive, or the disk of the session is too small, no file changes. The maximum size of the body is %s bytes. The call does not wait for the runs of the session.", pyth.Digits(maxFileBytes)),
			RequestBody: &huma.RequestBody{
				Description: "The bytes of the archive. The Content-Type may have any value, except multipart/form-data.",
				Required:    true,
				Content:     map[string]*huma.MediaType{"application/octet-stream": binary},
			},
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
		},
		timeout: transfer,
		answer:  map[string]any{"entries": 3},
	}, ifFiles(h, h.writeArchive))
}

func archiveMediaType(f pyth.ArchiveFormat) string {
	if f == pyth.ArchiveZip {
		return "application/zip"
	}
	return "application/gzip"
}

func (h *Handler) readArchive(ctx context.Context, in *ArchiveRef) (*getFileOutput, error) {
	req, format := requestOf(ctx), pyth.ArchiveFormat(in.Format)
	begun := false
	begin := func() {
		begun = true
		header := req.w.Header()
		header.Set("Content-Type", archiveMediaType(format))
		name := path.Base(in.Path)
		if in.Path == "" {
			name = "files"
		}
		asAttachment(header, name+"."+string(in.Format))
		req.w.WriteHeader(http.StatusOK)
	}
	err := h.cfg.Files.PackFiles(ctx, caller(ctx).User.ID, in.id(), in.Path, format, begin, newDownload(req.w, h.cfg.ResponseTimeout))
	if err != nil {
		if !begun {
			return nil, err
		}
		// The status was already sent. Close the connection, so that the client does not
		// treat the incomplete archive as complete.
		req.err = err
		panic(http.ErrAbortHandler)
	}
	return &getFileOutput{Body: func(huma.Context) {}}, nil
}

func (h *Handler) writeArchive(ctx context.Context, in *ArchiveRef) (*unpackOutput, error) {
	content, err := h.fileUpload(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := h.cfg.Files.UnpackFiles(ctx, caller(ctx).User.ID, in.id(), in.Path, pyth.ArchiveFormat(in.Format), content)
	if err != nil {
		return nil, err
	}
	return &unpackOutput{Body: UnpackedArchive{Entries: entries}}, nil
}

// atBody adds the prefix "body." to the locations of an error.
func atBody(err error) error {
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	changed := *e
	changed.Fields = nil
	for _, f := range e.Fields {
		changed.Fields = append(changed.Fields, pyth.FieldError{Location: "body." + f.Location, Message: f.Message})
	}
	return &changed
}
