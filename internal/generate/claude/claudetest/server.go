// Package claudetest provides a fake server of Anthropic's Messages API for tests and
// benchmarks. The caller passes a script, which determines the responses. The server
// supports JSON, server-sent events, schemas, tools and realistic failures.
//
// The server responds to invalid requests with the same errors as the real API. It checks
// all parts of the API that this module uses. It stores every request.
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

// Key is the API key that the server accepts.
const Key = "sk-ant-api03-test"

// Names of models. The server rejects forced tool calls for Model and accepts them for
// OldModel.
const (
	Model    = "claude-sonnet-5-5"
	OldModel = "claude-haiku-4-5"
)

// Server is a running fake server. It is safe for concurrent use.
type Server struct {
	URL    string
	server *http.Server

	mu       sync.Mutex
	script   []Step
	requests []Request
	canceled int
}

// Request is a request that the server has received and stored.
type Request struct {
	Header http.Header
	Body   []byte
}

// Start starts a server with a script of steps. The server uses one step for each
// request. After the last step, it repeats this step for all further requests.
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

// Close stops the server.
func (s *Server) Close() error { return s.server.Close() }

// Script replaces the steps that the server has not used yet. Each step answers one
// request.
func (s *Server) Script(steps ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = steps
}

// Requests returns all requests received so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Canceled returns the number of requests that clients canceled while the server executed
// the step Hang or HangWithin.
func (s *Server) Canceled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canceled
}

// A Step answers one request.
type Step func(*exchange)

// exchange holds one valid request and the writer for its response.
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

// The method "next" stores a request. It returns the step for the request and the number
// of the request. The first request has the number 1.
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

// hang waits until the client cancels the request, and counts this request in
// Canceled.
func (x *exchange) hang() {
	<-x.r.Context().Done()
	x.server.mu.Lock()
	defer x.server.mu.Unlock()
	x.server.canceled++
}
