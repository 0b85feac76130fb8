package e2b

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	pyth "github.com/pyth-on/pyth-on"
)

// writtenFile describes an uploaded file.
type writtenFile struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Path string `json:"path"`
}

// maxParts limits the number of files in one upload.
const maxParts = 1000

// serveSigned serves a request that names a file but no sandbox. The signature of the
// request determines the sandbox, because only the holder of the sandbox's access token
// can create the signature.
func (s *Server) serveSigned(w http.ResponseWriter, r *http.Request) {
	s.serveSignedOf(w, r, s.sandboxes.list(func(*sandbox) bool { return true }))
}

// serveSignedOf serves the request if its signature belongs to one of the sandboxes.
func (s *Server) serveSignedOf(w http.ResponseWriter, r *http.Request, sandboxes []*sandbox) {
	q := r.URL.Query()
	for _, name := range []string{"path", "username", "signature", "signature_expiration"} {
		if len(q[name]) > 1 {
			s.Refuse(w, r, fail(http.StatusBadRequest, "Send the parameter %s only once.", name))
			return
		}
	}
	request := &signed{
		operation: operationRead, path: q.Get("path"), user: q.Get("username"),
		signature: q.Get("signature"), expiration: q.Get("signature_expiration"),
	}
	if r.Method == http.MethodPost {
		request.operation = operationWrite
	}
	if request.signature == "" {
		s.Refuse(w, r, errNoToken(envdTokenHeader))
		return
	}
	errSignature := fail(http.StatusUnauthorized, "invalid signature")
	// Anyone can send such a request, so do not hash long texts for each grant.
	if !request.plausible() {
		s.Refuse(w, r, errSignature)
		return
	}
	var x *sandbox
	var g *grant
	// Check all sandboxes, so that the duration does not depend on the result.
	for _, candidate := range sandboxes {
		if found := candidate.find(request.matches); found != nil {
			x, g = candidate, found
		}
	}
	if g == nil {
		s.Refuse(w, r, errSignature)
		return
	}
	if request.expired(s.config.Clock()) {
		s.Refuse(w, r, fail(http.StatusUnauthorized, "signature is already expired"))
		return
	}
	if admitted, ok := s.admit(w, r, x, g, s.Refuse, pyth.ScopeSessions); ok {
		s.dispatch(w, admitted, s.envd, s.Refuse)
	}
}

// transfer returns a handler with the time-out of a transfer.
func (s *Server) transfer(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.config.MaxTimeout+turnAllowance+transferTimeout)
		defer cancel()
		serve(w, r.WithContext(ctx))
	}
}

// readFile sends a file.
func (s *Server) readFile(w http.ResponseWriter, r *http.Request) {
	full, err := fileOf(r)
	if err != nil {
		s.Refuse(w, r, err)
		return
	}
	begun := false
	send := func(size int64, content io.Reader) error {
		begun = true
		header := w.Header()
		header.Set("Content-Type", "application/octet-stream")
		header.Set("Content-Length", strconv.FormatInt(size, 10))
		header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(full)}))
		header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		w.WriteHeader(http.StatusOK)
		_, err := io.CopyN(s.config.Gate.Download(w), content, size)
		return err
	}
	a := accessOf(r.Context())
	if name, ok := belowHome(full); ok {
		err = s.config.Sessions.ReadFile(r.Context(), a.user, a.id, name, send)
	} else {
		var content []byte
		if content, err = s.files(r.Context()).read(r.Context(), full); err == nil {
			err = send(int64(len(content)), bytes.NewReader(content))
		}
	}
	if err != nil && !begun {
		s.Refuse(w, r, fileError(full, err))
	}
}

// writeFiles stores the body as one file, or each part of a form as one file.
func (s *Server) writeFiles(w http.ResponseWriter, r *http.Request) {
	written, err := s.upload(w, r)
	if err != nil {
		s.Refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, written)
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) ([]writtenFile, error) {
	if err := checkUser(r.URL.Query().Get("username")); err != nil {
		return nil, err
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Metadata-") {
			return nil, fail(http.StatusBadRequest, "Metadata of files is not supported by this server. Remove the header %s.", clip(name))
		}
	}
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, fail(http.StatusBadRequest, "The Content-Type must be multipart/form-data or application/octet-stream.")
	}
	body, err := s.uploadBody(w, r)
	if err != nil {
		return nil, err
	}
	switch mediaType {
	case "multipart/form-data":
		return s.writeParts(r, multipart.NewReader(body, parameters["boundary"]))
	case "application/octet-stream":
		f, err := s.writeFile(r, r.URL.Query().Get("path"), body)
		return []writtenFile{f}, err
	default:
		return nil, fail(http.StatusBadRequest, "The Content-Type must be multipart/form-data or application/octet-stream.")
	}
}

// uploadBody returns the decompressed body of an upload. The disk limit of the session
// also limits the decompressed size.
func (s *Server) uploadBody(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	body, err := s.config.Gate.Upload(w, r)
	if err != nil {
		return nil, err
	}
	switch coding := strings.ToLower(r.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		return body, nil
	case "gzip":
		decompressed, err := gzip.NewReader(body)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "The body is not compressed with gzip.")
		}
		return decompressed, nil
	default:
		return nil, fail(http.StatusUnsupportedMediaType, "The Content-Encoding must be gzip or identity.")
	}
}

// writeParts stores those parts of a form that have the name "file". The path of a file
// is the query parameter "path" or, without this parameter, the file name of the part.
func (s *Server) writeParts(r *http.Request, parts *multipart.Reader) ([]writtenFile, error) {
	written := []writtenFile{}
	for range maxParts {
		// Use NextRawPart, because it does not change the content of a part.
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && len(written) > 0 {
			return written, nil
		}
		if err != nil {
			return nil, fail(http.StatusBadRequest, "The form is not valid.")
		}
		name, ok := fileName(part)
		if !ok {
			continue
		}
		if p := r.URL.Query().Get("path"); p != "" {
			name = p
		}
		f, err := s.writeFile(r, name, part)
		if err != nil {
			return nil, err
		}
		written = append(written, f)
	}
	return nil, fail(http.StatusBadRequest, "The form has more than %d files.", maxParts)
}

// fileName returns the file name of a part of a form. It returns false if the name of the
// part is not "file". The method multipart.Part.FileName would remove the directories.
func fileName(part *multipart.Part) (string, bool) {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	return parameters["filename"], err == nil && parameters["name"] == "file"
}

func (s *Server) writeFile(r *http.Request, name string, content io.Reader) (writtenFile, error) {
	full, err := insideFile(name)
	if err != nil {
		return writtenFile{}, err
	}
	a := accessOf(r.Context())
	if below, ok := belowHome(full); ok {
		_, err = s.config.Sessions.WriteFile(r.Context(), a.user, a.id, below, content)
	} else {
		err = s.files(r.Context()).write(r.Context(), full, content)
	}
	if err != nil {
		return writtenFile{}, fileError(full, err)
	}
	return writtenFile{Name: path.Base(full), Type: "file", Path: shown(full)}, nil
}

// fileOf converts the path in the query to a path in the sandbox.
func fileOf(r *http.Request) (string, error) {
	q := r.URL.Query()
	if err := checkUser(q.Get("username")); err != nil {
		return "", err
	}
	return insideFile(q.Get("path"))
}

func insideFile(name string) (string, error) {
	if name == "" {
		return "", fail(http.StatusBadRequest, "path is required")
	}
	full, err := inside(name)
	if err == nil && (full == workDir || full == "/") {
		err = fail(http.StatusBadRequest, "path '%s' is a directory", clip(name))
	}
	return full, err
}

// fileError converts an error of a file operation.
func fileError(full string, err error) error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return fail(statusOf(e.Code()), "%s", e.Message())
	}
	switch pyth.ErrorCode(err) {
	case pyth.CodeNotFound:
		return fail(http.StatusNotFound, "path '%s' does not exist", clip(shown(full)))
	case pyth.CodeTooLarge:
		return fail(http.StatusInsufficientStorage, "not enough disk space available: the file is larger than the disk of the sandbox")
	}
	return err
}

// statusOf returns the status of a response for a code of the Connect protocol.
func statusOf(code connect.Code) int {
	switch code {
	case connect.CodeNotFound:
		return http.StatusNotFound
	case connect.CodePermissionDenied:
		return http.StatusForbidden
	case connect.CodeResourceExhausted:
		return http.StatusInsufficientStorage
	case connect.CodeDeadlineExceeded:
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadRequest
	}
}
