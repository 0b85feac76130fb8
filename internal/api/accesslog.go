package api

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// logAccess writes one log line for a request. The line contains no query, because
// some users put keys into the query. It contains the route or, if no route matched,
// the path.
func (h *Handler) logAccess(r *http.Request, req *request, w *response, took time.Duration) {
	credential := pyth.CredentialNone
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs, slog.String("request_id", req.id), slog.String("method", problem.Clip(r.Method)))
	if req.route != "" {
		attrs = append(attrs, slog.String("route", req.route))
	} else {
		attrs = append(attrs, slog.String("path", safePath(r.URL.Path)))
	}
	attrs = append(attrs,
		slog.Int("status", w.status()),
		slog.Int64("bytes", w.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("ip", req.ip),
	)
	if p := req.principal; p != nil {
		credential = p.Credential
		attrs = append(attrs, slog.String("user_id", string(p.User.ID)))
	}
	attrs = append(attrs, slog.String("credential", string(credential)))
	level := slog.LevelInfo
	if w.status() >= http.StatusInternalServerError && req.err != nil {
		level = levelOf(pyth.ErrorCode(req.err))
		attrs = append(attrs, slog.String("error", req.err.Error()))
	}
	h.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// levelOf returns the log level for a response with status 500 or higher and this
// error code.
func levelOf(code pyth.Code) slog.Level {
	switch code {
	case pyth.CodeLLMNotConfigured, pyth.CodeDraining:
		return slog.LevelInfo // A missing setting or a server that stops is not a failure.
	default:
		return slog.LevelError
	}
}

// safePath returns the path without segments that look like credentials.
func safePath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		// API keys have a prefix. A JWT starts with eyJ, the base64 of {".
		if strings.Contains(s, pyth.APIKeyPrefix) || strings.Contains(s, pyth.E2BKeyPrefix) || strings.HasPrefix(s, "eyJ") {
			segments[i] = "[credential]"
		}
	}
	return problem.Clip(strings.Join(segments, "/"))
}
