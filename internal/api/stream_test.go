package api_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

type event struct{ Name, Data string }

func readEvents(t *testing.T, s *bufio.Scanner) []event {
	t.Helper()
	var events []event
	var e event
	for s.Scan() {
		name, value, _ := strings.Cut(s.Text(), ": ")
		switch name {
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if e.Name != "" {
				events = append(events, e)
			}
			e = event{}
		}
	}
	return events
}

func (s *server) streamed(accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/execute", strings.NewReader(`{"code": "x"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Api-Key", goodKey)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func TestStreamSendsEventsInOrder(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		err := errors.Join(
			events.Started("exe_1"),
			events.Output(pyth.Stdout, []byte("a\n\xe2\x82")), // The euro sign, split into two parts.
			events.Output(pyth.Stderr, []byte("warning")),
			events.Output(pyth.Stdout, []byte("\xac\xff")), // The rest of the sign, and a byte that is not UTF-8.
			events.Output(pyth.Stdout, []byte("\xe2")),     // This character is never completed.
			events.Result(pyth.Result{"text/plain": "<x>", "application/json": `{"a": 1}`}),
			events.File(pyth.File{Path: "f.txt", Content: []byte("content")}),
		)
		return succeeded(""), err
	}
	w := s.streamed("application/json;q=0.5, text/event-stream")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" || w.Header().Get("X-Accel-Buffering") != "no" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	want := []event{
		{"start", `{"id":"exe_1"}`},
		{"stdout", `{"text":"a\n"}`},
		{"stderr", `{"text":"warning"}`},
		{"stdout", "{\"text\":\"€\ufffd\"}"},
		{"result", `{"application/json":{"a":1},"text/plain":"<x>"}`},
		{"file", `{"path":"f.txt","sizeBytes":7,"content":"content","encoding":"utf8","mediaType":"text/plain"}`},
		{"stdout", "{\"text\":\"\ufffd\"}"},
	}
	got := readEvents(t, bufio.NewScanner(w.Body))
	if len(got) == 0 || got[len(got)-1].Name != "end" || !strings.Contains(got[len(got)-1].Data, `"status":"succeeded"`) {
		t.Fatalf("got %v", got)
	}
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestStreamFailsAsAnswerBeforeStart(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return nil, pyth.Errorf(pyth.CodeOverloaded, "The server is busy.")
	}
	w := s.streamed("text/event-stream")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

func TestStreamSendsErrorEventAfterStart(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		return nil, errors.Join(events.Started("exe_1"), pyth.Errorf(pyth.CodeUnavailable, "The sandbox is gone."))
	}
	got := readEvents(t, bufio.NewScanner(s.streamed("text/event-stream").Body))
	if len(got) != 2 || got[1].Name != "error" || !strings.Contains(got[1].Data, `"code":"unavailable"`) {
		t.Errorf("got %v", got)
	}
}

func TestStreamNeedsAccept(t *testing.T) {
	s := newServer(t)
	for accept, want := range map[string]string{
		"":                                    "application/json",
		"*/*":                                 "application/json",
		"application/*":                       "application/json",
		"text/*":                              "text/event-stream",
		"text/html":                           "application/json",
		"text/event-stream;q=0":               "application/json",
		"text/event-stream;q=x":               "application/json",
		"text/event-stream;q=0, */*":          "application/json",
		"text/event-stream, */*":              "text/event-stream",
		"text/event-stream;q=0.1, */*":        "application/json",
		"Text/Event-Stream; charset=utf-8":    "text/event-stream",
		"application/json, text/event-stream": "text/event-stream",

		"application/json;q=0, */*;q=0.1":                     "text/event-stream",
		"application/json;q=1.0, text/event-stream;q=0.5":     "application/json",
		"text/event-stream;q=0.5, application/json;q=1.0":     "application/json",
		"application/json;q=0.2, text/event-stream;q=0.9":     "text/event-stream",
		"application/*;q=0.9, text/event-stream;q=0.8, */*":   "application/json",
		"text/*;q=0.9, text/event-stream;q=0.1, */*;q=0.5":    "application/json",
		"text/event-stream;q=2, application/json;q=0.1":       "application/json",
		"application/json;q=0.001, text/event-stream;q=0.002": "text/event-stream",
	} {
		if got := s.streamed(accept).Header().Get("Content-Type"); got != want {
			t.Errorf("%q: got %s, want %s", accept, got, want)
		}
	}
}

// TestAnswerThatCannotBeEncodedIs500 checks that the server treats an encoding error as a
// server error. The server must not treat it as a success or as a disconnected client.
func TestAnswerThatCannotBeEncodedIs500(t *testing.T) {
	for name, value := range map[string]string{
		"equal names": `{"a":1,"a":2}`, "no JSON": `{"a":`, "too deep": strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			heard := 0
			s.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
				e := succeeded("42\n")
				e.Results = []pyth.Result{{"application/json": value}}
				if events == nil {
					return e, nil
				}
				for _, err := range []error{events.Started("exe_1"), events.Result(e.Results[0]), events.Output(pyth.Stdout, []byte("42\n"))} {
					if err != nil {
						return nil, err
					}
					heard++
				}
				return e, nil
			}
			res := s.execute(`{"code":"x"}`)
			if p := res.problem(t); res.StatusCode != 500 || p.Code != "internal" || !strings.Contains(s.log.String(), "encode response") {
				t.Errorf("status %d: %s; the log is %s", res.StatusCode, res.body, s.log)
			}
			got := readEvents(t, bufio.NewScanner(s.streamed("text/event-stream").Body))
			if heard != 3 || len(got) != 3 || got[1].Name != "stdout" || got[2].Name != "error" || !strings.Contains(got[2].Data, `"code":"internal"`) {
				t.Errorf("after %d events: %v", heard, got)
			}
		})
	}
}
