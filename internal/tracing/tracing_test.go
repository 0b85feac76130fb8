package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func newTracer(options ...sdk.TracerProviderOption) (*tracing.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return tracing.New(sdk.NewTracerProvider(append(options, sdk.WithSpanProcessor(spans))...)), spans
}

func TestSpansFormOneTrace(t *testing.T) {
	tracer, spans := newTracer()
	ctx, root := tracer.Begin(t.Context(), parent, "root", tracing.Server)
	if got := tracing.Traceparent(ctx); !strings.HasPrefix(got, parent[:36]) || got == parent {
		t.Errorf("traceparent is %s", got)
	}
	inner, child := tracing.Start(ctx, "child")
	from := time.Now()
	tracing.Add(inner, "earlier", from.Add(-time.Second), from)
	child.End(nil)
	root.End(nil)
	ended := spans.Ended()
	if len(ended) != 3 {
		t.Fatalf("%d spans", len(ended))
	}
	for _, s := range ended {
		if s.SpanContext().TraceID().String() != parent[3:35] {
			t.Errorf("%s is in trace %s", s.Name(), s.SpanContext().TraceID())
		}
	}
	if ended[0].Name() != "earlier" || ended[0].Parent().SpanID() != ended[1].SpanContext().SpanID() || ended[0].EndTime().Sub(ended[0].StartTime()) != time.Second {
		t.Errorf("%+v", ended[0])
	}
	if ended[2].Parent().SpanID().String() != parent[36:52] {
		t.Errorf("the parent of the root is %s", ended[2].Parent().SpanID())
	}
}

func TestBeginIgnoresInvalidParents(t *testing.T) {
	for _, header := range []string{"", "nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"} {
		tracer, spans := newTracer()
		_, span := tracer.Begin(t.Context(), header, "root", tracing.Server)
		span.End(nil)
		if s := spans.Ended()[0]; s.Parent().IsValid() || !s.SpanContext().IsValid() {
			t.Errorf("%q: the parent is %v", header, s.Parent())
		}
	}
}

func TestEndDoesNotRecordTexts(t *testing.T) {
	for _, test := range []struct {
		err    error
		code   string
		status codes.Code
	}{
		{errors.New("canary"), "internal", codes.Error},
		{&pyth.Error{Code: pyth.CodeUnavailable, Message: "canary", Err: errors.New("canary")}, "unavailable", codes.Error},
		{pyth.Errorf(pyth.CodeNotFound, "canary"), "not_found", codes.Unset},
		{fmt.Errorf("canary: %w", context.Canceled), "canceled", codes.Unset},
	} {
		tracer, spans := newTracer()
		_, span := tracer.Begin(t.Context(), "", "root", tracing.Internal)
		span.End(test.err)
		s := spans.Ended()[0]
		if len(s.Attributes()) != 1 || s.Attributes()[0].Value.AsString() != test.code || s.Status().Code != test.status || s.Status().Description != "" || len(s.Events()) > 0 {
			t.Errorf("%v: %v, %v, %v", test.err, s.Attributes(), s.Status(), s.Events())
		}
	}
}

// The function "use" makes the same calls as a request.
func use(ctx context.Context, tracer *tracing.Tracer) {
	ctx, root := tracer.Begin(ctx, parent, "root", tracing.Server)
	ctx, span := tracing.Start(ctx, "child")
	span.Text("text", "value")
	span.Number("number", 42)
	span.Milliseconds("wait_ms", time.Second)
	tracing.Add(ctx, "earlier", time.Time{}, time.Time{})
	span.End(nil)
	root.Name("name")
	root.End(nil)
}

func TestDisabledTracingAllocatesNothing(t *testing.T) {
	ctx := pyth.WithOrigin(t.Context(), new(pyth.Origin))
	if n := testing.AllocsPerRun(100, func() { use(ctx, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUnsampledTraceHasNoSpans(t *testing.T) {
	tracer, spans := newTracer(sdk.WithSampler(sdk.NeverSample()))
	use(t.Context(), tracer)
	ctx, root := tracer.Begin(t.Context(), "", "root", tracing.Server)
	if root.Recording() || !strings.HasSuffix(tracing.Traceparent(ctx), "-00") {
		t.Errorf("traceparent is %s", tracing.Traceparent(ctx))
	}
	if len(spans.Ended()) > 0 {
		t.Errorf("%d spans", len(spans.Ended()))
	}
}

func BenchmarkDisabled(b *testing.B) {
	ctx := pyth.WithOrigin(b.Context(), new(pyth.Origin))
	b.ReportAllocs()
	for b.Loop() {
		use(ctx, nil)
	}
}

func BenchmarkEnabled(b *testing.B) {
	tracer := tracing.New(sdk.NewTracerProvider())
	b.ReportAllocs()
	for b.Loop() {
		use(b.Context(), tracer)
	}
}
