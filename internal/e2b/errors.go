package e2b

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	pyth "github.com/pyth-on/pyth-on"
)

// failure is an error with a status of the protocol. The caller may see its text.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

// fail returns an error with a status and a text for the caller.
func fail(status int, format string, args ...any) error {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

// errNoSandbox is the error for a sandbox that does not exist or belongs to another user.
func errNoSandbox(id string) error {
	return fail(http.StatusNotFound, "sandbox %q does not exist, or you have no access to it", clip(id))
}

// errNoToken is the error for a request to a sandbox without a usable access token.
func errNoToken(name string) error {
	return fail(http.StatusUnauthorized, "The access token of the sandbox is missing. Send it in the header %s.", name)
}

// maxRepeated is the maximum number of bytes that an error message repeats from a text in
// the request.
const maxRepeated = 64

// clip shortens a text from the request for an error message.
func clip(s string) string {
	if len(s) <= maxRepeated {
		return s
	}
	return s[:maxRepeated] + "…"
}

// errorBody is the JSON body of error responses. The Connect protocol and the interpreter
// have other error formats. They use errorBody only for a sandbox that does not run
// (refuseGone).
type errorBody struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	// SandboxID is set if the sandbox does not run.
	SandboxID string `json:"sandboxId,omitempty"`
}

// Refuse writes an error in the format of the control plane and of envd.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := s.explain(w, r, err)
	writeJSON(w, status, errorBody{Code: status, Message: text})
}

// refuseText writes an error as plain text, which is the format of E2B's code interpreter.
func (s *Server) refuseText(w http.ResponseWriter, r *http.Request, err error) {
	status, text := s.explain(w, r, err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	// Ignore errors, because the client may have disconnected.
	_, _ = w.Write([]byte(text))
}

// explain returns the status and the text of an error. It sets the headers of the
// response.
func (s *Server) explain(w http.ResponseWriter, r *http.Request, err error) (int, string) {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.status, f.text
	}
	status, header, text := s.config.Gate.Explain(r.Context(), err)
	for name, values := range header {
		w.Header()[name] = values
	}
	return status, text
}

// refuseGone writes the response for a sandbox that does not run. The response is the
// same for a sandbox of another user and for a wrong access token. Clients conclude from
// the status that the sandbox has ended.
func refuseGone(w http.ResponseWriter, id string) {
	writeJSON(w, http.StatusBadGateway, errorBody{Code: http.StatusBadGateway, Message: "The sandbox was not found", SandboxID: clip(id)})
}

// isGone reports whether the session of a sandbox no longer exists.
func isGone(err error) bool { return pyth.ErrorCode(err) == pyth.CodeNotFound }

// writeJSON writes a response.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		// Only a bug can cause this error, because all responses have encodable types.
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// Ignore errors, because the client may have disconnected.
	_, _ = w.Write(append(data, '\n'))
}
