package api

import (
	"context"
	"net/http"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

const traceparentHeader = "Traceparent"

// beginTrace starts the span of a request. If the request has the header traceparent
// (W3C Trace Context), the span belongs to the trace in this header. Probes and requests
// for metrics have no span.
func (h *Handler) beginTrace(ctx context.Context, r *http.Request) (context.Context, tracing.Span) {
	if h.cfg.Tracer == nil || servedWhileDraining(r.URL.Path) {
		return ctx, tracing.Span{}
	}
	parent := ""
	if values := r.Header[traceparentHeader]; len(values) == 1 {
		parent = values[0]
	}
	return h.cfg.Tracer.Begin(ctx, parent, "request", tracing.Server)
}

// echoTrace adds the header traceparent to the response. With the trace ID in this
// header, the caller can find the trace of the request.
func echoTrace(ctx context.Context, header http.Header) {
	if trace := tracing.Traceparent(ctx); trace != "" {
		header.Set(traceparentHeader, trace)
	}
}

// endTrace ends the span of a request. The span contains no data of the request except
// the route, the method and the user ID.
func endTrace(span tracing.Span, r *http.Request, req *request, status int) {
	if !span.Recording() {
		return
	}
	method, route := knownMethod(r.Method), routeLabel(req.route)
	span.Name(method + " " + route)
	span.Text("http.request.method", method)
	span.Text("http.route", route)
	span.Number("http.response.status_code", int64(status))
	span.Text("pyth_on.outcome", outcomeOf(status))
	if p := req.principal; p != nil {
		span.Text("user.id", string(p.User.ID))
	}
	if req.err != nil {
		span.Text("error.type", string(pyth.ErrorCode(req.err)))
	}
	if outcomeOf(status) == outcomeFailed {
		span.Fail()
	}
	span.End(nil)
}
