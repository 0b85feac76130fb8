package e2e_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an HTTP server that receives traces and metrics in the OTLP format.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	bodies  [][]byte
	spans   []tracedSpan
	metrics map[string]bool
}

// tracedSpan is a span and the name of the service that has sent the span.
type tracedSpan struct {
	service string
	*trace.Span
}

func startCollector(t *testing.T) *collector {
	c := &collector{metrics: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		request := new(traces.ExportTraceServiceRequest)
		c.receive(t, r, request, func() {
			for _, resource := range request.ResourceSpans {
				service := ""
				for _, a := range resource.Resource.Attributes {
					if a.Key == "service.name" {
						service = a.Value.GetStringValue()
					}
				}
				for _, scope := range resource.ScopeSpans {
					for _, s := range scope.Spans {
						c.spans = append(c.spans, tracedSpan{service, s})
					}
				}
			}
		})
	})
	mux.HandleFunc("POST /v1/metrics", func(_ http.ResponseWriter, r *http.Request) {
		request := new(metrics.ExportMetricsServiceRequest)
		c.receive(t, r, request, func() {
			for _, resource := range request.ResourceMetrics {
				for _, scope := range resource.ScopeMetrics {
					for _, m := range scope.Metrics {
						c.metrics[m.Name] = true
					}
				}
			}
		})
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

// receive stores the body of a request and decodes it into the parameter "into". Then
// it calls the function "add".
func (c *collector) receive(t *testing.T, r *http.Request, into proto.Message, add func()) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(body, into)
	}
	if err != nil {
		t.Errorf("%s: %v", r.URL, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(c.bodies, body)
	add()
}

// ofTrace returns the spans of a trace, by the name of the span.
func (c *collector) ofTrace(id string) map[string]tracedSpan {
	all := map[string]tracedSpan{}
	for _, s := range c.spans {
		if hexOf(s.TraceId) == id {
			all[s.Name] = s
		}
	}
	return all
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var text strings.Builder
	for _, x := range b {
		text.WriteByte(digits[x>>4])
		text.WriteByte(digits[x&15])
	}
	return text.String()
}

// requireTrace checks the spans of a trace. The map "want" contains the names of the
// expected spans. The value for each name is the name of the parent span. The parent of
// the first span is callerSpan.
func (c *collector) requireTrace(t *testing.T, id string, want map[string]string) {
	t.Helper()
	all := c.ofTrace(id)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		s, ok := all[name]
		if !ok {
			t.Errorf("trace %s has no span %s: %v", id, name, slices.Sorted(maps.Keys(all)))
			continue
		}
		parent := callerSpan
		if p, ok := all[want[name]]; ok {
			parent = hexOf(p.SpanId)
		}
		if got := hexOf(s.ParentSpanId); got != parent {
			t.Errorf("trace %s: the parent of %s is %q, want %q (%s)", id, name, got, parent, want[name])
		}
	}
}

// traceparent returns the value of a traceparent header and the trace ID in this value.
// The trace ID ends with the given digits.
func traceparent(digits string) (header, id string) {
	id = "4bf92f3577b34da6a3ce929d0e0e47" + digits
	return "00-" + id + "-" + callerSpan + "-01", id
}

const callerSpan = "00f067aa0ba902b7"

func TestTracesFollowRunsToSandboxes(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	w := startWorkersWith(t, []string{"one"}, []string{"--otlp-endpoint=" + c.URL}, "--otlp-endpoint="+c.URL)
	a := &account{server: w.server, email: "canary-mail@example.org"}
	w.call(t, nil, "POST", "/api/register", object{"email": a.email, "password": "canary-password-of-the-account"}).want(t, 201, &a.authResponse)
	a.storeSecret(t, "CANARY_NAME", "canary-secret-value")
	call := func(digits string, header http.Header, method, path string, body any) (*answer, string) {
		t.Helper()
		parent, id := traceparent(digits)
		header = header.Clone()
		header.Set("X-Api-Key", a.APIKey)
		header.Set("Traceparent", parent)
		header.Set("Tracestate", "canary=canary-state")
		header.Set("User-Agent", "canary-agent")
		header.Set("X-Request-Id", "canary-request-id")
		x := must(w.tryCall(t.Context(), header, method, path, body))(t)
		if got := x.header.Get("Traceparent"); !strings.HasPrefix(got, parent[:36]) || got == parent {
			t.Errorf("%s %s: the response has the traceparent %q", method, path, got)
		}
		return x, id
	}
	program := object{
		"code":  "import os, sys\nprint('canary-' + 'output', sys.argv, os.environ['CANARY_NAME'])\nopen('canary-file', 'w').write('canary-content')\nraise ValueError('canary-error')",
		"stdin": "canary-input", "args": []string{"canary-argument"}, "env": object{"CANARY_VARIABLE": "canary-environment"},
		"files": []object{{"path": "canary-path", "content": "canary-upload"}}, "outputFiles": []string{"canary-f*"},
		"labels": []string{"canary-label"}, "secrets": []string{"CANARY_NAME"},
	}
	none := http.Header{}
	run, synchronous := call("01", none, "POST", "/api/v1/execute", program)
	run.want(t, 200, nil)
	stream, streamed := call("02", http.Header{"Accept": {"text/event-stream"}}, "POST", "/api/v1/execute", program)
	stream.want(t, 200, nil)
	var q record
	accepted, asynchronous := call("03", http.Header{"Prefer": {"respond-async"}}, "POST", "/api/v1/execute", program)
	accepted.want(t, 202, &q)
	a.wait(t, q.ID)
	var opened struct{ ID string }
	reply, session := call("04", none, "POST", "/api/v1/sessions", object{"secrets": []string{"CANARY_NAME"}})
	reply.want(t, 201, &opened)
	reply, inSession := call("05", none, "POST", "/api/v1/execute", object{"code": "print('canary-' + 'output')", "sessionId": opened.ID})
	reply.want(t, 200, nil)
	a.storeEncrypted(t, "canary-program", encryptedProgram{name: "canary-program", code: "print('canary-' + 'output')", password: "canary-master-password"})
	reply, encrypted := call("06", none, "POST", "/api/v1/zk/execute/canary-program", object{"masterPassword": "canary-master-password"})
	reply.want(t, 200, nil)
	for i, refused := range []func() (*answer, string){
		func() (*answer, string) { return call("11", none, "GET", "/canary-path/x?canary=canary-query", nil) },
		func() (*answer, string) {
			return call("12", none, "POST", "/api/v1/execute", object{"code": "1", "language": "canary-language"})
		},
		func() (*answer, string) {
			return call("13", none, "POST", "/api/v1/execute", object{"code": "1", "runtime": "canary-runtime"})
		},
		func() (*answer, string) {
			return call("14", none, "POST", "/api/v1/execute", object{"code": "1", "secrets": []string{"CANARY_ABSENT"}})
		},
		func() (*answer, string) { return call("15", none, "GET", "/api/v1/sessions/canary-session", nil) },
		func() (*answer, string) {
			return call("16", none, "POST", "/api/v1/execute", object{"code": "1", "sessionId": "canary-session"})
		},
		func() (*answer, string) { return call("17", none, "PUT", "/api/v1/execute", "canary-body") },
		func() (*answer, string) {
			return call("18", none, "POST", "/api/v1/network", object{"allow": "canary-host"})
		},
	} {
		if x, _ := refused(); x.status < 400 || x.status >= 500 {
			t.Errorf("request %d: status %d: %s", i, x.status, x.body)
		}
	}
	w.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": "canary-wrong-password"}).refused(t, 401, "invalid_credentials")
	w.stop(t)
	w.all["one"].stop(t)

	c.mu.Lock()
	defer c.mu.Unlock()
	below := func(root string) map[string]string {
		return map[string]string{
			root: "", "authenticate": root, "run": root, "placement": "run", "worker.run": "placement",
			"queue": "worker.run", "sandbox.start": "worker.run", "sandbox.run": "worker.run", "audit.record": root,
		}
	}
	const execute = "POST /api/v1/execute"
	c.requireTrace(t, synchronous, below(execute))
	c.requireTrace(t, streamed, below(execute))
	c.requireTrace(t, inSession, below(execute))
	c.requireTrace(t, inSession, map[string]string{"session.turn": "run"})
	c.requireTrace(t, encrypted, below("POST /api/v1/zk/execute/{name}"))
	c.requireTrace(t, session, map[string]string{"POST /api/v1/sessions": "", "session.open": "POST /api/v1/sessions"})
	later := below("async.run")
	later["async.run"] = execute
	delete(later, "authenticate")
	delete(later, "audit.record")
	c.requireTrace(t, asynchronous, later)
	for name, service := range map[string]string{"run": "pyth-on", "placement": "pyth-on", "queue": "pyth-on-worker", "sandbox.run": "pyth-on-worker"} {
		if got := c.ofTrace(synchronous)[name].service; got != service {
			t.Errorf("%s is a span of %q, want %q", name, got, service)
		}
	}
	for _, name := range []string{"pyth_on_users", "pyth_on_executions_total", "pyth_on_http_request_duration_seconds", "pyth_on_nats_connected", "pyth_on_sandbox_boot_seconds"} {
		if !c.metrics[name] {
			t.Errorf("the collector has no metric %s", name)
		}
	}
	for _, body := range c.bodies {
		for _, secret := range [][]byte{[]byte("canary"), []byte("CANARY"), []byte(a.APIKey), []byte("@example.org"), []byte("print(")} {
			if i := bytes.Index(body, secret); i >= 0 {
				t.Errorf("the collector received %q", body[max(i-60, 0):min(i+60, len(body))])
			}
		}
	}
	if log := w.log.String(); !strings.Contains(log, "trace_id="+synchronous) || strings.Contains(log, "not sent to the collector") {
		t.Errorf("the log: %s", log)
	}
}

// TestServeContinuesWithoutCollector checks that requests work normally while the
// collector is not available.
func TestServeContinuesWithoutCollector(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	c.Close()
	s := startServer(t, "--otlp-endpoint="+c.URL)
	a := s.register(t)
	a.run(t, "print(42)").prints(t, "42\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	parent, id := traceparent("20")
	x := must(s.tryCall(ctx, http.Header{"X-Api-Key": {a.APIKey}, "Traceparent": {parent}}, "GET", "/api/v1/keys", nil))(t)
	if x.status != 200 || !strings.Contains(x.header.Get("Traceparent"), id) {
		t.Errorf("status %d, %v", x.status, x.header)
	}
}
