// Package logging adds common attributes to log records. These attributes are the ID of
// the request, the ID of the trace, and durations in milliseconds.
package logging

import (
	"context"
	"log/slog"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// suffix is the last part of each key of a duration.
const suffix = "_ms"

// Milliseconds returns an attribute with a duration in milliseconds. The key of the
// attribute is the name with the suffix _ms. For example, the name "drain" gives the key
// drain_ms.
func Milliseconds(name string, d time.Duration) slog.Attr {
	return slog.Float64(strings.TrimSuffix(name, suffix)+suffix, float64(d.Microseconds())/1000)
}

// ReplaceAttr is a function for slog.HandlerOptions. It converts durations in log
// records of libraries to milliseconds.
func ReplaceAttr(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return Milliseconds(a.Key, a.Value.Duration())
	}
	return a
}

// Handler adds the IDs of the request and of the trace to a log record, if the context
// contains these IDs. Then it passes the record to the next handler.
type Handler struct{ next slog.Handler }

// NewHandler returns a Handler that passes records to the handler "next".
func NewHandler(next slog.Handler) *Handler { return &Handler{next} }

// Enabled reports whether the next handler accepts records of this level.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle adds attributes from the context to the record.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if id := pyth.OriginOf(ctx).RequestID; id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if id := tracing.TraceID(ctx); id != "" {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a Handler that adds these attributes to each record.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.next.WithAttrs(attrs)}
}

// WithGroup returns a Handler that puts the attributes of each record in this group.
func (h *Handler) WithGroup(name string) slog.Handler { return &Handler{h.next.WithGroup(name)} }
