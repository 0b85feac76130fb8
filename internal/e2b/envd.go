package e2b

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/process"
)

const (
	envdTokenHeader = "X-Access-Token"
	filesPath       = "/files"
	// maxMessageBytes is the maximum size of a message to envd, before and after its
	// decompression. The largest messages contain the input of a command.
	maxMessageBytes = 2 << 20
	// streamTimeout is the maximum time for sending one message of a stream.
	streamTimeout = 20 * time.Second
)

// envdRoutes returns the routes of envd.
func (s *Server) envdRoutes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+filesPath, s.transfer(s.readFile))
	mux.HandleFunc("POST "+filesPath, s.transfer(s.writeFiles))
	mux.HandleFunc("GET /envs", func(w http.ResponseWriter, r *http.Request) {
		env := map[string]string{}
		maps.Copy(env, accessOf(r.Context()).env)
		writeJSON(w, http.StatusOK, env)
	})
	for pattern, text := range map[string]string{
		"GET /metrics":        "This server has no metrics of single sandboxes.",
		"POST /files/compose": "Files cannot be composed on this server.",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.Refuse(w, r, fail(http.StatusNotImplemented, "%s", text))
		})
	}
	options := []connect.HandlerOption{connect.WithReadMaxBytes(maxMessageBytes), connect.WithSendMaxBytes(maxFileListBytes)}
	mux.Handle(filesystem.NewFilesystemHandler(&filesystemService{s}, options...))
	mux.Handle(process.NewProcessHandler(&processService{s}, options...))
	return mux
}

// serveEnvd serves a request to envd of a sandbox.
func (s *Server) serveEnvd(w http.ResponseWriter, r *http.Request, id string) {
	refuse := s.Refuse
	if isConnect(r) {
		refuse = s.refuseConnect
	}
	tokens := r.Header.Values(envdTokenHeader)
	if len(tokens) == 0 && r.URL.Path == filesPath && r.URL.Query().Has("signature") {
		s.serveSignedOf(w, r, s.sandboxes.list(func(x *sandbox) bool { return string(x.id) == id }))
		return
	}
	if len(tokens) != 1 {
		refuse(w, r, errNoToken(envdTokenHeader))
		return
	}
	x := s.sandboxes.get(id)
	var g *grant
	if x != nil {
		g = x.find(func(g *grant) bool { return equal(g.envd, tokens[0]) })
	}
	if g == nil {
		refuseGone(w, id)
		return
	}
	if r.URL.Path == "/health" {
		s.serveHealth(w, r, x)
		return
	}
	scopes := []pyth.Scope{pyth.ScopeSessions}
	if strings.HasPrefix(r.URL.Path, "/"+process.ProcessName+"/") {
		scopes = append(scopes, pyth.ScopeExecute)
	}
	admitted, ok := s.admit(w, r, x, g, refuse, scopes...)
	if !ok {
		return
	}
	if !isConnect(r) {
		s.dispatch(w, admitted, s.envd, s.Refuse)
		return
	}
	s.serveConnect(w, admitted)
}

// serveHealth reports whether the sandbox runs. It does not check the rights of the API
// key, because clients use this request to find the cause of other errors.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request, x *sandbox) {
	if !s.alive(r.Context(), x) {
		refuseGone(w, string(x.id))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// isConnect reports whether the request calls a service of the Connect protocol.
func isConnect(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/"+process.ProcessName+"/") || strings.HasPrefix(r.URL.Path, "/"+filesystem.FilesystemName+"/")
}

// serveConnect serves a call of a service. It reads the whole message first, so that
// large messages count towards the memory for bodies, and so that net/http notices when
// the client disconnects.
func (s *Server) serveConnect(w http.ResponseWriter, r *http.Request) {
	if !isProcedure(r.URL.Path) {
		s.refuseConnect(w, r, fail(http.StatusNotImplemented, "This server does not know the procedure %s.", clip(r.URL.Path)))
		return
	}
	if r.URL.Path != process.ProcessStreamInputProcedure {
		// Add 5 bytes for the header of the message.
		message, release, err := s.config.Gate.ReadBody(w, r, maxMessageBytes+5)
		if err != nil {
			s.refuseConnect(w, r, err)
			return
		}
		defer release()
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	}
	s.dispatch(newStreamWriter(w, streamTimeout), r, s.envd, s.refuseConnect)
}

// isProcedure reports whether one of the services has the procedure.
func isProcedure(path string) bool {
	for _, file := range []protoreflect.FileDescriptor{process.File_process_process_proto, filesystem.File_filesystem_filesystem_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			if name, ok := strings.CutPrefix(path, "/"+string(service.FullName())+"/"); ok {
				return service.Methods().ByName(protoreflect.Name(name)) != nil
			}
		}
	}
	return false
}

// refuseConnect writes an error in the format of the Connect protocol.
func (s *Server) refuseConnect(w http.ResponseWriter, r *http.Request, err error) {
	writer := connect.NewErrorWriter()
	if !writer.IsSupported(r) {
		s.Refuse(w, r, err)
		return
	}
	// Ignore errors, because the client may have disconnected.
	_ = writer.Write(w, r, s.connectError(r.Context(), err))
}

// connectError converts an error for a response of the Connect protocol.
func (s *Server) connectError(ctx context.Context, err error) *connect.Error {
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return connect.NewError(codeOf(f.status), errors.New(f.text))
	}
	status, header, text := s.config.Gate.Explain(ctx, err)
	e := connect.NewError(codeOf(status), errors.New(text))
	for name, values := range header {
		e.Meta()[name] = values
	}
	return e
}

// codeOf returns the code of the Connect protocol for an HTTP status.
func codeOf(status int) connect.Code {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return connect.CodeInvalidArgument
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusNotFound:
		return connect.CodeNotFound
	case http.StatusConflict:
		return connect.CodeFailedPrecondition
	case http.StatusTooManyRequests, http.StatusInsufficientStorage:
		return connect.CodeResourceExhausted
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return connect.CodeUnimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return connect.CodeUnavailable
	default:
		return connect.CodeInternal
	}
}
