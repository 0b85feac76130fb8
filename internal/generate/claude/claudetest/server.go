// Package claudetest is a server that speaks the Messages API of Anthropic and
// answers by a script, for tests and benchmarks: JSON and server-sent events,
// schemas and tools, and failures as they really look.
//
// It refuses what the real API refuses, as far as this module could do it wrong,
// and keeps every byte that it was sent.
package claudetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Key is the API key that the server takes.
const Key = "sk-ant-api03-test"

// Model is a model that refuses forced tools; OldModel takes them.
const (
	Model    = "claude-sonnet-5-5"
	OldModel = "claude-haiku-4-5"
)

// Server is one that listens.
type Server struct {
	URL    string
	server *http.Server

	mu       sync.Mutex
	script   []Step
	requests []Request
	canceled int
}

// Request is one that was sent.
type Request struct {
	Header http.Header
	Body   []byte
}

// Start starts a server that answers with the steps, one for each request, and
// with the last again and again.
func Start(steps ...Step) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + listener.Addr().String(), script: steps}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Close ends it.
func (s *Server) Close() error { return s.server.Close() }

// Script replaces the steps that are left.
func (s *Server) Script(steps ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = steps
}

// Requests are those so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Canceled counts the calls that their caller gave up.
func (s *Server) Canceled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canceled
}

// Step is an answer to one request.
type Step func(*exchange)

// exchange is one request and its answer.
type exchange struct {
	server *Server
	w      http.ResponseWriter
	r      *http.Request
	call   *call
	id     string
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	step, n := s.next(Request{r.Header.Clone(), body})
	x := &exchange{server: s, w: w, r: r, id: fmt.Sprintf("req_%020d", n)}
	w.Header().Set("Request-Id", x.id)
	if status, kind, message := check(r, body); status != 0 {
		x.fail(status, kind, message)
		return
	}
	x.call = new(call)
	if err := json.Unmarshal(body, x.call); err != nil {
		x.fail(http.StatusBadRequest, "invalid_request_error", err.Error())
		return
	}
	step(x)
}

// next is the step for a request.
func (s *Server) next(r Request) (Step, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	step := Failure(http.StatusInternalServerError, "api_error", "the script is empty")
	if len(s.script) > 0 {
		step = s.script[0]
		s.script = s.script[min(1, len(s.script)-1):]
	}
	return step, len(s.requests)
}

// fail answers with an error.
func (x *exchange) fail(status int, kind, message string) {
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	x.write(errorBody(kind, message, x.id))
}

func (x *exchange) write(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, _ = x.w.Write(b)
}

func errorBody(kind, message, id string) any {
	return map[string]any{
		"type": "error", "error": map[string]any{"type": kind, "message": message}, "request_id": id,
	}
}

// hang waits until the caller has gone.
func (x *exchange) hang() {
	<-x.r.Context().Done()
	x.server.mu.Lock()
	defer x.server.mu.Unlock()
	x.server.canceled++
}
