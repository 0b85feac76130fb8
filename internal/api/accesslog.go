package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
	"github.com/pyth-on/pyth-on/internal/logging"
)

// statusCanceled is the status in the log and in metrics if the client disconnected
// before it received the whole response. nginx uses the same number.
const statusCanceled = 499

// Values of the key "outcome" in the log.
const (
	outcomeSucceeded = "succeeded"
	outcomeRefused   = "refused" // the request is the cause of the error
	outcomeFailed    = "failed"  // the server is the cause of the error
	outcomeCanceled  = "canceled"
)

// outcomeOf returns the outcome of a request whose response has the given status.
func outcomeOf(status int) string {
	switch {
	case status == statusCanceled:
		return outcomeCanceled
	case status >= http.StatusInternalServerError:
		return outcomeFailed
	case status >= http.StatusBadRequest:
		return outcomeRefused
	default:
		return outcomeSucceeded
	}
}

// logAccess writes one log line for a request. The line contains the route or, if no
// route matched, the path. The line contains no query string, because some users put API
// keys in the query string. The log handler adds the ID of the request.
func (h *Handler) logAccess(r *http.Request, req *request, status int, bytes int64, took time.Duration) {
	credential := pyth.CredentialNone
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs, slog.String("method", problem.Clip(r.Method)))
	if req.route != "" {
		attrs = append(attrs, slog.String("route", req.route))
	} else {
		attrs = append(attrs, slog.String("path", safePath(r.URL.Path)))
	}
	attrs = append(attrs,
		slog.Int("status", status),
		slog.String("outcome", outcomeOf(status)),
		slog.Int64("bytes", bytes),
		logging.Milliseconds("duration", took),
		slog.String("ip", req.ip),
	)
	if p := req.principal; p != nil {
		credential = p.Credential
		attrs = append(attrs, slog.String("user_id", string(p.User.ID)))
	}
	attrs = append(attrs, slog.String("credential", string(credential)))
	level := slog.LevelInfo
	if req.err != nil && status != statusCanceled {
		attrs = append(attrs, slog.String("code", string(pyth.ErrorCode(req.err))))
		// Log the error only if its status is 500 or higher. The message of an error with
		// a status below 500 can contain a part of the request.
		if status >= http.StatusInternalServerError {
			level = levelOf(pyth.ErrorCode(req.err))
			attrs = append(attrs, slog.String("error", req.err.Error()))
		}
	}
	h.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// levelOf returns the log level for a response with status 500 or higher. The level
// depends on the error code.
func levelOf(code pyth.Code) slog.Level {
	switch code {
	case pyth.CodeLLMNotConfigured, pyth.CodeRuntimeUnavailable, pyth.CodeDraining:
		return slog.LevelInfo // A missing setting or a server that stops is not a failure.
	case pyth.CodeOverloaded, pyth.CodeIndexUnavailable, pyth.CodeLLMFailed, pyth.CodeLLMTimeout:
		return slog.LevelWarn // The load or another server caused the error.
	default:
		return slog.LevelError
	}
}

// safePath returns the path without segments that look like credentials.
func safePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		// API keys have a prefix. A JWT starts with eyJ, the base64 of {".
		if containsKey(s) || strings.HasPrefix(s, "eyJ") {
			segments[i] = "[credential]"
		}
	}
	return problem.Clip(strings.Join(segments, "/"))
}
