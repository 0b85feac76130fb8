package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

type stream struct {
	body   io.ReadCloser
	reader *bufio.Reader
}

type event struct {
	name string
	data []byte
}

func (a *account) streamHeader() http.Header {
	return http.Header{"X-Api-Key": {a.APIKey}, "Accept": {"text/event-stream"}}
}

// openStream starts a run with a stream of events. It returns when the server begins to
// answer.
func (a *account) openStream(ctx context.Context, t testing.TB, request object) *stream {
	t.Helper()
	return a.openStreamAt(ctx, t, "/api/v1/execute", a.withIsolation(request))
}

// openStreamAt sends the request to the given path. It returns when the server begins
// to answer.
func (a *account) openStreamAt(ctx context.Context, t testing.TB, path string, request object) *stream {
	t.Helper()
	body := must(json.Marshal(request))(t)
	req := must(http.NewRequestWithContext(ctx, http.MethodPost, a.server.URL+path, bytes.NewReader(body)))(t)
	req.Header = a.streamHeader()
	req.Header.Set("Content-Type", "application/json")
	res := must(a.server.http.Do(req))(t)
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(res.Body)
		t.Fatalf("status %d, %v: %s", res.StatusCode, res.Header, b)
	}
	return &stream{res.Body, bufio.NewReaderSize(res.Body, 1<<20)}
}

// The method "next" reads the next event of the stream. It returns false at the end of
// the stream.
func (s *stream) next(t testing.TB) (event, bool) {
	t.Helper()
	var e event
	for {
		line, err := s.reader.ReadBytes('\n')
		if err == io.EOF && e.name == "" {
			return e, false
		}
		if err != nil {
			t.Fatal(err)
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		switch name, value, _ := bytes.Cut(line, []byte(": ")); string(name) {
		case "event":
			e.name = string(value)
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e, true
			}
		}
	}
}

func (e event) text(t testing.TB) string {
	t.Helper()
	var data struct{ Text string }
	if err := json.Unmarshal(e.data, &data); err != nil {
		t.Fatalf("%v: %s", err, e.data)
	}
	return data.Text
}

// readAll reads all events of the stream. It returns the output of each stream, the
// names of the events in order, and the result of the run from the end event.
func (s *stream) readAll(t testing.TB) (printed map[string]string, names []string, end *execution) {
	t.Helper()
	text := map[string]*strings.Builder{"stdout": new(strings.Builder), "stderr": new(strings.Builder)}
	for {
		e, ok := s.next(t)
		if !ok {
			break
		}
		names = append(names, e.name)
		if b := text[e.name]; b != nil {
			b.WriteString(e.text(t))
		}
		if e.name == "end" {
			end = new(execution)
			if err := json.Unmarshal(e.data, end); err != nil {
				t.Fatal(err)
			}
		}
	}
	if end == nil {
		t.Fatalf("the stream ended with %v", names)
	}
	return map[string]string{"stdout": text["stdout"].String(), "stderr": text["stderr"].String()}, names, end
}

func TestStreamSendsEventsOfRun(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	printed, names, end := a.openStream(t.Context(), t, object{"outputFiles": []string{"*.txt"}, "code": `
import sys
print("out", flush=True)
print("err", file=sys.stderr)
open("f.txt", "w").write("content")
display(6)
7
`}).readAll(t)
	if printed["stdout"] != "out\n" || printed["stderr"] != "err\n" {
		t.Errorf("the output is %v", printed)
	}
	if got := strings.Join(names, " "); !strings.HasPrefix(got, "start ") || !strings.HasSuffix(got, " file end") || strings.Count(got, " result") != 2 {
		t.Errorf("got %s", got)
	}
	end.ends(t, "succeeded")
	if end.Stdout != "" || end.Stderr != "" || len(end.Results) != 2 || end.Results[1]["text/plain"] != "7" || string(end.fileContent(t, "f.txt")) != "content" {
		t.Errorf("the run ended with %s, %v", end, end.Results)
	}
}

func TestStreamSendsOutputDuringRun(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--max-running=1")
	a := s.register(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := a.openStream(ctx, t, object{"timeoutMs": 60_000, "code": "import time\nprint('é', flush=True)\ntime.sleep(60)"})
	for {
		e, ok := stream.next(t)
		if !ok {
			t.Fatal("the stream ended")
		}
		if e.name == "stdout" {
			if got := e.text(t); got != "é\n" {
				t.Errorf("got %q", got)
			}
			break
		}
	}
	// When the client closes the connection, the server must end the run. The run must
	// free the only slot that the server has for running programs.
	cancel()
	a.run(t, "print(42)").prints(t, "42\n")
}

func TestStreamsKeepOrderConcurrently(t *testing.T) {
	t.Parallel()
	const streams, lines = 100, 1024
	s := startServer(t, "--max-running=100", "--max-running-per-user=100", "--max-running-memory=20000")
	a := s.register(t)
	code := `
for i in range(1024):
    print(f"{i:07d} " + "x" * 1015)
`
	var want strings.Builder
	for i := range lines {
		want.WriteString(strings.Repeat("0", 7-len(strconv.Itoa(i))) + strconv.Itoa(i) + " " + strings.Repeat("x", 1015) + "\n")
	}
	type end struct {
		printed string
		x       *execution
	}
	ends := make(chan end, streams)
	for range streams {
		go func() {
			printed, _, x := a.openStream(t.Context(), t, object{"code": code, "timeoutMs": 120_000, "limits": object{"outputBytes": 2 << 20, "memoryBytes": 64 << 20}}).readAll(t)
			ends <- end{printed["stdout"], x}
		}()
	}
	for range streams {
		e := <-ends
		e.x.ends(t, "succeeded")
		if e.printed != want.String() {
			t.Errorf("%d bytes arrived, out of order or fewer than %d", len(e.printed), want.Len())
		}
	}
}

// TestAttack016UnreadStreamEnds starts a run with a stream of events, but does not read
// the whole stream.
func TestAttack016UnreadStreamEnds(t *testing.T) {
	t.Parallel()
	for language, code := range map[string]string{
		"python":     "while True:\n    print('x' * 65535)",
		"javascript": "for (;;) require('fs').writeSync(1, 'x'.repeat(65536));",
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "--max-running=1")
			a := s.register(t)
			before := s.peakMemoryBytes(t)
			stream := a.openStream(t.Context(), t, object{"timeoutMs": 2000, "limits": object{"outputBytes": 8 << 20}, "language": language, "code": code})
			if e, ok := stream.next(t); !ok || e.name != "start" {
				t.Fatalf("got %v", e)
			}
			// The client reads no more events. The run must still end and free its
			// slot.
			a.execute(t, object{"code": "print(42)"}).prints(t, "42\n")
			if after := s.peakMemoryBytes(t); after > before+48*mib {
				t.Errorf("the server had %d MiB before and %d MiB after", before/mib, after/mib)
			}
		})
	}
}

func TestStreamLimitsOutput(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	printed, _, end := a.openStream(t.Context(), t, object{"code": "while True: print('x' * 1000)", "limits": object{"outputBytes": 5000}}).readAll(t)
	end.ends(t, "output_limit")
	if len(printed["stdout"]) != 5000 || !end.StdoutTruncated {
		t.Errorf("%d bytes, %s", len(printed["stdout"]), end)
	}
}

func TestStreamSendsOutputWithoutDelay(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	stream := a.openStream(t.Context(), t, object{"code": `
import sys, time
for i in range(20):
    sys.stdout.write(str(time.time()) + "\n")
    sys.stdout.flush()
    time.sleep(0.02)
`})
	var slowest time.Duration
	for {
		e, ok := stream.next(t)
		if !ok {
			break
		}
		if e.name == "stdout" {
			written := must(json.Number(strings.TrimSpace(strings.Split(e.text(t), "\n")[0])).Float64())(t)
			slowest = max(slowest, time.Since(time.UnixMicro(int64(written*1e6))))
		}
	}
	// On a busy machine, any line can be late. So the test only logs the delay and does
	// not fail.
	t.Logf("a line arrived at most %v after it was written", slowest)
}
