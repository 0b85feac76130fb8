package client

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const executionsPath = "/api/v1/executions"

// maxWait is the longest time, in seconds, that the server waits for the end of a run
// before it responds.
const maxWait = 60

// Run runs a program, waits until the program ends, and returns its result. If the
// context ends first, the server cancels the run.
func (c *Client) Run(ctx context.Context, r *ExecuteRequest) (*ExecuteResponse, error) {
	run := new(ExecuteResponse)
	return run, c.do(ctx, &call{method: http.MethodPost, path: "/api/v1/execute", body: r}, run)
}

// Stream runs a program and returns its events. If the caller leaves the loop over the
// events before the last event, the server cancels the run.
func (c *Client) Stream(ctx context.Context, r *ExecuteRequest) iter.Seq2[Event, error] {
	return events(c.stream(ctx, &call{method: http.MethodPost, path: "/api/v1/execute/stream", body: r}))
}

// Start queues a program and returns before the program ends. When Start returns, the
// server has stored the request durably. The program runs only once, even if the client
// repeats the request.
func (c *Client) Start(ctx context.Context, r *ExecuteRequest) (*Execution, error) {
	header := idempotent()
	header.Set("Prefer", "respond-async")
	run := new(Execution)
	return run, c.do(ctx, &call{method: http.MethodPost, path: "/api/v1/execute", body: r, header: header, repeatable: true}, run)
}

// Execution returns a run with its code and output.
func (c *Client) Execution(ctx context.Context, id string) (*Execution, error) {
	return c.execution(ctx, id, nil)
}

func (c *Client) execution(ctx context.Context, id string, query url.Values) (*Execution, error) {
	run := new(Execution)
	return run, c.do(ctx, &call{method: http.MethodGet, path: executionsPath + "/" + url.PathEscape(id), query: query, repeatable: true}, run)
}

// Wait waits until the run has ended, and returns the run. It returns an error if the
// context ends first.
func (c *Client) Wait(ctx context.Context, id string) (*Execution, error) {
	for {
		run, err := c.execution(ctx, id, url.Values{"wait": {strconv.Itoa(maxWait)}})
		if err != nil || run.State == ExecutionStateEnded {
			return run, err
		}
	}
}

// Events returns all events of a run, beginning with the first event. If the connection
// fails, Events connects again and continues with the next event. The run continues
// even if the caller leaves the loop over the events.
func (c *Client) Events(ctx context.Context, id string) iter.Seq2[Event, error] {
	return events(func(yield func(*message, error) bool) {
		last := int64(0)
		for failures := 0; ; {
			r := &call{method: http.MethodGet, path: executionsPath + "/" + url.PathEscape(id) + "/events", repeatable: true}
			if last > 0 {
				r.header = http.Header{"Last-Event-Id": {strconv.FormatInt(last, 10)}}
			}
			var failure error
			for m, err := range c.stream(ctx, r) {
				if failure = err; err != nil {
					break
				}
				last, failures = m.id, 0
				if !yield(m, nil) || m.name == "end" {
					return
				}
			}
			if failure == nil {
				failure = errStreamEnded
			}
			_, refused := errors.AsType[*Error](failure)
			if failures++; refused || failures > c.retries || c.wait(ctx, &attempt{number: failures, err: failure}) != nil {
				yield(nil, failure)
				return
			}
		}
	})
}

// ExecutionFilter selects runs. The zero value selects all runs.
type ExecutionFilter struct {
	State                 ExecutionState
	Status                ExecutionStatus
	Language              Language
	Label, SessionID, Key string
	Since, Until          time.Time
}

// Executions returns the runs of the user, newest first.
func (c *Client) Executions(ctx context.Context, f ExecutionFilter) iter.Seq2[ExecutionSummary, error] {
	query := values(map[string]string{
		"state": string(f.State), "status": string(f.Status), "language": string(f.Language), "label": f.Label,
		"sessionId": f.SessionID, "key": f.Key, "since": timestamp(f.Since), "until": timestamp(f.Until),
	})
	return list(ctx, c, executionsPath, query, func(p *ExecutionList) ([]ExecutionSummary, string) { return p.Executions, p.NextCursor })
}

// Cancel cancels a run. It does not wait for the end of the run.
func (c *Client) Cancel(ctx context.Context, id string) (*Execution, error) {
	run := new(Execution)
	return run, c.do(ctx, &call{
		method: http.MethodPost, path: executionsPath + "/" + url.PathEscape(id) + "/cancel", header: idempotent(), repeatable: true,
	}, run)
}

// DeleteExecution deletes a run with its code and output.
func (c *Client) DeleteExecution(ctx context.Context, id string) error {
	return c.do(ctx, &call{method: http.MethodDelete, path: executionsPath + "/" + url.PathEscape(id), repeatable: true}, nil)
}

// Generate lets a model write a program. The server runs the program unless the request
// disables this.
func (c *Client) Generate(ctx context.Context, r *GenerateRequest) (*GenerateResponse, error) {
	answer := new(GenerateResponse)
	return answer, c.do(ctx, &call{method: http.MethodPost, path: "/api/v1/generate", body: r}, answer)
}

// NewInputFile returns a file for a request. The file can contain any bytes.
func NewInputFile(path string, content []byte) InputFile {
	return InputFile{Path: path, Content: base64.StdEncoding.EncodeToString(content), Encoding: EncodingBase64}
}

// Bytes returns the content of the file.
func (f *OutputFile) Bytes() ([]byte, error) {
	if f.Encoding == EncodingBase64 {
		return base64.StdEncoding.DecodeString(f.Content)
	}
	return []byte(f.Content), nil
}

// values returns query parameters. It omits parameters with an empty value.
func values(parameters map[string]string) url.Values {
	query := url.Values{}
	for name, value := range parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
