// Package tracing records the steps of requests as spans of OpenTelemetry.
//
// A Tracer begins a trace. Start adds a span to the trace in the context. If the context
// has no recorded trace, Start does nothing and allocates no memory. Therefore packages
// can add spans without a Tracer.
//
// Spans contain no code, output, secret, password, key or e-mail address, and no text of
// an error. The values of attributes are only numbers, IDs, and values from lists in the
// source code.
package tracing

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	pyth "github.com/pyth-on/pyth-on"
)

// scope is the name of the OpenTelemetry instrumentation scope of all spans.
const scope = "github.com/pyth-on/pyth-on"

// header is the name of the HTTP header from the W3C specification Trace Context.
const header = "traceparent"

// Tracer begins traces. A nil Tracer begins no traces.
type Tracer struct{ tracer trace.Tracer }

// New returns a Tracer that sends its spans to the provider.
func New(p trace.TracerProvider) *Tracer { return &Tracer{p.Tracer(scope)} }

// Kind is the side of a call that a span describes, for example the server.
type Kind = trace.SpanKind

// These constants are the kinds of spans.
const (
	Internal = trace.SpanKindInternal
	Server   = trace.SpanKindServer
	Consumer = trace.SpanKindConsumer
)

// Begin starts a span. The header traceparent describes the parent of the span. If the
// header is "" or invalid, the span begins a new trace.
func (t *Tracer) Begin(ctx context.Context, traceparent, name string, kind Kind) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	if traceparent != "" {
		// Ignore the header tracestate. Otherwise the server would export the content of
		// the header.
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	if !span.IsRecording() {
		return ctx, Span{}
	}
	return ctx, Span{span}
}

// Start starts a span in the trace that the context contains.
func Start(ctx context.Context, name string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, Span{span}
}

// Add adds a span to the trace in the context. The span has already ended.
func Add(ctx context.Context, name string, from, to time.Time) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return
	}
	_, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithTimestamp(from))
	span.End(trace.WithTimestamp(to))
}

// Traceparent returns the value of the header traceparent for the span in the context.
// If the context has no span, it returns "".
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// TraceID returns the ID of the trace in the context. If the context has no trace, it
// returns "".
func TraceID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}

// Span is a step of a request. The zero Span does nothing.
type Span struct{ span trace.Span }

// Recording reports whether the span is being recorded.
func (s Span) Recording() bool { return s.span != nil }

// Name changes the name of the span.
func (s Span) Name(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Text sets an attribute to a string. The value must be an ID or come from a list in the
// source code. If the value is empty, Text sets no attribute.
func (s Span) Text(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// Number sets an attribute to a number.
func (s Span) Number(key string, value int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(key, value))
	}
}

// Milliseconds sets an attribute to a duration. The key ends in _ms.
func (s Span) Milliseconds(key string, d time.Duration) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Float64(key, float64(d.Microseconds())/1000))
	}
}

// Fail marks the span as failed.
func (s Span) Fail() {
	if s.span != nil {
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends the span. If there is an error, End sets the attribute error.type to the code
// of the error, or to "canceled". It does not record the text of the error, because this
// text can contain data of a user.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		code := string(pyth.ErrorCode(err))
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			code = "canceled"
		}
		s.span.SetAttributes(attribute.String("error.type", code))
		if code == string(pyth.CodeInternal) || code == string(pyth.CodeUnavailable) {
			s.span.SetStatus(codes.Error, "")
		}
	}
	s.span.End()
}
